"""Private key files: what can be known of one without its passphrase, and whether it may be used."""

import base64
import os
import stat
from dataclasses import dataclass
from enum import StrEnum

import asyncssh

from openclaw_tunnel.ssh import asyncssh_seams as seams
from openclaw_tunnel.ssh.hostkeys.knownhosts import is_certificate, key_line, key_type, parse_key, rsa_bits
from openclaw_tunnel.ssh_config.target import SshTarget

_MARK = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_LARGEST = 1 << 20


class KeyState(StrEnum):
    """What can be done with a key file."""

    READY = "ready"
    PUBLIC = "public"  # only the public half is here: usable if the agent holds the key
    LOCKED = "locked"  # encrypted
    TOUCH = "touch"  # lives on a security key
    EXPOSED = "exposed"  # others can read it: ssh does not use such a key either
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One IdentityFile or CertificateFile that exists.

    Attributes:
        path: as ssh_config names it.
        state: what can be done with it.
        public: the public key in wire format; empty where it cannot be told.
        certificate: the user certificate beside it (``path-cert.pub``) or in it; empty for none.
        problem: what is wrong with an EXPOSED or UNUSABLE one, for the message.
    """

    path: str
    state: KeyState
    public: bytes = b""
    certificate: bytes = b""
    problem: str = ""


def look_at_files(target: SshTarget) -> tuple[list[KeyFile], list[KeyFile]]:
    """The key files and the certificates of a destination that are there; of a key file that the user has named, also
    that it is not there or too short."""
    certificates = [found for path in target.certificate_files if (found := read_certificate_file(path))]
    return [found for path in target.identity_files if (found := _look_at(path, target))], certificates


def _look_at(path: str, target: SshTarget) -> KeyFile | None:
    file = read_key_file(path)
    if file is None and target.identity_files_explicit:
        return KeyFile(path, KeyState.UNUSABLE, problem="does not exist")
    required = target.required_rsa_size
    if file and 0 < rsa_bits(file.public) < required:
        return KeyFile(path, KeyState.UNUSABLE, problem=f"has less than the {required} bits of RequiredRSASize")
    return file


def read_key_file(path: str) -> KeyFile | None:
    """Look at an IdentityFile the way ssh does; None if there is nothing of that name."""
    public = _read_public(path + ".pub")
    certificate = _read_certificate(path + "-cert.pub")
    try:
        with open(path, "rb") as file:
            content, mode = file.read(_LARGEST), os.fstat(file.fileno())
    except FileNotFoundError:
        return KeyFile(path, KeyState.PUBLIC, public, certificate) if public else None
    except OSError as exc:
        return KeyFile(path, KeyState.UNUSABLE, public, certificate, f"cannot be read: {exc.strerror}")
    if b"PRIVATE KEY-----" not in content:
        return _public_file(path, content)
    if mode.st_uid == os.getuid() and stat.S_IMODE(mode.st_mode) & 0o077:
        problem = f"can be read by others (mode {stat.S_IMODE(mode.st_mode):04o})"
        return KeyFile(path, KeyState.EXPOSED, public, certificate, problem)
    state, embedded, problem = _examine(content)
    return KeyFile(path, state, embedded or public, certificate, problem)


def read_certificate_file(path: str) -> KeyFile | None:
    """A CertificateFile as a public half with its certificate; None if it is missing or no user certificate."""
    blob = _read_certificate(path)
    return KeyFile(path, KeyState.PUBLIC, certified_key(blob), blob) if blob else None


def load_private_key(path: str) -> asyncssh.SSHKey:
    """The key of a READY file.

    Raises:
        OSError, ValueError: the file has changed since it was looked at.
    """
    with open(path, "rb") as file:
        return asyncssh.import_private_key(file.read(_LARGEST))


def certified_key(blob: bytes) -> bytes:
    """The plain public key, in wire format, inside a certificate; empty if it cannot be read."""
    try:
        return import_certificate(blob).key.public_data
    except ValueError:
        return b""


def import_certificate(blob: bytes) -> asyncssh.SSHCertificate:
    """A certificate from its wire format.

    Raises:
        ValueError: it is none.
    """
    return asyncssh.import_certificate(key_line(blob))


def _examine(content: bytes) -> tuple[KeyState, bytes, str]:
    """State, public key and problem of a private key that was read."""
    public = _embedded_public(content)
    if key_type(public).startswith("sk-"):
        return KeyState.TOUCH, public, ""
    try:
        return KeyState.READY, asyncssh.import_private_key(content).public_data, ""
    except asyncssh.KeyImportError as exc:
        if seams.needs_passphrase(exc):
            return KeyState.LOCKED, public, ""
        return KeyState.UNUSABLE, public, f"is no usable private key: {exc}"
    except asyncssh.KeyEncryptionError as exc:
        return KeyState.UNUSABLE, public, f"is encrypted in a way that is not supported: {exc}"


def _embedded_public(content: bytes) -> bytes:
    """The public key that OpenSSH's own format holds beside the encrypted private one (PROTOCOL.key)."""
    _, mark, rest = content.partition(_MARK)
    try:
        data = base64.b64decode(rest.partition(b"-----END")[0]) if mark else b""
    except ValueError:
        return b""
    if not data.startswith(_MAGIC):
        return b""
    at = len(_MAGIC)
    for _ in range(3):  # cipher, kdf, options of the kdf
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    at += 4  # how many keys; always one
    size = int.from_bytes(data[at : at + 4], "big")
    blob = data[at + 4 : at + 4 + size]
    return blob if key_type(blob) else b""


def _public_file(path: str, content: bytes) -> KeyFile:
    blob = _first_key(content)
    if not blob:
        return KeyFile(path, KeyState.UNUSABLE, problem="is no private key")
    if is_certificate(key_type(blob)):
        return KeyFile(path, KeyState.PUBLIC, certified_key(blob), blob)
    return KeyFile(path, KeyState.PUBLIC, blob)


def _read_public(path: str) -> bytes:
    blob = _first_key(_read(path))
    return b"" if is_certificate(key_type(blob)) else blob


def _read_certificate(path: str) -> bytes:
    blob = _first_key(_read(path))
    return blob if is_certificate(key_type(blob)) else b""


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""  # a public half is a convenience: ssh passes over one it cannot read, too


def _first_key(content: bytes) -> bytes:
    for line in content.decode("utf-8", "replace").splitlines():
        if blob := parse_key(line):
            return blob
    return b""
