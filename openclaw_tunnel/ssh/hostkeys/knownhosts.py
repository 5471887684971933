"""known_hosts as OpenSSH reads it, and what it says of a key: values in, values out.

Written from OpenSSH's hostfile.c and sshconnect.c instead of using asyncssh's reader, which accepts an entry of an
address for a name, understands address ranges that OpenSSH does not, and gives a whole file up for one bad line.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

DEFAULT_PORT = 22
_CERT_SUFFIX = "-cert-v01@openssh.com"
_SHORT_NAMES = {"ssh-rsa": "RSA", "ssh-ed25519": "ED25519", "ssh-dss": "DSA", "ssh-ed448": "ED448"}


class Marker(StrEnum):
    """What a line says of its key."""

    NONE = ""
    AUTHORITY = "@cert-authority"
    REVOKED = "@revoked"


@dataclass(frozen=True, slots=True)
class Entry:
    """One usable line: ``key`` is the key's wire format, ``file`` and ``line`` (from 1) say where it stands."""

    file: str
    line: int
    marker: Marker
    hosts: str
    key: bytes

    @property
    def place(self) -> str:
        """``file:line``, as messages show it."""
        return f"{self.file}:{self.line}"


class Trust(StrEnum):
    """What known_hosts says of a key."""

    OK = "ok"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``entries`` are the lines the verdict rests on: the matching one, the old keys, the keys of other types."""

    trust: Trust
    entries: tuple[Entry, ...] = ()


def key_type(blob: bytes) -> str:
    """The type name inside a key's wire format; empty if there is none."""
    size = int.from_bytes(blob[:4], "big")
    name = blob[4 : 4 + size]
    return name.decode("ascii", "replace") if len(blob) >= 4 and len(name) == size else ""


def short_type(blob: bytes) -> str:
    """The type as people say it: ED25519, RSA, ECDSA."""
    name = plain_type(key_type(blob))
    if "ecdsa" in name:
        return "ECDSA-SK" if name.startswith("sk-") else "ECDSA"
    if name.startswith("sk-"):
        return "ED25519-SK"
    return _SHORT_NAMES.get(name, name or "unknown type")


def fingerprint(blob: bytes) -> str:
    """``SHA256:...`` exactly as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def describe_key(blob: bytes) -> str:
    """``ED25519 SHA256:...``."""
    return f"{short_type(blob)} {fingerprint(blob)}"


def key_line(blob: bytes) -> str:
    """``type base64``, as it stands in known_hosts and ``.pub`` files."""
    return f"{key_type(blob)} {base64.b64encode(blob).decode()}"


def rsa_bits(blob: bytes) -> int:
    """The length of an RSA key; 0 for a key of another type."""
    if key_type(blob) != "ssh-rsa":
        return 0
    at = 4 + len("ssh-rsa")
    at += 4 + int.from_bytes(blob[at : at + 4], "big")  # the exponent
    size = int.from_bytes(blob[at : at + 4], "big")
    return int.from_bytes(blob[at + 4 : at + 4 + size], "big").bit_length()


def plain_type(algorithm: str) -> str:
    """The key type behind a host key algorithm: certificates and RSA's signature variants stripped."""
    if algorithm.endswith(_CERT_SUFFIX):
        algorithm = algorithm.removesuffix(_CERT_SUFFIX) + ("@openssh.com" if algorithm.startswith("sk-") else "")
    return "ssh-rsa" if algorithm in ("rsa-sha2-256", "rsa-sha2-512") else algorithm


def is_certificate(algorithm: str) -> bool:
    """True for the name of an OpenSSH certificate type."""
    return algorithm.endswith(_CERT_SUFFIX)


def host_name(host: str, port: int) -> str:
    """How known_hosts names a host: plain at port 22, ``[host]:port`` elsewhere; lower case, as ssh compares it."""
    host = host.lower()
    return host if port in (0, DEFAULT_PORT) else f"[{host}]:{port}"


