"""RevokedHostKeys: a list of keys, or a key revocation list (KRL)."""

import asyncssh
from asyncssh.public_key import SSHOpenSSHCertificate

from openclaw_tunnel.ssh import krl
from openclaw_tunnel.ssh.knownhosts import is_certificate, key_line, key_type, parse_key


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
    if content.startswith(krl.MAGIC):
        return _krl_names(content, presented, also)
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


def _krl_names(content: bytes, presented: bytes, also: tuple[bytes, ...]) -> bool:
    try:
        revoked = krl.parse(content, _canonical)
        certified = _certified(presented)
    except krl.Malformed as exc:
        raise RevokedListUnusable(f"not a usable key revocation list: {exc}") from None
    if any(revoked.names_key(blob) for blob in (presented, *also)):
        return True
    return certified is not None and revoked.names_certificate(certified)


def _canonical(blob: bytes) -> bytes:
    return asyncssh.import_public_key(key_line(blob)).public_data


def _certified(presented: bytes) -> krl.Certified | None:
    """What a certificate says of itself (PROTOCOL.certkeys); None for a plain key."""
    if not is_certificate(key_type(presented)):
        return None
    certificate = asyncssh.import_certificate(key_line(presented))
    if not isinstance(certificate, SSHOpenSSHCertificate):
        return None
    of_key = len(list(krl.Reader(certificate.key.public_data).strings())) - 1  # without the type's name
    reader = krl.Reader(presented)
    for _ in range(2 + of_key):  # the type's name and a random number come before the key's own parts
        reader.string()
    serial, _kind, key_id = reader.number(8), reader.number(4), reader.string()
    return krl.Certified(certificate.signing_key.public_data, serial, key_id)
