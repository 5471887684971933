"""The identity of this device towards gateways: an Ed25519 key of our own, and the signed ``connect`` (version 3).

Used only where the user asks for it: a gateway remembers every key that it has once let in. The rules are those
of OpenClaw 2026.9: ``deviceId`` is the SHA-256 of the raw public key in hexadecimal, keys and signatures travel as
base64url without padding.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.gateway.hello import Challenge, Who
from openclaw_tunnel.host.files import write_atomic

FILE_NAME = "device-key.pem"
_MOST = 16 * 1024


@dataclass(frozen=True, slots=True)
class Device:
    """A key pair. ``repr`` shows the public half only."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def id(self) -> str:
        """How gateways call this device: 64 hexadecimal digits."""
        return hashlib.sha256(self.public_key).hexdigest()

    def sign(
        self, challenge: Challenge, *, who: Who, scopes: tuple[str, ...], token: str, platform: str
    ) -> dict[str, Any]:
        """The ``device`` object of ``connect``.

        Args:
            scopes: exactly as they are sent, in that order.
            token: what is sent as ``auth.token``; empty where nothing is.
            platform: what is sent as ``client.platform``.
        """
        client_id, mode = who.value
        signed_at = challenge.ts
        # version | device | client | mode | role | scopes | time | token | nonce | platform | device family
        parts = ("v3", self.id, client_id, mode, "operator", ",".join(scopes), str(signed_at), token, challenge.nonce)
        text = "|".join((*parts, platform.strip().lower(), ""))
        return {
            "id": self.id,
            "publicKey": _base64url(self.public_key),
            "signature": _base64url(self.key.sign(text.encode(errors="surrogatepass"))),
            "signedAt": signed_at,
            "nonce": challenge.nonce,
        }


def load_or_create(folder: Path) -> Device:
    """The device key of ``folder`` (our state folder, which exists); a new one where there is none. Mode 0600.

    Raises:
        CredentialError: the file is there and is no Ed25519 key: it is left as it is.
        OSError: it can neither be read nor written.
    """
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            data = file.read(_MOST)
    except FileNotFoundError:
        key = Ed25519PrivateKey.generate()
        write_atomic(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
        return Device(key)
    try:
        loaded = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        loaded = None
    if not isinstance(loaded, Ed25519PrivateKey):
        raise CredentialError(
            f"{path} is no Ed25519 private key",
            hint="move it away: a new one is made, and the gateway asks for its approval once",
        )
    path.chmod(0o600)
    return Device(loaded)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
