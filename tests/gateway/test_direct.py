"""Which gateway is asked without a tunnel, and what goes along (gateway/direct.py)."""

import datetime
import ipaddress
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from openclaw_tunnel.ask.examine import examine
from openclaw_tunnel.errors import ConfigError, CredentialError
from openclaw_tunnel.gateway.client import SessionFailed, connect
from openclaw_tunnel.gateway.direct import configured_url, direct_route
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.openclaw.settings import OpenClawSettings, load_openclaw
from support.aio import async_test
from support.scripted import Script, scripted

PIN = "ab" * 32
EDGE = {"CF-Access-Client-Id": "id", "CF-Access-Client-Secret": {"source": "env", "provider": "default", "id": "EDGE"}}
URL = "wss://gw.example/ws"


def settings(
    folder: Path, remote: dict[str, Any], env: dict[str, str] | None = None, **gateway: Any
) -> OpenClawSettings:
    """OpenClaw's settings with this ``gateway.remote``."""
    path = folder / "openclaw.json"
    path.write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote, **gateway}}))
    return load_openclaw({"OPENCLAW_CONFIG_PATH": str(path), "HOME": str(folder), **(env or {})}, folder)


def test_which_gateway_is_meant(tmp_path: Path) -> None:
    remote = {"url": URL}
    assert configured_url(settings(tmp_path, remote)) == URL
    assert configured_url(settings(tmp_path, remote, {"OPENCLAW_GATEWAY_URL": " ws://[::1]:9 "})) == "ws://[::1]:9"
    assert configured_url(settings(tmp_path, remote, mode="local")) == "ws://127.0.0.1:18789"
    assert configured_url(settings(tmp_path, {}, port=1234)) == "ws://127.0.0.1:1234"


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("", True),
        (URL, True),
        ("https://GW.example:443/ws?x=1", True),
        ("wss://gw.example:444/ws", False),
        ("wss://gw.example/", False),
        ("wss://other.example/ws", False),
        ("ws://127.0.0.1:443/ws", False),
    ],
)
@async_test
async def test_pin_and_headers_go_to_their_own_gateway_only(tmp_path: Path, url: str, ours: bool) -> None:
    remote = {"url": URL, "tlsFingerprint": PIN, "edgeAuth": EDGE}
    route = await direct_route(settings(tmp_path, remote, {"EDGE": "s"}), url)
    assert route.pin == (bytes.fromhex(PIN) if ours else b"")
    assert route.headers == ({"CF-Access-Client-Id": "id", "CF-Access-Client-Secret": "s"} if ours else {})
    assert "'s'" not in repr(route)


@async_test
async def test_an_address_of_the_environment_gets_them_too_where_it_is_that_one(tmp_path: Path) -> None:
    for url, pin in ((URL, bytes.fromhex(PIN)), ("wss://b.example", b"")):
        found = settings(tmp_path, {"url": URL, "tlsFingerprint": PIN}, {"OPENCLAW_GATEWAY_URL": url})
        assert (await direct_route(found)).pin == pin


@async_test
async def test_headers_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=r"edgeAuth\.CF-Access-Client-Secret .*EDGE"):
        await direct_route(settings(tmp_path, {"url": URL, "edgeAuth": EDGE}))
    for value in ("a\r\nX-Evil: 1", "ü"):
        with pytest.raises(CredentialError, match="no value of a header") as caught:
            await direct_route(settings(tmp_path, {"url": URL, "edgeAuth": {"X-Key": value}}))
        assert value not in caught.value.message


@async_test
async def test_nothing_of_that_in_plain_text(tmp_path: Path) -> None:
    plain = "ws://127.0.0.1:1/"
    with pytest.raises(ConfigError, match="edgeAuth"):
        await direct_route(settings(tmp_path, {"url": plain, "edgeAuth": EDGE}))
    with pytest.raises(ConfigError, match="not encrypted"):
        await direct_route(settings(tmp_path, {"url": plain, "tlsFingerprint": PIN}))
    with pytest.raises(ConfigError, match="plain ws://"):
        await direct_route(settings(tmp_path, {"url": "ws://gw.example"}))
    with pytest.raises(ConfigError, match="fingerprint"):
        await direct_route(settings(tmp_path, {"url": URL, "tlsFingerprint": "abc"}))


def certificate(folder: Path) -> tuple[Path, str]:
    """A self-signed certificate with its key in one file, and its fingerprint."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "gateway.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return path, "sha256:" + made.fingerprint(hashes.SHA256()).hex(":")


class Noticing(Script):
    """Keeps the headers of every request."""

    def request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(dict(request.headers.raw_items()))
        return self.http.get(request.path) or super().request(connection, request)


@async_test
async def test_what_stands_before_the_gateway_gets_its_headers_with_every_request(tmp_path: Path) -> None:
    path, fingerprint = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    script = Noticing()
    async with scripted(script, ssl=context) as to:
        remote = {"url": f"wss://{to}", "tlsFingerprint": fingerprint, "edgeAuth": {"X-Edge": "pass"}}
        route = await direct_route(settings(tmp_path, remote))
        found = await examine(route, Credentials("tok"))
    assert found.failure is None
    assert len(script.headers) > 2
    assert {headers.get("X-Edge") for headers in script.headers} == {"pass"}


@async_test
async def test_over_tls_with_a_pinned_certificate(tmp_path: Path) -> None:
    path, fingerprint = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    script = Script()
    async with scripted(script, ssl=context) as to:
        remote = {"url": f"wss://{to}", "tlsFingerprint": fingerprint, "edgeAuth": {"X-Edge": "pass"}}
        route = await direct_route(settings(tmp_path, remote))
        async with connect(route, Credentials("tok")) as session:
            assert session.hello.version == "2026.9.6"
        assert script.headers[0]["X-Edge"] == "pass"

        wrong = await direct_route(settings(tmp_path, {**remote, "tlsFingerprint": PIN}))
        with pytest.raises(SessionFailed, match="another certificate"):
            async with connect(wrong, Credentials("tok")):
                pytest.fail("a gateway with another certificate was spoken to")
    assert len(script.headers) == 1
