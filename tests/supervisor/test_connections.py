"""supervisor/connections.py: what becomes of each command, told by the number of its attempt."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Asks, LinkLost, nobody_asked
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec
from openclaw_tunnel.core.status import RECENT, SshStatus
from openclaw_tunnel.supervisor.connections import Connections
from support.aio import async_test, settle
from support.links import LOST, DirectLink, ScriptedConnector

REFUSED = Failure(Code.REFUSED, "refused")
HERE = Endpoint("127.0.0.1", 9)


@asynccontextmanager
async def connections(connector: ScriptedConnector) -> AsyncIterator[tuple[Connections, list[ev.Event]]]:
    policy = Policy(check_slow=0.01, check_timeout=10.0)
    spec = TunnelSpec("dev", "alias", (Forward(HERE, HERE),), policy=policy, address="me@h:22")
    events: list[ev.Event] = []
    made = Connections(spec, connector, post=events.append, logger=logging.getLogger(__name__))
    try:
        yield made, events
    finally:
        await made.close_all()


async def until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def opened(made: Connections, events: list[ev.Event], connector: ScriptedConnector) -> DirectLink:
    made.open(1)
    await settle(lambda: events == [ev.Connected(1)])
    events.clear()
    await made.measure(1)
    return connector.links[0]


@async_test
async def test_a_dial_ends_in_a_connection_or_a_failure() -> None:
    connector = ScriptedConnector(REFUSED)
    async with connections(connector) as (made, events):
        made.open(1)
        made.open(2)
        await settle(lambda: events == [ev.ConnectFailed(1, REFUSED.with_facts(name="dev")), ev.Connected(2)])
        assert made.link(1) is None
        assert made.link(2) is connector.links[0]
        assert made.rtt_ms(2) is None
        assert made.status(1) == SshStatus()
        connector.links[0].lose()
        await settle(lambda: events[2:] == [ev.ConnectionLost(2, LOST)])
        assert made.link(2) is None


@async_test
async def test_some_round_trips_are_remembered_the_oldest_first() -> None:
    connector = ScriptedConnector()
    async with connections(connector) as (made, events):
        link = await opened(made, events, connector)
        for number in range(RECENT + 3):
            link.rtt = number / 1000
            await made.measure(1)
        link.silent = True
        await made.measure(1)
        status = made.status(1)
        assert (status.connected, status.server, status.cipher) == (True, link.server.version, link.server.cipher)
        assert status.rtt_recent_ms == tuple(float(n) for n in range(3, RECENT + 3))
        assert status.rtt_ms == made.rtt_ms(1) == RECENT + 2


@async_test
async def test_a_dial_that_is_closed_says_only_that() -> None:
    connector = ScriptedConnector()
    connector.gate.clear()
    async with connections(connector) as (made, events):
        made.open(1)
        await settle(lambda: connector.dials == 1)
        made.close(1)
        await settle(lambda: events == [ev.ConnectionClosed(1)])
        connector.gate.set()
        assert connector.links == []


@async_test
async def test_closing_is_told_once_and_is_no_loss() -> None:
    connector = ScriptedConnector()
    async with connections(connector) as (made, events):
        link = await opened(made, events, connector)
        made.close(1)
        await settle(lambda: events == [ev.ConnectionClosed(1)])
        assert link.closed
        made.close(7)  # never heard of
        await settle(lambda: events[1:] == [ev.ConnectionClosed(7)])


@async_test
async def test_a_check_is_answered_slowly_or_not_at_all() -> None:
    connector = ScriptedConnector()
    async with connections(connector) as (made, events):
        link = await opened(made, events, connector)
        made.check(1)
        await settle(lambda: events == [ev.ConnectionAnswered(1)])
        link.slow = asyncio.get_running_loop().create_future()
        made.check(1)
        await settle(lambda: events[1:] == [ev.ConnectionSlow(1)])
        link.slow.set_result(None)
        await settle(lambda: events[2:] == [ev.ConnectionAnswered(1)])
        link.silent = True
        made.check(1)
        await settle(lambda: len(events) == 4)
        silent = events[3]
        assert isinstance(silent, ev.ConnectionSilent)
        assert silent.failure.code is Code.KEEPALIVE_TIMEOUT
        assert "me@h:22" in silent.failure.message


@async_test
async def test_one_that_never_answered_a_question_is_not_condemned_for_it() -> None:
    connector = ScriptedConnector()
    async with connections(connector) as (made, events):
        made.open(1)
        await settle(lambda: events == [ev.Connected(1)])
        connector.links[0].silent = True
        made.check(1)
        await settle(lambda: events[1:] == [ev.ConnectionAnswered(1)])


@async_test
async def test_a_check_of_what_is_lost_meanwhile_leaves_the_word_to_the_loss() -> None:
    connector = ScriptedConnector()
    async with connections(connector) as (made, events):
        link = await opened(made, events, connector)
        link.slow = asyncio.get_running_loop().create_future()
        made.check(1)
        link.lose()
        await settle(lambda: events[-1:] == [ev.ConnectionLost(1, LOST)])
        assert events[:-1] in ([], [ev.ConnectionSlow(1)])  # which a busy computer may have been
        link.slow.set_result(None)
        told = list(events)
        made.check(1)
        made.retire(1, 10.0)
        await made.measure(1)
        assert events == told


@async_test
async def test_a_retired_connection_goes_when_idle() -> None:
    connector = ScriptedConnector()
    async with connections(connector) as (made, events):
        link = await opened(made, events, connector)
        server = await asyncio.start_server(until_the_end, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        channel = await link.open_channel("127.0.0.1", port, asyncio.Protocol(), timeout=30)
        made.retire(1, 10.0)
        assert (made.link(1), link.closed) == (None, False)
        channel.close()
        await settle(lambda: link.closed)
        assert events == []
        server.close()


@async_test
async def test_a_retired_connection_goes_when_it_is_lost() -> None:
    connector = ScriptedConnector()
    async with connections(connector) as (made, events):
        link = await opened(made, events, connector)
        link.slow = asyncio.get_running_loop().create_future()
        link.hang = asyncio.get_running_loop().create_future()
        opening = asyncio.get_running_loop().create_task(link.open_channel("h", 9, asyncio.Protocol(), timeout=30))
        made.retire(1, 10.0)
        with pytest.raises(LinkLost):
            await opening
        link.lose()
        await settle(lambda: link.closed)
        link.slow.set_result(None)
        assert events == []


@async_test
async def test_a_connection_that_cannot_be_closed_is_no_obstacle(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(DirectLink):
        async def close(self) -> None:
            await super().close()
            raise OSError("of no use")

    class Connector(ScriptedConnector):
        async def connect(self, *, asks: Asks = nobody_asked) -> DirectLink:
            return Broken()

    async with connections(Connector()) as (made, events):
        made.open(1)
        await settle(lambda: events == [ev.Connected(1)])
    assert "internal error while closing a connection" in caplog.text
