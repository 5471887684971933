"""The client against real gateways, in every auth mode and every state, straight and through a real sshd."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from openclaw_tunnel.ask.examine import Examination, examine
from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.client import CallRefused, connect
from openclaw_tunnel.gateway.device import load_or_create
from openclaw_tunnel.gateway.hello import Credentials, Hello
from openclaw_tunnel.gateway.route import LinkRoute, Route, UrlRoute
from openclaw_tunnel.gateway.url import parse_url
from openclaw_tunnel.ssh.connection import SshConnector
from support.aio import async_test
from support.gateway import OLD, Gateway
from support.links import DirectLink
from support.servers import Sshd
from support.sshtargets import make_spec

LOCKOUT = 30
STRICT = {
    "gateway": {
        "auth": {
            "rateLimit": {"maxAttempts": 3, "windowMs": 60_000, "lockoutMs": LOCKOUT * 1000, "exemptLoopback": False}
        },
        "nodes": {"pairing": {"autoApproveLocal": False}},
    }
}
PATIENCE = 100.0


def straight(gateway: Gateway) -> Route:
    return LinkRoute(DirectLink(), Endpoint("127.0.0.1", gateway.port))


@asynccontextmanager
async def through(sshd: Sshd, gateway: Gateway) -> AsyncIterator[Route]:
    """A channel of a real SSH connection."""
    spec = make_spec(ssh_config=str(sshd.ssh_config("gw")))
    link = await SshConnector(spec, env={"PATH": os.environ["PATH"]}).connect()
    try:
        yield LinkRoute(link, Endpoint("127.0.0.1", gateway.port))
    finally:
        await link.close()


@pytest.fixture
def ready(gateway: Gateway) -> Gateway:
    """The shared gateway, in auth mode token, letting clients in."""
    gateway.wait_ready()
    return gateway


@pytest.fixture(scope="module")
def old() -> Iterator[Gateway]:
    """A gateway that speaks protocol 3."""
    with Gateway(release=OLD) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def strict() -> Iterator[Gateway]:
    """A gateway in auth mode password that locks out, loopback as well, and approves no device by itself."""
    with Gateway("password", settings=STRICT) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def open_to_all() -> Iterator[Gateway]:
    """A gateway in auth mode none."""
    with Gateway("none") as running:
        running.wait_ready()
        yield running


def words(found: Examination) -> str:
    """Everything that is shown of an examination."""
    return str(found.to_json())


def refused(found: Examination, code: Code, credentials: str) -> None:
    assert found.verdict is Verdict.AUTH_FAILED
    assert found.failure is not None
    assert found.failure.code is code
    assert found.failure.exit_code == 31
    assert [layer.name for layer in found.layers if layer.outcome == "failed"] == ["credentials"]
    assert credentials not in words(found)


def test_through_a_real_sshd(sshd: Sshd, ready: Gateway) -> None:
    @async_test
    async def run() -> None:
        async with through(sshd, ready) as route:
            found = await examine(route, Credentials(ready.token))
            assert (found.verdict, found.version, found.protocol) == (Verdict.HEALTHY, "2026.9.6", 4)
            assert found.scopes == ("operator.read",)
            assert [layer.name for layer in found.layers] == ["channel", "http", "handshake", "credentials", "scopes"]
            refused(await examine(route, Credentials("wrong")), Code.AUTH_FAILED, "wrong")
            async with connect(route, Credentials(ready.token)) as session:
                health, status = await session.call("health"), await session.call("status")
            assert health["ok"] is True
            assert status["runtimeVersion"] == "2026.9.6"

    run()


def test_mode_token(ready: Gateway) -> None:
    @async_test
    async def run() -> None:
        route = UrlRoute(parse_url(f"ws://127.0.0.1:{ready.port}"))
        for good in (Credentials(ready.token), Credentials(password=ready.token), Credentials(ready.token, "wrong")):
            assert (await examine(route, good)).verdict is Verdict.HEALTHY
        refused(await examine(route), Code.AUTH_MISSING, ready.token)
        found = await examine(route, Credentials("wrong-token"))
        refused(found, Code.AUTH_FAILED, "wrong-token")
        assert "gateway token mismatch (provide gateway auth token)" in words(found)
        assert (await examine(route, Credentials(ready.token))).verdict is Verdict.HEALTHY

    run()


def test_calls_and_scopes(ready: Gateway) -> None:
    @async_test
    async def run() -> None:
        async with connect(straight(ready), Credentials(ready.token)) as session:
            assert (await session.call("health"))["ok"] is True
            with pytest.raises(CallRefused, match=r"missing scope: operator\.admin") as caught:
                await session.call("config.set", {"key": "x"})
            assert caught.value.judgement.verdict is Verdict.LIMITED_SCOPE
        async with connect(straight(ready), Credentials(ready.token), scopes=("operator.admin",)) as session:
            with pytest.raises(CallRefused, match=r"unknown method: no\.such\.method"):
                await session.call("no.such.method")
            schema = await session.call("config.schema", timeout=20)
            assert len(str(schema)) > 500_000

    run()


def test_scopes_nobody_grants(ready: Gateway) -> None:
    """A client without a device gets what it asks for; one that asks for nothing may do nothing but ask for health."""

    @async_test
    async def run() -> None:
        async with connect(straight(ready), Credentials(ready.token), scopes=()) as session:
            assert session.hello.scopes == ()
            assert (await session.call("health"))["ok"] is True
            with pytest.raises(CallRefused) as caught:
                await session.call("status")
            assert caught.value.judgement.verdict is Verdict.LIMITED_SCOPE
            assert caught.value.error.detail_code == "MISSING_SCOPE"

    run()


def test_a_device_is_let_in_by_its_signature(ready: Gateway) -> None:
    @async_test
    async def run() -> None:
        device = load_or_create(ready.folder)
        for _ in range(2):
            found = await examine(straight(ready), Credentials(ready.token), device=device)
            assert (found.verdict, found.scopes) == (Verdict.HEALTHY, ("operator.read",))

    run()


def test_mode_none(open_to_all: Gateway) -> None:
    @async_test
    async def run() -> None:
        for credentials in (Credentials(), Credentials("anything")):
            found = await examine(straight(open_to_all), credentials)
            assert (found.verdict, found.scopes) == (Verdict.HEALTHY, ("operator.read",))
            assert found.layers[3].text == "the gateway wants none"

    run()


def test_mode_password_pairing_and_lockout(strict: Gateway) -> None:
    """In this order: after the lockout nobody is let in for a while."""

    @async_test
    async def run() -> None:
        route, good = straight(strict), Credentials(password=strict.token)
        assert (await examine(route, good)).verdict is Verdict.HEALTHY
        assert (await examine(route, Credentials(strict.token))).verdict is Verdict.HEALTHY

        found = await examine(route, good, device=load_or_create(strict.folder))
        assert found.verdict is Verdict.PAIRING_REQUIRED
        assert found.failure is not None
        assert found.failure.exit_code == 31
        request = found.failure.facts["request"]
        assert len(request) == 36
        assert f"openclaw devices approve {request}" in found.failure.message
        assert found.failure.hint == f"on the gateway's host run: openclaw devices approve {request}"

        for _ in range(3):
            found = await examine(route, Credentials(password="wrong"))
            refused(found, Code.AUTH_FAILED, "'wrong'")
            assert "gateway password mismatch" in words(found)
            assert "gateway.remote.password" in words(found)
        found = await examine(route, good)
        refused(found, Code.RATE_LIMITED, strict.token)
        assert found.expected_in is not None
        assert 0 < found.expected_in <= LOCKOUT
        assert found.failure is not None
        assert found.failure.hint.startswith("wait ")

    run()


def test_a_gateway_of_protocol_3(sshd: Sshd, old: Gateway) -> None:
    @async_test
    async def run() -> None:
        async with through(sshd, old) as route:
            found = await examine(route, Credentials(old.token))
            assert (found.verdict, found.version, found.protocol) == (Verdict.HEALTHY, OLD, 3)
            assert found.scopes == ("operator.read",)
            async with connect(route, Credentials(old.token)) as session:
                assert (await session.call("health"))["ok"] is True
                with pytest.raises(CallRefused) as caught:
                    await session.call("no.such.method")
                assert caught.value.judgement.verdict is Verdict.LIMITED_SCOPE
        refused(await examine(straight(old), Credentials("wrong")), Code.AUTH_FAILED, "'wrong'")
        refused(await examine(straight(old), Credentials(password=old.token)), Code.AUTH_MISSING, old.token)
        refused(await examine(straight(old)), Code.AUTH_MISSING, old.token)
        device = load_or_create(old.folder)
        assert (await examine(straight(old), Credentials(old.token), device=device)).verdict is Verdict.HEALTHY

    run()


async def follow(route: Route, credentials: Credentials, until: Verdict) -> list[Examination]:
    """Examine again and again until the verdict is ``until``; what was found, without repetitions."""
    found: list[Examination] = []
    async with asyncio.timeout(PATIENCE):
        while not found or found[-1].verdict is not until:
            now = await examine(route, credentials, timeout=5)
            if not found or found[-1].verdict is not now.verdict:
                found.append(now)
    return found


def test_a_restart(ready: Gateway) -> None:
    """The gateway announces it, and is starting until it is back: never a failure, and another boot afterwards."""

    @async_test
    async def run() -> None:
        route, credentials = straight(ready), Credentials(ready.token)
        before: Hello
        async with connect(route, credentials) as session:
            before = session.hello
            ready.restart_itself()
            async with asyncio.timeout(PATIENCE):
                judged = await session.wait_closed()
            assert judged.verdict is Verdict.STARTING
            assert judged.expected_in is not None
            assert 0 < judged.expected_in < 60
            assert judged.failure is not None
            assert "is restarting, expected back in" in judged.failure.message
        found = await follow(route, credentials, Verdict.HEALTHY)
        seen = {examination.verdict for examination in found}
        # between its two lives nothing listens for some seconds
        assert seen <= {Verdict.STARTING, Verdict.NOT_LISTENING, Verdict.UNREACHABLE, Verdict.HEALTHY}
        assert Verdict.STARTING in seen
        async with connect(route, credentials) as session:
            assert session.hello.boot_id not in (None, before.boot_id)

    run()


def test_stopped_and_started(ready: Gateway) -> None:
    @async_test
    async def run() -> None:
        route, credentials = straight(ready), Credentials(ready.token)
        loop = asyncio.get_running_loop()
        async with connect(route, credentials) as session:
            stopping = loop.run_in_executor(None, ready.stop)
            async with asyncio.timeout(PATIENCE):
                judged = await session.wait_closed()
            await stopping
            assert judged.verdict is Verdict.NOT_LISTENING
            assert judged.failure is not None
            assert "gateway stopping" in judged.failure.message
        found = await examine(route, credentials)
        assert (found.verdict, found.layers[0].outcome) == (Verdict.NOT_LISTENING, "failed")
        assert found.failure is not None
        assert found.failure.exit_code == 30

    run()
    ready.start()  # returns as soon as HTTP answers: clients are let in some seconds later

    @async_test
    async def starting() -> None:
        found = await follow(straight(ready), Credentials(ready.token), Verdict.HEALTHY)
        assert (found[0].verdict, found[-1].verdict) == (Verdict.STARTING, Verdict.HEALTHY)
        assert Verdict.AUTH_FAILED not in {examination.verdict for examination in found}
        assert found[0].version == "2026.9.6"

    starting()


def test_a_gateway_that_starts_is_waited_for(gateway: Gateway) -> None:
    gateway.restart()

    @async_test
    async def run() -> None:
        async with connect(straight(gateway), Credentials(gateway.token), patient=True, timeout=PATIENCE) as session:
            assert session.hello.protocol == 4

    run()


def test_something_else_on_the_port(sshd: Sshd) -> None:
    @async_test
    async def run() -> None:
        to = Endpoint("127.0.0.1", sshd.port)
        found = await examine(LinkRoute(DirectLink(), to), Credentials("tok-123"))
        assert found.verdict is Verdict.NOT_A_GATEWAY
        assert found.failure is not None
        assert found.failure.exit_code == 32

    run()
