"""The device key: where it lies, what it signs."""

import base64
import hashlib
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.gateway.device import FILE_NAME, Device, load_or_create
from openclaw_tunnel.gateway.hello import Challenge, Who


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_it_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first = load_or_create(tmp_path)
    path = tmp_path / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert load_or_create(tmp_path).id == first.id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_id_is_the_hash_of_the_public_key() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    device = Device(key)
    assert device.public_key.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert device.id == hashlib.sha256(device.public_key).hexdigest()


def test_what_is_signed() -> None:
    device = Device(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    challenge = Challenge("n-1", 1795328452695)
    sent = device.sign(
        challenge, who=Who.CLI, scopes=("operator.read", "operator.write"), token="tok", platform="Linux"
    )
    assert {name: sent[name] for name in ("id", "signedAt", "nonce")} == {
        "id": device.id,
        "signedAt": 1795328452695,
        "nonce": "n-1",
    }
    text = f"v3|{device.id}|cli|cli|operator|operator.read,operator.write|1795328452695|tok|n-1|linux|"
    public = Ed25519PublicKey.from_public_bytes(decoded(sent["publicKey"]))
    public.verify(decoded(sent["signature"]), text.encode())
    with pytest.raises(InvalidSignature):
        public.verify(decoded(sent["signature"]), text.replace("tok", "kot").encode())


def test_a_token_of_any_kind_can_be_signed() -> None:
    device = Device(Ed25519PrivateKey.generate())
    assert device.sign(Challenge("n", 0), who=Who.CLI, scopes=(), token="\ud800", platform="x")["signature"]


def test_the_private_half_is_not_shown() -> None:
    assert "key" not in repr(Device(Ed25519PrivateKey.generate()))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 40_000])
def test_a_file_that_is_no_key_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(CredentialError, match="no Ed25519 private key"):
        load_or_create(tmp_path)
    assert path.read_bytes() == content


def test_a_key_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / FILE_NAME).write_bytes(other)
    with pytest.raises(CredentialError):
        load_or_create(tmp_path)
