"""A whole tunnel, from local port to server, with a scripted connector in place of SSH."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Asks, nobody_asked
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward, Probe, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Role, Verdict, Was
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.host.walltime import utc_now
from openclaw_tunnel.relay.bind import BindFailed
from openclaw_tunnel.supervisor.tunnel import Supervisor
from support.aio import async_test, settle
from support.links import LOST, DirectLink, ScriptedConnector
from support.scripted import Script, hello, scripted
from support.waiting import accepts, free_port

REFUSED = Failure(Code.REFUSED, "gateway.example:22 refused the connection")
AGENT_AWAY = Failure(Code.AGENT_UNREACHABLE, "the SSH agent cannot be asked")
UNKNOWN_KEY = Failure(Code.HOST_KEY_UNKNOWN, "the host key of gateway.example is not known")
FORBIDDEN = Failure(Code.FORWARDING_FORBIDDEN, "the server forbids forwarding")
QUICK = Policy(probe_retry=0.01, probe_degraded=0.01, dial_gap=0.05, probe_timeout=30.0)


class FakeGateway:
    """Answers as a gateway does while ``healthy``; can stop listening."""

    def __init__(self) -> None:
        self.port = free_port()
        self.page = False
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # a probe that is given up hangs up without a word
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            writer.write(self._answer((await reader.readuntil(b"\r\n\r\n")).split()[1]))
        writer.close()

    def _answer(self, path: bytes) -> bytes:
        bodies = {b"/healthz": '{"ok":true,"status":"live"}', b"/startupz": '{"status":"started","version":"2026.9.6"}'}
        kind, body = "application/json", bodies.get(path, "{}")
        if self.page:
            kind, body = "text/html", "<html></html>"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return (head + body).encode()


@asynccontextmanager
async def tunnel(connector: ScriptedConnector, **options: Any) -> AsyncIterator[tuple[Supervisor, FakeGateway]]:
    gateway = FakeGateway()
    backoff = options.pop("backoff", lambda tries: 0.0 if tries <= 1 else 30.0)
    if options.pop("gateway", True):
        await gateway.start()
    spec = TunnelSpec(
        name="dev",
        target="alias",
        address="me@gateway.example:22",
        forwards=(
            Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", gateway.port)),
            *options.pop("others", ()),
        ),
        policy=options.pop("policy", QUICK),
        **options,
    )
    supervisor = Supervisor(spec, connector, backoff=backoff)
    await supervisor.start()
    try:
        yield supervisor, gateway
    finally:
        await supervisor.stop()
        await gateway.stop()


def reaches(supervisor: Supervisor, state: State) -> Any:
    return settle(lambda: supervisor.state is state, f"{state}, is {supervisor.state}")


async def get(supervisor: Supervisor, port: int = 0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port or supervisor.spec.main.listen.port)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()


@async_test
async def test_the_gateway_s_other_ports_come_with_it_and_go_with_the_tunnel() -> None:
    async with tunnel(ScriptedConnector(), browser=True) as (supervisor, _gateway):
        browser = supervisor.spec.main.listen.port + 2
        await settle(lambda: len(supervisor.snapshot().forwards) == 2)
        shown = supervisor.snapshot().forwards[1]
        assert (shown.listen, shown.role, shown.listening) == (f"127.0.0.1:{browser}", Role.BROWSER, True)
        assert await asyncio.to_thread(accepts, browser)
        await supervisor.stop()
        assert not await asyncio.to_thread(accepts, browser)


@async_test
async def test_no_other_port_is_taken_before_the_gateway_is_well() -> None:
    async with tunnel(ScriptedConnector(), browser=True, gateway=False) as (supervisor, gateway):
        await reaches(supervisor, State.DEGRADED)
        assert len(supervisor.snapshot().forwards) == 1
        await gateway.start()
        await settle(lambda: len(supervisor.snapshot().forwards) == 2)


@async_test
async def test_widgets_are_expected_of_a_gateway_that_says_it_shows_them() -> None:
    """Nothing listens behind it yet: the port is taken as soon as the gateway has told its methods."""
    script = Script(answer=hello(features={"methods": ["health", "board.get"]}))

    async def token() -> Credentials:
        return Credentials(token="secret")

    async with scripted(script, port=free_port()) as to:
        forward = Forward(Endpoint("127.0.0.1", free_port()), to)
        spec = TunnelSpec("dev", "alias", (forward,), policy=QUICK, sandbox=True)
        supervisor = Supervisor(spec, ScriptedConnector(), credentials=token)
        await supervisor.start()
        await settle(lambda: len(supervisor.snapshot().forwards) == 2)
        shown = supervisor.snapshot().forwards[1]
        assert (shown.listen, shown.role) == (f"127.0.0.1:{to.port + 1}", Role.SANDBOX)
        assert shown.listening, shown.note
        await supervisor.stop()


@async_test
async def test_up_and_down() -> None:
    connector = ScriptedConnector()
    async with tunnel(connector) as (supervisor, _gateway):
        await reaches(supervisor, State.UP)
        assert b'"live"' in await get(supervisor)
        await settle(lambda: supervisor.snapshot().ssh.rtt_ms == 1.0)
        shown = supervisor.snapshot()
        assert shown.target == "me@gateway.example:22"
        assert shown.ssh.connected
        assert shown.ssh.server == "Fake_1.0"
        assert shown.gateway.verdict is Verdict.HEALTHY
        assert shown.gateway.version == "2026.9.6"
        assert shown.failure is None
        assert (shown.counters.connects, shown.counters.losses) == (1, 0)
        assert shown.forwards[0].listening
        await supervisor.stop()
        assert supervisor.state is State.STOPPED
        assert connector.links[0].closed
        with pytest.raises(ConnectionRefusedError):
            await get(supervisor)


@async_test
async def test_a_lost_link_is_replaced_at_once_and_the_port_stays() -> None:
    connector = ScriptedConnector()
    async with tunnel(connector) as (supervisor, _):
        await reaches(supervisor, State.UP)
        connector.gate.clear()
        connector.links[0].lose()
        await settle(lambda: connector.dials == 2)
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(get(supervisor)) for _ in range(50)]
            await settle(lambda: supervisor.snapshot().forwards[0].clients.waiting == 50)
            connector.gate.set()
        assert all(b'"live"' in answer.result() for answer in answers)
        shown = supervisor.snapshot()
        assert (shown.counters.connects, shown.counters.losses, shown.counters.held_clients) == (2, 1, 50)


@async_test
async def test_the_log_tells_of_each_change_how_long_the_state_lasted_and_why_it_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "openclaw_tunnel")
    connector = ScriptedConnector()
    async with tunnel(connector) as (supervisor, _):
        await reaches(supervisor, State.UP)
        connector.links[0].lose()
        await settle(lambda: connector.dials == 2)
        await reaches(supervisor, State.UP)
    took = r"(\d+ms|\d\.\ds|\d+s)"
    for line in (
        r"dev: stopped -> connecting",
        rf"dev: connecting -> verifying after {took}",
        rf"dev: up -> backoff after {took} \(the connection was lost\), retry at once",
        rf"dev: stopping -> stopped after {took}",
    ):
        assert [message for message in caplog.messages if re.fullmatch(line, message)], (line, caplog.messages)


@async_test
async def test_a_client_hurries_the_reconnect() -> None:
    """The backoff is 30 s; a client is served in a fraction of a second."""
    connector = ScriptedConnector(REFUSED, REFUSED)
    async with tunnel(connector) as (supervisor, _):
        await settle(lambda: supervisor.state is State.BACKOFF and connector.dials == 2)
        shown = supervisor.snapshot()
        assert shown.retry.attempt == 2
        assert shown.retry.next_in_s is not None
        assert 29 < shown.retry.next_in_s <= 30
        assert shown.failure is not None
        assert (shown.failure.code, shown.failure.permanent) == ("refused", False)
        assert b'"live"' in await get(supervisor)
        assert connector.dials == 3
        assert supervisor.snapshot().retry.attempt == 0


@async_test
async def test_how_long_it_has_been_away_counts_through_all_tries() -> None:
    connector = ScriptedConnector(None, REFUSED, REFUSED)
    async with tunnel(connector) as (supervisor, _):
        await reaches(supervisor, State.UP)
        assert supervisor.snapshot().down_since is None
        connector.links[0].lose()
        await settle(lambda: supervisor.state is State.BACKOFF and connector.dials == 2)
        away = supervisor.snapshot().down_since
        assert away is not None
        await settle(lambda: utc_now() > away, "the next second")
        supervisor.post(ev.StartRequested())
        await settle(lambda: supervisor.state is State.BACKOFF and connector.dials == 3)
        assert supervisor.snapshot().since > away
        assert supervisor.snapshot().down_since == away
        supervisor.post(ev.StartRequested())
        assert supervisor.snapshot().last_failure is None
        await reaches(supervisor, State.UP)
        assert supervisor.snapshot().down_since is None
        past = supervisor.snapshot().last_failure
        assert past is not None
        assert (past.was, past.message, past.at) == (Was.LOST, LOST.message, away)


@async_test
async def test_clients_that_wait_go_on_hurrying() -> None:
    """Each failed dial is followed by another while somebody waits, though the backoff says 30 s."""
    connector = ScriptedConnector(*[REFUSED] * 6)
    async with tunnel(connector) as (supervisor, _):
        assert b'"live"' in await get(supervisor)
        assert connector.dials == 7


@async_test
async def test_gateway_down_is_degraded_and_the_link_lives() -> None:
    connector = ScriptedConnector()
    async with tunnel(connector, gateway=False) as (supervisor, gateway):
        await reaches(supervisor, State.DEGRADED)
        shown = supervisor.snapshot()
        assert shown.ssh.connected
        assert shown.gateway.verdict is Verdict.NOT_LISTENING
        assert shown.failure is not None
        assert shown.failure.code == "not_listening"
        assert shown.failure.exit_code == 30
        assert "alias" in shown.failure.hint
        await gateway.start()
        await reaches(supervisor, State.UP)
        await gateway.stop()
        # a refused client is told, and makes the tunnel look at once, not in 15 s
        assert b'"code": "not_listening"' in await get(supervisor)
        await reaches(supervisor, State.DEGRADED)
        await gateway.start()
        await reaches(supervisor, State.UP)
        assert connector.dials == 1


@async_test
async def test_a_web_page_is_no_gateway() -> None:
    async with tunnel(ScriptedConnector()) as (supervisor, gateway):
        gateway.page = True
        supervisor.post(ev.ProbeDue(1))
        await reaches(supervisor, State.DEGRADED)
        assert supervisor.snapshot().gateway.verdict is Verdict.NOT_A_GATEWAY
        assert supervisor.failure is not None
        assert supervisor.failure.exit_code == 32


@pytest.mark.parametrize(("probe", "up"), [(Probe.TCP, False), (Probe.NONE, True)])
def test_what_up_means_is_a_choice(probe: Probe, up: bool) -> None:
    @async_test
    async def run() -> None:
        async with tunnel(ScriptedConnector(), gateway=False, probe=probe) as (supervisor, gateway):
            await reaches(supervisor, State.UP if up else State.DEGRADED)
            await gateway.start()
            gateway.page = True
            await reaches(supervisor, State.UP)
            assert b"<html>" in await get(supervisor)

    run()


@async_test
async def test_forbidden_forwarding_fails() -> None:
    class Forbidding(ScriptedConnector):
        async def connect(self, *, asks: Asks = nobody_asked) -> DirectLink:
            link = await super().connect(asks=asks)
            assert isinstance(link, DirectLink)
            link.refuse = FORBIDDEN
            return link

    connector = Forbidding()
    async with tunnel(connector) as (supervisor, _):
        await reaches(supervisor, State.FAILED)
        assert supervisor.failure is not None
        assert supervisor.failure.exit_code == 24
        await settle(lambda: connector.links[0].closed, "the useless connection is closed")


@async_test
async def test_a_permanent_failure_waits_for_the_file_to_change(tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    connector = ScriptedConnector(UNKNOWN_KEY)
    connector.files = (str(known_hosts),)
    async with tunnel(connector) as (supervisor, _):
        await reaches(supervisor, State.FAILED)
        assert b'"code": "host_key_unknown"' in await get(supervisor)  # nobody waits for what cannot come
        assert connector.dials == 1
        known_hosts.write_text("gateway.example ssh-ed25519 AAAA")
        await reaches(supervisor, State.UP)
        assert not supervisor.failure


@async_test
async def test_an_agent_that_is_started_later_ends_the_backoff() -> None:
    """A service begins before the agent of the session: it comes up with the agent, not up to a minute later."""
    connector = ScriptedConnector(AGENT_AWAY, AGENT_AWAY)
    async with tunnel(connector, backoff=lambda tries: 0.0 if tries <= 1 else 3600.0) as (supervisor, _):
        await settle(lambda: connector.dials == 2 and supervisor.state is State.BACKOFF)
        connector.agent_keys = (b"a key",)
        await reaches(supervisor, State.UP)


@async_test
async def test_only_clients_of_the_gateway_are_told_why() -> None:
    """What another forward carries is not ours to answer, even where it speaks HTTP."""
    other = Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", 1))
    async with tunnel(ScriptedConnector(UNKNOWN_KEY), others=(other,)) as (supervisor, _):
        await reaches(supervisor, State.FAILED)
        assert (await get(supervisor)).startswith(b"HTTP/1.1 503 ")
        with pytest.raises(ConnectionResetError):
            await get(supervisor, other.listen.port)


@async_test
async def test_restart_makes_a_new_connection_and_keeps_the_port() -> None:
    connector = ScriptedConnector()
    async with tunnel(connector) as (supervisor, _):
        await reaches(supervisor, State.UP)
        connector.gate.clear()
        supervisor.post(ev.RestartRequested())
        client = asyncio.get_running_loop().create_task(get(supervisor))
        await settle(lambda: connector.links[0].closed)
        connector.gate.set()
        assert b'"live"' in await client
        await reaches(supervisor, State.UP)
        shown = supervisor.snapshot()
        assert (shown.counters.connects, shown.counters.losses) == (2, 0)


@async_test
async def test_stop_gives_a_dial_up() -> None:
    connector = ScriptedConnector()
    connector.gate.clear()
    async with tunnel(connector) as (supervisor, _):
        await settle(lambda: connector.dials == 1)
        await supervisor.stop()
        assert supervisor.state is State.STOPPED
        assert connector.links == []


@async_test
async def test_a_server_that_answers_no_pings_is_up_without_a_round_trip_time() -> None:
    class Silent(ScriptedConnector):
        async def connect(self, *, asks: Asks = nobody_asked) -> DirectLink:
            link = await super().connect(asks=asks)
            assert isinstance(link, DirectLink)
            link.silent = True
            return link

    async with tunnel(Silent()) as (supervisor, _):
        await reaches(supervisor, State.UP)
        assert supervisor.snapshot().ssh.rtt_ms is None


@async_test
async def test_a_connection_on_which_nothing_answers_is_replaced() -> None:
    connector = ScriptedConnector()
    async with tunnel(connector) as (supervisor, _):
        await settle(lambda: supervisor.snapshot().ssh.rtt_ms == 1.0)
        connector.links[0].silent = True
        connector.links[0].refuse = Failure(Code.TIMEOUT, "no channel in time")
        supervisor.post(ev.ProbeDue(1))
        await settle(lambda: supervisor.snapshot().counters.connects == 2)
        await reaches(supervisor, State.UP)
        assert supervisor.snapshot().counters.losses == 1
        assert connector.links[0].closed


@async_test
async def test_a_gateway_that_hangs_does_not_cost_the_connection() -> None:
    connector = ScriptedConnector()
    async with tunnel(connector) as (supervisor, _):
        await settle(lambda: supervisor.snapshot().ssh.rtt_ms == 1.0)
        connector.links[0].refuse = Failure(Code.TIMEOUT, "no channel in time")
        supervisor.post(ev.ProbeDue(1))
        await reaches(supervisor, State.DEGRADED)
        assert supervisor.snapshot().counters.losses == 0


@async_test
async def test_a_broken_connector_is_a_bug_that_says_so_and_is_tried_again() -> None:
    class Broken(ScriptedConnector):
        async def connect(self, *, asks: Asks = nobody_asked) -> DirectLink:
            raise ZeroDivisionError("oops")

    async with tunnel(Broken()) as (supervisor, _):
        await reaches(supervisor, State.BACKOFF)
        assert supervisor.failure is not None
        assert supervisor.failure.exit_code == 70


@async_test
async def test_a_second_forward_that_cannot_be_bound_leaves_no_port_behind() -> None:
    first = free_port()
    taken = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    second = taken.sockets[0].getsockname()[1]
    to = Endpoint("127.0.0.1", 9)
    forwards = tuple(Forward(Endpoint("127.0.0.1", port), to) for port in (first, second))
    supervisor = Supervisor(TunnelSpec("dev", "alias", forwards), ScriptedConnector())
    with pytest.raises(BindFailed):
        await supervisor.start()
    (await asyncio.start_server(lambda r, w: None, "127.0.0.1", first)).close()
    taken.close()


class BrokenLink(DirectLink):
    """A link that cannot even be closed."""

    async def close(self) -> None:
        await super().close()
        raise OSError("of no use")


class BrokenConnector(ScriptedConnector):
    async def connect(self, *, asks: Asks = nobody_asked) -> DirectLink:
        return BrokenLink()


@async_test
async def test_a_link_that_breaks_while_it_is_closed_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async with tunnel(BrokenConnector()) as (supervisor, _):
        await settle(lambda: supervisor.state is State.UP)
        await supervisor.stop()
        assert supervisor.state is State.STOPPED
    assert "internal error while closing a connection" in caplog.text


# Is it still there?

WATCHFUL = replace(QUICK, stall=0.05, check_slow=0.02, check_timeout=10.0, dial_gap=0.0)


def lines_server(answers: bool) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Sends each line back; or reads and says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if answers:
                writer.write(line)
        writer.close()

    return serve


@asynccontextmanager
async def line_tunnel(connector: ScriptedConnector, *, answers: bool = True) -> AsyncIterator[Supervisor]:
    """A tunnel that is up, has measured a round trip, and leads to a server of lines."""
    server = await asyncio.start_server(lines_server(answers), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    forward = Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", port))
    spec = TunnelSpec("dev", "alias", (forward,), address="me@h:22", policy=WATCHFUL, probe=Probe.NONE)
    supervisor = Supervisor(spec, connector, backoff=lambda tries: 0.0 if tries <= 1 else 30.0)
    await supervisor.start()
    try:
        await settle(lambda: supervisor.snapshot().ssh.rtt_ms == 1.0)
        yield supervisor
    finally:
        await supervisor.stop()
        server.close()


async def line_client(supervisor: Supervisor) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", supervisor.spec.main.listen.port)


async def echoes(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], line: bytes) -> bool:
    client[1].write(line)
    return await client[0].readline() == line


@async_test
async def test_unanswered_clients_on_a_dead_connection_are_noticed() -> None:
    """The keepalive would take 45 s; a client that was not read yet is served over the next connection."""
    connector = ScriptedConnector()
    async with line_tunnel(connector, answers=False) as supervisor:
        _, writer = await line_client(supervisor)
        connector.links[0].silent = True
        writer.write(b"anybody there?\n")
        await settle(lambda: supervisor.snapshot().counters.losses == 1)
        await settle(lambda: connector.links[0].closed)
        await reaches(supervisor, State.UP)
        assert connector.dials == 2
        writer.close()


@async_test
async def test_a_connection_that_fell_silent_keeps_its_clients_for_a_while() -> None:
    """The network was gone for some seconds: new clients are served over a new connection, the download goes on."""
    connector = ScriptedConnector()
    async with line_tunnel(connector) as supervisor:
        old = await line_client(supervisor)
        assert await echoes(old, b"one\n")
        slow = connector.links[0].slow = asyncio.get_running_loop().create_future()
        supervisor.post(ev.TrafficStalled(1))
        supervisor.post(ev.ConnectionSilent(1, REFUSED))
        await settle(lambda: supervisor.link in connector.links[1:])
        assert supervisor.snapshot().counters.losses == 1
        new = await line_client(supervisor)
        assert await echoes(new, b"two\n")
        slow.set_result(None)
        assert await echoes(old, b"three\n")
        old[1].close()
        await settle(lambda: connector.links[0].closed, "the old connection's end")
        new[1].close()


@async_test
async def test_a_slow_answer_on_a_live_connection_is_no_outage() -> None:
    connector = ScriptedConnector()
    async with line_tunnel(connector, answers=False) as supervisor:
        _, writer = await line_client(supervisor)
        writer.write(b"think about it\n")
        pings = connector.links[0].pings
        await settle(lambda: connector.links[0].pings > pings, "the question to the SSH server")
        writer.write(b"and about this\n")
        pings = connector.links[0].pings
        await settle(lambda: connector.links[0].pings > pings, "the next question")
        assert supervisor.state is State.UP
        assert supervisor.snapshot().counters.losses == 0
        writer.close()


@async_test
async def test_a_channel_that_does_not_open_is_unanswered_too() -> None:
    connector = ScriptedConnector()
    async with line_tunnel(connector) as supervisor:
        connector.links[0].hang = asyncio.get_running_loop().create_future()
        connector.links[0].silent = True
        client = await line_client(supervisor)
        assert await echoes(client, b"served by the second connection\n")
        assert supervisor.snapshot().counters.losses == 1
        client[1].close()


@async_test
async def test_make_before_break(caplog: pytest.LogCaptureFixture) -> None:
    """Old clients stay with the old connection, new ones get the new one, and the old one goes with its last client."""
    caplog.set_level("INFO")
    connector = ScriptedConnector()
    async with line_tunnel(connector) as supervisor:
        old = await line_client(supervisor)
        assert await echoes(old, b"one\n")
        connector.links[0].slow = asyncio.get_running_loop().create_future()
        supervisor.network_changed(frozenset({"192.0.2.8"}))
        await settle(lambda: supervisor.snapshot().counters.connects == 2)
        assert supervisor.state is State.UP
        assert supervisor.link is connector.links[1]
        assert "dev: a new connection took over" in caplog.text
        connector.links[0].slow.set_result(None)
        new = await line_client(supervisor)
        assert await echoes(new, b"two\n")
        assert await echoes(old, b"three\n")
        assert [len(link.channels) for link in connector.links] == [1, 1]
        assert not connector.links[0].closed
        old[1].close()
        await settle(lambda: connector.links[0].closed, "the old connection to be closed")
        assert await echoes(new, b"four\n")
        counters = supervisor.snapshot().counters
        assert (counters.connects, counters.losses) == (2, 0)
        new[1].close()


@async_test
async def test_after_sleep_a_late_answer_is_overtaken_by_a_second_connection() -> None:
    connector = ScriptedConnector()
    async with line_tunnel(connector) as supervisor:
        connector.links[0].slow = asyncio.get_running_loop().create_future()
        supervisor.post(ev.Woke())
        await settle(lambda: supervisor.link in connector.links[1:])
        await settle(lambda: connector.dials == 2)
        connector.links[0].slow.set_result(None)
        await settle(lambda: connector.links[0].closed)
        assert supervisor.snapshot().counters.losses == 0


@async_test
async def test_a_retired_connection_that_answers_no_more_is_closed() -> None:
    connector = ScriptedConnector()
    async with line_tunnel(connector) as supervisor:
        reader, writer = await line_client(supervisor)
        assert await echoes((reader, writer), b"one\n")
        connector.links[0].slow = asyncio.get_running_loop().create_future()
        supervisor.network_changed(frozenset({"192.0.2.8"}))
        await settle(lambda: supervisor.link in connector.links[1:])
        connector.links[0].slow.set_exception(TimeoutError())
        await settle(lambda: connector.links[0].closed)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert supervisor.state is State.UP
        assert supervisor.snapshot().counters.losses == 0


@async_test
async def test_stop_closes_retired_connections_too() -> None:
    connector = ScriptedConnector()
    async with line_tunnel(connector) as supervisor:
        old = await line_client(supervisor)
        assert await echoes(old, b"one\n")
        connector.links[0].slow = asyncio.get_running_loop().create_future()
        supervisor.network_changed(frozenset())
        await settle(lambda: supervisor.snapshot().counters.connects == 2)
        await supervisor.stop()
        assert [link.closed for link in connector.links] == [True, True]
        old[1].close()


@async_test
async def test_a_change_that_leaves_our_address_alone_only_asks() -> None:
    connector = ScriptedConnector()
    async with line_tunnel(connector) as supervisor:
        pings = connector.links[0].pings
        supervisor.network_changed(frozenset({"192.0.2.7"}))
        await settle(lambda: connector.links[0].pings > pings)
        supervisor.network_changed(None)
        assert (connector.dials, supervisor.state) == (1, State.UP)
