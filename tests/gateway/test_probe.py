"""One GET over a link, against servers that behave and servers that do not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import LinkLost
from openclaw_tunnel.core.spec import Endpoint, Forward, Probe, TunnelSpec
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.answer import MAX_ANSWER
from openclaw_tunnel.gateway.http import get
from openclaw_tunnel.gateway.probe import probe
from openclaw_tunnel.gateway.route import LinkRoute
from openclaw_tunnel.gateway.watch import GatewayWatch
from support.aio import async_test, pass_time
from support.links import DirectLink
from support.oddanswers import HEALTHY, NOT_A_GATEWAY, UNREACHABLE, Pieces, odd_gateway, well
from support.ports import free_port

Say = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
LIVE = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{"ok":true,"status":"live"}'


@asynccontextmanager
async def server(say: Say) -> AsyncIterator[Endpoint]:
    """A server that calls ``say`` with the request's path and stays open until the client leaves."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # a client may leave at any time
            head = await reader.readuntil(b"\r\n\r\n")
            await say(head.split()[1], writer)
            await reader.read()
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Endpoint("127.0.0.1", running.sockets[0].getsockname()[1])
    finally:
        running.close()


async def live(path: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(LIVE)


async def silent(path: bytes, writer: asyncio.StreamWriter) -> None:
    pass


async def endless(path: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (4 * MAX_ANSWER))


async def other_protocol(path: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")


async def drip(path: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")


@async_test
async def test_an_answer_is_complete_when_its_length_says_so() -> None:
    """The server keeps the connection open; nobody waits for its end."""
    async with server(live) as to:
        answer = await get(LinkRoute(DirectLink(), to), "/healthz", timeout=20)
        assert answer is not None
        assert answer.body == b'{"ok":true,"status":"live"}'


@async_test
async def test_silence_is_no_answer() -> None:
    async with server(silent) as to:
        assert await get(LinkRoute(DirectLink(), to), "/healthz", timeout=0.05) is None


@async_test
async def test_half_an_answer_is_what_it_is() -> None:
    async with server(drip) as to, asyncio.TaskGroup() as group:
        link = DirectLink()
        group.create_task(pass_time(30, lambda: link.channels))
        answer = await get(LinkRoute(link, to), "/healthz", timeout=30)
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"{")


@async_test
async def test_more_than_a_gateway_would_say_is_cut() -> None:
    async with server(endless) as to:
        answer = await get(LinkRoute(DirectLink(), to), "/healthz", timeout=20)
        assert answer is not None
        assert len(answer.body) <= MAX_ANSWER


@pytest.mark.parametrize(
    ("say", "kind", "verdict", "code"),
    [
        (live, Probe.GATEWAY, Verdict.HEALTHY, None),
        (other_protocol, Probe.GATEWAY, Verdict.NOT_A_GATEWAY, Code.NOT_A_GATEWAY),
        (silent, Probe.GATEWAY, Verdict.UNREACHABLE, Code.GATEWAY_UNREACHABLE),
        (silent, Probe.TCP, Verdict.UNKNOWN, None),
        (silent, Probe.NONE, Verdict.UNKNOWN, None),
    ],
)
def test_probe(say: Say, kind: Probe, verdict: Verdict, code: Code | None) -> None:
    @async_test
    async def run() -> None:
        async with server(say) as to:
            result = await probe(DirectLink(), kind, to, timeout=0.2 if say is silent else 30)
            assert result.verdict is verdict
            assert (result.failure.code if result.failure else None) is code
            assert (result.latency is None) is (code is not None or kind is Probe.NONE)

    run()


@async_test
async def test_nothing_listens() -> None:
    to = Endpoint("127.0.0.1", free_port())
    for kind in (Probe.GATEWAY, Probe.TCP):
        result = await probe(DirectLink(), kind, to, timeout=1)
        assert result.verdict is Verdict.NOT_LISTENING
        assert result.failure is not None
        assert result.failure.code is Code.NOT_LISTENING


@async_test
async def test_a_gateway_that_stops_between_two_questions() -> None:
    link = DirectLink()
    stop: list[asyncio.Server] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        stop[0].close()
        writer.write(LIVE)
        await reader.read()
        writer.close()

    to = Endpoint("127.0.0.1", free_port())
    stop.append(await asyncio.start_server(once, to.host, to.port))
    result = await probe(link, Probe.GATEWAY, to, timeout=30)
    assert result.verdict is Verdict.HEALTHY
    assert result.version is None


@async_test
async def test_a_lost_link_says_nothing_about_the_gateway() -> None:
    async with server(live) as to:
        link = DirectLink()
        link.lose()
        with pytest.raises(LinkLost):
            await probe(link, Probe.GATEWAY, to, timeout=1)


ODD = [
    *((name, says, Verdict.NOT_A_GATEWAY, False) for name, says in NOT_A_GATEWAY.items()),
    *((name, says, Verdict.UNREACHABLE, False) for name, says in UNREACHABLE.items()),
    *((f"{name}, and silence", says, Verdict.UNREACHABLE, True) for name, says in UNREACHABLE.items()),
    *((name, says, Verdict.HEALTHY, False) for name, says in HEALTHY.items()),
]


@pytest.mark.parametrize(("says", "verdict", "stays"), [case[1:] for case in ODD], ids=[case[0] for case in ODD])
def test_an_odd_answer_has_a_verdict_and_the_next_one_too(says: Pieces, verdict: Verdict, stays: bool) -> None:
    """What a tunnel knows of its gateway before, during and after it; a gateway that goes away then is noticed."""

    @async_test
    async def run() -> None:
        async with odd_gateway() as (gateway, to):
            link = DirectLink()
            watch = GatewayWatch(TunnelSpec("dev", "alias", (Forward(Endpoint("127.0.0.1", 1), to),)))
            watch.connected()
            seen = []
            for what in (well, says, well):
                gateway.says, gateway.stays = what, stays and what is says
                failure = await watch.probe(link, timeout=0.1 if gateway.stays else 20)
                assert (failure is None) == (watch.status().verdict is Verdict.HEALTHY)
                seen.append(watch.status().verdict)
            assert seen == [Verdict.HEALTHY, verdict, Verdict.HEALTHY]
        assert (await watch.probe(link, timeout=20)) is not None
        assert watch.status().verdict is Verdict.NOT_LISTENING

    run()
