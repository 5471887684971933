"""RevokedHostKeys: a list of keys, or a key revocation list (KRL) that ssh-keygen reads."""

import subprocess
import tempfile

from openclaw_tunnel.ssh.knownhosts import key_line, parse_key

_KRL_MAGIC = b"SSHKRL\n\0"
_KEYGEN_SECONDS = 5.0


class RevokedListUnusable(Exception):
    """The list cannot be read, so no key can be said not to be on it; the message says why."""


def is_revoked(path: str, presented: bytes, also: tuple[bytes, ...] = ()) -> bool:
    """Whether the list at ``path`` names a key.

    Args:
        presented: what the server sent, key or certificate, in wire format.
        also: the plain key and the authority's key of a certificate.

    Raises:
        RevokedListUnusable: OpenSSH refuses every key then, and so must the caller.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as exc:
        raise RevokedListUnusable(exc.strerror or str(exc)) from exc
    if content.startswith(_KRL_MAGIC):
        return any(_krl_names(path, blob) for blob in (presented, *also))
    return not _keys(content).isdisjoint({presented, *also})


def _keys(content: bytes) -> set[bytes]:
    """The keys of a text list; one malformed line makes the whole list unusable, as in OpenSSH."""
    keys = set()
    for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            blob = parse_key(text)
            if blob is None:
                raise RevokedListUnusable(f"line {number} is no key")
            keys.add(blob)
    return keys


def _krl_names(path: str, blob: bytes) -> bool:
    with tempfile.NamedTemporaryFile("w", prefix="openclaw-tunnel-", suffix=".pub") as file:
        file.write(key_line(blob) + "\n")
        file.flush()
        command = ["ssh-keygen", "-Q", "-f", path, file.name]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_KEYGEN_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise RevokedListUnusable(f"ssh-keygen -Q: {exc}") from exc
    # 0: not on the list; 1: on it; anything else: the list, or the question, could not be read.
    if done.returncode not in (0, 1) or (done.returncode == 1 and b"REVOKED" not in done.stdout):
        raise RevokedListUnusable("ssh-keygen -Q cannot read it as a key revocation list")
    return done.returncode == 1
