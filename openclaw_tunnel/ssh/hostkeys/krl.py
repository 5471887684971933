"""Key revocation lists (KRL), read as OpenSSH's PROTOCOL.krl defines them: bytes in, values out.

``ssh-keygen -Q`` would answer the same question, but it is a program that can be slow, missing or killed, and asyncssh
waits for the answer in the middle of a packet: the event loop would stand still. Nothing is accepted that OpenSSH
refuses: what this module does not understand makes the whole list unusable.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from sys import byteorder

from openclaw_tunnel.ssh.asyncssh_seams import Packet

MAGIC = b"SSHKRL\n\0"
_VERSION = 1
_CERTIFICATES, _KEYS, _SHA1, _SIGNATURE, _SHA256, _EXTENSION = 1, 2, 3, 4, 5, 255
_SERIALS, _RANGE, _BITMAP, _KEY_IDS, _CERTIFICATE_EXTENSION = 0x20, 0x21, 0x22, 0x23, 0x39
_DIGESTS = {_SHA1: (20, hashlib.sha1), _SHA256: (32, hashlib.sha256)}
_LAST_SERIAL = (1 << 64) - 1


class Malformed(Exception):
    """It is no list that OpenSSH would use; the message says why."""


@dataclass(frozen=True, slots=True)
class Certified:
    """What a list can say of a certificate beside its key: who signed it, its serial number and its key id."""

    authority: bytes
    serial: int
    key_id: bytes


@dataclass(slots=True)
class _OfAuthority:
    """The certificates of one authority that are revoked; of any authority where ``authority`` is empty."""

    authority: bytes
    serials: list["array[int]"] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    bitmaps: list[tuple[int, int]] = field(default_factory=list)
    key_ids: set[bytes] = field(default_factory=set)

    def names(self, certificate: Certified) -> bool:
        """Whether a certificate is listed. Serial 0 is what an authority writes that counts none: it means nothing."""
        if self.authority and self.authority != certificate.authority:
            return False
        if certificate.key_id in self.key_ids:
            return True
        serial = certificate.serial
        return serial != 0 and (
            any(serial in numbers for numbers in self.serials)
            or any(low <= serial <= high for low, high in self.ranges)
            or any(serial >= low and bits >> (serial - low) & 1 for low, bits in self.bitmaps)
        )


@dataclass(slots=True)
class RevocationList:
    """A list that was read."""

    keys: set[bytes] = field(default_factory=set)
    digests: dict[int, set[bytes]] = field(default_factory=lambda: {kind: set() for kind in _DIGESTS})
    certificates: list[_OfAuthority] = field(default_factory=list)

    def names_key(self, blob: bytes) -> bool:
        """Whether a plain key, in wire format, is listed."""
        hashed = (digest(blob).digest() in self.digests[kind] for kind, (_, digest) in _DIGESTS.items())
        return blob in self.keys or any(hashed)

    def names_certificate(self, certificate: Certified) -> bool:
        """Whether a certificate is listed by serial number or key id; its keys are another question."""
        return any(listed.names(certificate) for listed in self.certificates)


def parse(content: bytes, canonical: Callable[[bytes], bytes]) -> RevocationList:
    """Read a list.

    Args:
        content: the whole file.
        canonical: the one wire format of a public key in any; raises ValueError where it is none.

    Raises:
        Malformed: it is none, it is damaged, or it holds what is not understood.
    """
    try:
        return _read(Packet(content), canonical)
    except ValueError:
        raise Malformed("it is truncated") from None


def _read(content: Packet, canonical: Callable[[bytes], bytes]) -> RevocationList:
    if content.get_bytes(len(MAGIC)) != MAGIC:
        raise Malformed("it is no key revocation list")
    if (version := content.get_uint32()) != _VERSION:
        raise Malformed(f"version {version} of the format is not known")
    content.get_bytes(3 * 8)  # number, date and flags of the list
    content.get_string()  # reserved
    _text(content.get_string())  # comment
    found = RevocationList()
    for kind, section in _sections(content):
        _read_section(found, kind, section, canonical)
    return found


def _read_section(found: RevocationList, kind: int, section: Packet, canonical: Callable[[bytes], bytes]) -> None:
    if kind == _CERTIFICATES:
        found.certificates.append(_certificates(section, canonical))
    elif kind == _KEYS:
        found.keys.update(_strings(section))
    elif kind in _DIGESTS:
        digests = set(_strings(section))
        if any(len(digest) != _DIGESTS[kind][0] for digest in digests):
            raise Malformed("a fingerprint has the wrong length")
        found.digests[kind] |= digests
    elif kind == _EXTENSION:
        _extension(section)
    else:
        raise Malformed(
            f"section {kind} is not known" if kind != _SIGNATURE else "it is signed, which is not supported"
        )


def _certificates(section: Packet, canonical: Callable[[bytes], bytes]) -> _OfAuthority:
    blob = section.get_string()
    section.get_string()  # reserved
    try:
        found = _OfAuthority(canonical(blob) if blob else b"")
    except ValueError:
        raise Malformed("the key of an authority cannot be read") from None
    for kind, part in _sections(section):
        _read_certificates(found, kind, part)
    return found


def _read_certificates(found: _OfAuthority, kind: int, part: Packet) -> None:
    if kind == _SERIALS:
        found.serials.append(_checked(_numbers(part)))
    elif kind == _RANGE:
        low, high = part.get_uint64(), part.get_uint64()
        if not 0 < low <= high:
            raise Malformed("a range of serial numbers is wrong")
        found.ranges.append((low, high))
    elif kind == _BITMAP:
        found.bitmaps.append(_bitmap(part.get_uint64(), part.get_string()))
    elif kind == _KEY_IDS:
        found.key_ids.update(map(_text, _strings(part)))
    elif kind == _CERTIFICATE_EXTENSION:
        _extension(part)
    else:
        raise Malformed(f"certificate section {kind} is not known")


def _checked(numbers: "array[int]") -> "array[int]":
    if 0 in numbers:
        raise Malformed("serial number 0 cannot be revoked")
    return numbers


def _bitmap(low: int, mpint: bytes) -> tuple[int, int]:
    bits = int.from_bytes(mpint, "big")
    if mpint[:1] >= b"\x80" or low + bits.bit_length() - 1 > _LAST_SERIAL or (low == 0 and bits & 1):
        raise Malformed("a bitmap of serial numbers is wrong")
    return low, bits


def _extension(part: Packet) -> None:
    """An extension that may be passed over."""
    _text(part.get_string())
    if part.get_byte():
        raise Malformed("it needs an extension that is not known")
    part.get_string()


def _text(data: bytes) -> bytes:
    if b"\0" in data:
        raise Malformed("a text holds a null byte")
    return data


def _strings(part: Packet) -> Iterator[bytes]:
    """What is left, as strings."""
    while part:
        yield part.get_string()


def _numbers(part: Packet) -> "array[int]":
    """What is left, as numbers of 64 bits."""
    rest = part.get_bytes(len(part.get_remaining_payload()))
    if len(rest) % 8:
        raise Malformed("it is truncated")
    numbers = array("Q", rest)
    if byteorder == "little":
        numbers.byteswap()
    return numbers


def _sections(part: Packet) -> Iterator[tuple[int, Packet]]:
    """What is left, as sections, each with its number; all of one has to be read before the next."""
    while part:
        kind, section = part.get_byte(), Packet(part.get_string())
        yield kind, section
        if section:
            raise Malformed(f"section {kind} holds more than it should")
