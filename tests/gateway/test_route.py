"""The ways to a gateway without a tunnel: who is spoken to, and what is never said to anybody else."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from openclaw_tunnel.ask.examine import examine
from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import ChannelFailed
from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.gateway.client import connect
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.gateway.route import LinkRoute, Route, UrlRoute
from openclaw_tunnel.gateway.url import GatewayUrl, parse_url
from support.aio import async_test, pass_time, settle
from support.certificates import Certificate, new_certificate
from support.links import DirectLink
from support.receiver import Receiver
from support.scripted import Script, raw, scripted

TOKEN = Credentials("tok-123")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return new_certificate(tmp_path_factory.mktemp("tls"))


def secure(to: Endpoint, *, pin: bytes = b"", trust: ssl.SSLContext | None = None, host: str = "") -> UrlRoute:
    return UrlRoute(GatewayUrl(True, host or to.host, to.port), pin=pin, trust=trust)


@asynccontextmanager
async def listener(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Endpoint, bytearray, list[None]]]:
    """A server that keeps what it hears, and counts who came."""
    heard, came = bytearray(), list[None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(None)
        try:
            while data := await reader.read(1000):
                heard.extend(data)
        except OSError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]), heard, came
    finally:
        server.close()


async def failure(route: Route, timeout: float = 10.0) -> ChannelFailed:
    with pytest.raises(ChannelFailed) as caught:
        await route.open(asyncio.Protocol(), timeout=timeout)
    return caught.value


@async_test
async def test_plain_tcp_to_this_computer() -> None:
    script = Script(methods={"health": [{"ok": True}]})
    async with scripted(script) as to:
        route = UrlRoute(parse_url(f"ws://localhost:{to.port}/oc?x=1"))
        async with connect(route, TOKEN) as session:
            assert await session.call("health") == {"ok": True}
    assert script.headers[0]["Host"] == f"localhost:{to.port}"
    assert (route.name, route.layer) == (f"localhost:{to.port}", "tcp")


def test_a_pinned_certificate_is_enough(certificate: Certificate) -> None:
    """Nobody signed it, and it is for another name: the pin takes the place of all that."""

    @async_test
    async def run() -> None:
        async with scripted(Script(), ssl=certificate.server()) as to:
            found = await examine(secure(to, pin=certificate.fingerprint, host="localhost"), TOKEN)
            assert found.verdict is Verdict.HEALTHY
            assert found.layers[0].name == "tls"

    run()


def test_a_wrong_pin_says_so_and_nothing_is_sent(certificate: Certificate) -> None:
    @async_test
    async def run() -> None:
        async with listener(certificate.server()) as (to, heard, _):
            error = await failure(secure(to, pin=b"\0" * 32, trust=certificate.trust()))
            assert error.failure.code is Code.GATEWAY_IDENTITY
            assert error.failure.message == (
                f"{to} has another certificate than gateway.remote.tlsFingerprint says: "
                f"sha256:{certificate.fingerprint.hex()} (nothing was sent)"
            )
            assert "openssl x509" in error.failure.hint
            assert error.failure.exit_code == 22
            # Whatever the first connection may have said arrives before what a second one says.
            channel = await secure(to, pin=certificate.fingerprint).open(Receiver(), timeout=30)
            channel.write(b"second")
            await settle(lambda: heard)
            channel.abort()
        assert heard == b"second"

    run()


def test_a_server_that_speaks_first_is_not_heard_before_the_pin_is_checked(certificate: Certificate) -> None:
    @async_test
    async def run() -> None:
        receiver = Receiver()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.server())
        to = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(ChannelFailed):
            await secure(to, pin=b"\0" * 32).open(receiver, timeout=10)
        server.close()
        assert receiver.got == b""

    run()


def test_without_a_pin_the_certificate_has_to_be_trusted(certificate: Certificate) -> None:
    @async_test
    async def run() -> None:
        async with scripted(Script(), ssl=certificate.server()) as to:
            error = await failure(secure(to))
            assert error.failure.code is Code.GATEWAY_IDENTITY
            assert "not trusted" in error.failure.message
            assert (await examine(secure(to, trust=certificate.trust()), TOKEN)).verdict is Verdict.HEALTHY
            error = await failure(secure(to, trust=certificate.trust(), host="localhost"))
            assert error.failure.code is Code.GATEWAY_IDENTITY

    run()


def test_what_speaks_no_tls() -> None:
    @async_test
    async def run() -> None:
        async with raw(b"HTTP/1.1 400 Bad Request\r\n\r\n") as to:
            found = await examine(secure(to), TOKEN)
            assert found.verdict is Verdict.NOT_A_GATEWAY
            assert found.failure is not None
            assert "does not speak TLS" in found.failure.message
        async with listener() as (to, _, came), asyncio.TaskGroup() as group:
            group.create_task(pass_time(30, lambda: came))
            error = await failure(secure(to), timeout=30)
            assert error.failure.code is Code.GATEWAY_HOST
            assert came

    run()


@async_test
async def test_nothing_listens() -> None:
    async with listener() as (to, _, _):
        pass
    error = await failure(UrlRoute(parse_url(f"ws://{to}")))
    assert (error.failure.code, error.failure.message) == (Code.NOT_LISTENING, f"nothing listens on {to}")
    assert error.failure.hint.startswith("start the gateway on 127.0.0.1")


@async_test
async def test_a_host_that_does_not_exist() -> None:
    error = await failure(UrlRoute(parse_url("wss://no.such.host.invalid")))
    assert error.failure.code is Code.GATEWAY_HOST
    assert error.failure.exit_code == 20


@async_test
async def test_an_address_that_no_connection_can_be_made_to() -> None:
    error = await failure(UrlRoute(parse_url("wss://255.255.255.255")))
    assert error.failure.code is Code.GATEWAY_HOST
    assert error.failure.message.startswith("255.255.255.255:443 cannot be reached: ")


@pytest.mark.parametrize("options", [{"pin": b"\0" * 32}, {"headers": {"CF-Access-Client-Id": "x"}}])
def test_pins_and_secret_headers_are_for_tls(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="not encrypted"):
        UrlRoute(parse_url("ws://127.0.0.1:1"), **options)  # type: ignore[arg-type]


def test_plain_text_beyond_this_computer_is_refused_before_anything_happens() -> None:
    with pytest.raises(ConfigError, match="would show the credentials"):
        UrlRoute(parse_url("ws://10.0.0.5:18789"))
    assert UrlRoute(parse_url("ws://10.0.0.5:18789"), allow_private="1").layer == "tcp"


def test_edge_headers_travel_with_the_request(certificate: Certificate) -> None:
    @async_test
    async def run() -> None:
        script = Script()
        async with scripted(script, ssl=certificate.server()) as to:
            url = GatewayUrl(True, to.host, to.port)
            headers = {"CF-Access-Client-Secret": "edge-123"}
            route = UrlRoute(url, trust=certificate.trust(), headers=headers)
            assert "edge-123" not in repr(route)
            async with connect(route, TOKEN):
                pass
        assert script.headers[0]["CF-Access-Client-Secret"] == "edge-123"

    run()


@async_test
async def test_a_socket_on_the_far_end() -> None:
    route = LinkRoute(DirectLink(), Endpoint(path="/run/gateway.sock"))
    assert (route.name, route.host, route.layer) == ("/run/gateway.sock", "localhost", "channel")