def parse_key(text: str) -> bytes | None:
    """The wire format of ``type base64 [comment]``; None if that is no key, as when type and content disagree."""
    fields = text.split(None, 2)
    if len(fields) < 2:
        return None
    try:
        blob = base64.b64decode(fields[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    return blob if key_type(blob) == fields[0] else None


def parse_line(line: str, file: str, number: int) -> Entry | None:
    """One line; None for a comment and an empty one, and for a malformed one, which OpenSSH passes over too."""
    if not (fields := split_line(line)):
        return None
    marker, hosts, key = fields
    blob = parse_key(key)
    return Entry(file, number, marker, hosts, blob) if blob else None


def split_line(line: str) -> tuple[Marker, str, str] | None:
    """Marker, host field and the rest of a line, the key of which was not looked at; None if it cannot be usable."""
    line = line.strip(" \t\r")
    if not line or line.startswith("#"):
        return None
    marker = Marker.NONE
    if line.startswith("@"):
        word, _, line = line.partition(" ") if " " in line else line.partition("\t")
        if word not in (Marker.AUTHORITY, Marker.REVOKED):
            return None
        marker = Marker(word)
    fields = line.split(None, 1)
    return (marker, *fields) if len(fields) == 2 else None  # type: ignore[return-value]  # of a length that is known


def matches(name: str, hosts: str) -> bool:
    """Whether the host field of a line means ``name`` (as :func:`host_name` writes it).

    A field that begins with ``|`` is a hash of one name. Otherwise it is a list of patterns with ``*`` and ``?``, where
    a match of one that begins with ``!`` rules the line out.
    """
    if hosts.startswith("|"):
        hashed = read_hash(hosts)
        return hashed is not None and hmac.digest(hashed[0], encode_name(name), "sha1") == hashed[1]
    positive = False
    name = name.lower()
    for pattern in hosts.lower().split(","):
        if _is_like(name, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            positive = True
    return positive


def is_plain(hosts: str) -> bool:
    """Whether a host field, not a hash, means exactly the names that stand in it."""
    return not any(special in hosts for special in "*?!")


def read_hash(hosts: str) -> tuple[bytes, bytes] | None:
    """Salt and digest of a host field that begins with ``|``; None if it is none that OpenSSH writes."""
    parts = hosts.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return None
    try:
        return base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True)
    except (binascii.Error, ValueError):
        return None


def encode_name(name: str) -> bytes:
    """A name as its bytes stand in files, of which the hash is made."""
    return name.encode("utf-8", "surrogateescape")


def _is_like(name: str, pattern: str) -> bool:
    """Whether a pattern means a name; only ``*`` and ``?`` are special in it, and not ``[`` as in a shell's."""
    if "*" not in pattern and "?" not in pattern:
        return name == pattern  # nearly all, and not worth an expression each
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def hash_name(name: str, salt: bytes) -> str:
    """The host field of a line that names ``name`` without showing it; ``salt`` is 20 random bytes."""
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def judge(found: Sequence[Sequence[Entry]], key: bytes, *, authority: bytes = b"", certified: bool = False) -> Verdict:
    """What the lines that mean a host say of a key that a server presents.

    Args:
        found: the lines of the host's name; after them, for a port other than 22, those of the name without port, at
            which OpenSSH looks only where the first name has no entry, and only for a match.
        key: the plain key, in wire format.
        authority: the key that signed the certificate the server sent; empty where it sent a plain key.
        certified: the certificate itself is good: host type, signed, in time, for this host.
    """
    of_kind = {marker: [e for e in found[0] if e.marker is marker] for marker in Marker}
    if revoked := [e for e in of_kind[Marker.REVOKED] if e.key in (key, authority)]:
        return Verdict(Trust.REVOKED, tuple(revoked))
    if certified and (signer := [e for e in of_kind[Marker.AUTHORITY] if e.key == authority]):
        return Verdict(Trust.OK, tuple(signer))
    plain = of_kind[Marker.NONE]
    if same := [e for e in plain if e.key == key]:
        return Verdict(Trust.OK, tuple(same))
    if old := [e for e in plain if key_type(e.key) == key_type(key)]:
        return Verdict(Trust.CHANGED, tuple(old))
    if not plain and len(found) > 1:
        without_port = judge(found[1:], key, authority=authority, certified=certified)
        return without_port if without_port.trust in (Trust.OK, Trust.REVOKED) else Verdict(Trust.UNKNOWN)
    return Verdict(Trust.UNKNOWN, tuple(plain))


def order_algorithms(algorithms: Sequence[str], entries: Sequence[Entry]) -> tuple[str, ...]:
    """HostKeyAlgorithms with the types known for the host first, by the rule of OpenSSH's ``order_hostkeyalgs``.

    Without it a host known by its RSA key would present another one and be taken for an impostor.

    Args:
        algorithms: in the user's order.
        entries: the lines that mean the host.
    """
    known = {key_type(e.key) for e in entries if e.marker is Marker.NONE}
    if not algorithms or plain_type(algorithms[0]) in known:
        return tuple(algorithms)
    signed = any(e.marker is Marker.AUTHORITY for e in entries)
    first = [a for a in algorithms if plain_type(a) in known or (signed and is_certificate(a))]
    return (*first, *(a for a in algorithms if a not in first))
