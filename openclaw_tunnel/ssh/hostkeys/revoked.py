"""RevokedHostKeys: a list of keys, or a key revocation list (KRL)."""

from dataclasses import dataclass, field

import asyncssh

from openclaw_tunnel.host.filecache import FileCache
from openclaw_tunnel.ssh.asyncssh_seams import OpenSSHCertificate, serial_and_key_id
from openclaw_tunnel.ssh.hostkeys import krl
from openclaw_tunnel.ssh.hostkeys.knownhosts import is_certificate, key_line, key_type, parse_key

_NO_KRL = "not a usable key revocation list"


class RevokedListUnusable(Exception):
    """The list cannot be read, so no key can be said not to be on it; the message says why."""


@dataclass(frozen=True, slots=True)
class RevokedKeys:
    """A list that was read.

    Attributes:
        problem: why it cannot be used; empty where it can.
    """

    problem: str = ""
    _keys: frozenset[bytes] = field(default=frozenset(), repr=False)
    _krl: krl.RevocationList | None = field(default=None, repr=False)

    def names(self, presented: bytes, also: tuple[bytes, ...] = ()) -> bool:
        """Whether the list names a key; nothing is read any more.

        Args:
            presented: what the server sent, key or certificate, in wire format.
            also: the plain key and the authority's key of a certificate.

        Raises:
            RevokedListUnusable: OpenSSH refuses every key then, and so must the caller.
        """
        if self.problem:
            raise RevokedListUnusable(self.problem)
        blobs = (presented, *also)
        if self._krl is None:
            return not self._keys.isdisjoint(blobs)
        if any(self._krl.names_key(blob) for blob in blobs):
            return True
        certified = _certified(presented)
        return certified is not None and self._krl.names_certificate(certified)


_LISTS: FileCache[RevokedKeys] = FileCache(4)


def read_revoked(path: str, cache: FileCache[RevokedKeys] = _LISTS) -> RevokedKeys:
    """Read the list at ``path``, or take what was read of the same version; a large one takes its time."""
    try:
        with open(path, "rb") as file:
            version = cache.version(file.fileno())
            if (kept := cache.get(path, version)) is not None:
                return kept
            content = file.read()
    except OSError as exc:
        return RevokedKeys(exc.strerror or str(exc))
    found = _read(content)
    cache.put(path, version, found)
    return found


def _read(content: bytes) -> RevokedKeys:
    try:
        if content.startswith(krl.MAGIC):
            return RevokedKeys(_krl=krl.parse(content, _canonical))
        return RevokedKeys(_keys=frozenset(_keys(content)))
    except krl.Malformed as exc:
        return RevokedKeys(f"{_NO_KRL}: {exc}")
    except RevokedListUnusable as exc:
        return RevokedKeys(str(exc))


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


def _canonical(blob: bytes) -> bytes:
    return asyncssh.import_public_key(key_line(blob)).public_data


def _certified(presented: bytes) -> krl.Certified | None:
    """What a certificate says of itself (PROTOCOL.certkeys); None for a plain key."""
    if not is_certificate(key_type(presented)):
        return None
    certificate = asyncssh.import_certificate(key_line(presented))
    if not isinstance(certificate, OpenSSHCertificate):
        return None
    return krl.Certified(certificate.signing_key.public_data, *serial_and_key_id(certificate))
