"""Nothing unforeseen is permanent: whatever a tunnel was given to work with may raise, and it goes on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Asks, LinkLost, nobody_asked
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward, Probe, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.verdict import Judgement
from openclaw_tunnel.supervisor.tunnel import Supervisor
from support.aio import async_test, settle
from support.links import DirectLink, ScriptedConnector

QUICK = Policy(probe_retry=0.01, probe_degraded=0.01, probe_interval=0.01, dial_gap=0.0, check_timeout=0.2, drain=0.1)
DENIED = Failure(Code.AUTH_DENIED, "denied")


class Oops(Exception):
    """What nobody foresaw."""


class Breaking(DirectLink):
    """A link one of whose methods raises, as long as ``broken`` says so."""

    def __init__(self, method: str, error: BaseException) -> None:
        super().__init__()
        self.broken = True
        self._method = method
        self._error = error

    def _may_break(self, method: str) -> None:
        if self.broken and method == self._method:
            raise self._error

    async def ping(self, *, timeout: float) -> float:
        self._may_break("ping")
        return await super().ping(timeout=timeout)

    async def wait_lost(self) -> Failure:
        self._may_break("wait_lost")
        return await super().wait_lost()

    async def wait_idle(self) -> None:
        self._may_break("wait_idle")
        await super().wait_idle()

    async def close(self) -> None:
        await super().close()
        self._may_break("close")


class Linking(ScriptedConnector):
    """Its first link breaks, the others are whole."""

    def __init__(self, method: str, error: BaseException) -> None:
        super().__init__()
        self.first = (method, error)

    async def connect(self, *, asks: Asks = nobody_asked) -> DirectLink:
        link = await super().connect(asks=asks)
        assert isinstance(link, DirectLink)
        if len(self.links) == 1:
            self.links[0] = link = Breaking(*self.first)
        return link


@asynccontextmanager
async def running(connector: ScriptedConnector, **options: Any) -> AsyncIterator[Supervisor]:
    """A tunnel that asks no gateway; it stops within the test's deadline."""
    forward = Forward(Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 1))
    spec = TunnelSpec("dev", "alias", (forward,), probe=options.pop("probe", Probe.NONE), policy=QUICK)
    supervisor = Supervisor(spec, connector, backoff=lambda tries: 0.0, **options)
    supervisor.post(ev.StartRequested())
    try:
        yield supervisor
    finally:
        await supervisor.stop()
        assert supervisor.state is State.STOPPED


def reaches(supervisor: Supervisor, state: State) -> Any:
    return settle(lambda: supervisor.state is state, f"{state}")


@async_test
async def test_a_dial_that_breaks_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedConnector):
        async def connect(self, *, asks: Asks = nobody_asked) -> Any:
            self.dials += 1
            if self.dials < 20:
                raise Oops("of no use")
            return await super().connect(asks=asks)

    connector = Broken()
    async with running(connector) as supervisor:
        await reaches(supervisor, State.UP)
    assert caplog.text.count("Traceback") == 1  # one a minute, not one a dial


@pytest.mark.parametrize("error", [Oops("of no use"), LinkLost("gone"), asyncio.CancelledError()])
@pytest.mark.parametrize("method", ["wait_lost", "ping"])
def test_a_connection_that_breaks_is_replaced(method: str, error: BaseException) -> None:
    """Also one that says it is lost, and of which nobody hears the end."""

    @async_test
    async def run() -> None:
        connector = Linking(method, error)
        async with running(connector) as supervisor:
            await settle(lambda: connector.links)
            if method == "ping":
                await reaches(supervisor, State.UP)
                supervisor.post(ev.TrafficStalled(1))
            await settle(lambda: supervisor.snapshot().counters.connects == 2 and supervisor.state is State.UP)

    run()


@async_test
async def test_a_connection_that_cannot_be_closed_ends_all_the_same() -> None:
    async with running(Linking("close", Oops("of no use"))) as supervisor:
        await reaches(supervisor, State.UP)


@async_test
async def test_a_retired_connection_that_breaks_is_closed() -> None:
    connector = Linking("wait_idle", Oops("of no use"))
    async with running(connector) as supervisor:
        await reaches(supervisor, State.UP)
        await settle(lambda: supervisor.snapshot().ssh.rtt_ms)
        connector.links[0].silent = True
        supervisor.post(ev.TrafficStalled(1))  # it is given up, and kept for its last clients
        await settle(lambda: len(connector.links) == 2 and connector.links[0].closed)


@async_test
async def test_a_stop_does_not_wait_for_a_dial_that_cannot_be_given_up() -> None:
    class Deaf(ScriptedConnector):
        async def connect(self, *, asks: Asks = nobody_asked) -> Any:
            self.dials += 1
            while not self.gate.is_set():
                try:
                    await self.gate.wait()
                except asyncio.CancelledError:
                    continue
            return DirectLink()

    connector = Deaf()
    connector.gate.clear()
    async with running(connector) as supervisor:
        await settle(lambda: connector.dials)
        stopping = asyncio.get_running_loop().create_task(supervisor.stop())
        await reaches(supervisor, State.STOPPED)
        connector.gate.set()
        await stopping


@async_test
async def test_a_probe_that_breaks_is_followed_by_the_next_one() -> None:
    probes = 0

    async def prober(*_: object, **__: object) -> Judgement:
        nonlocal probes
        probes += 1
        if probes < 20:
            raise Oops("of no use")
        return Judgement(Verdict.UNKNOWN)

    async with running(ScriptedConnector(), probe=Probe.TCP, prober=prober) as supervisor:
        await reaches(supervisor, State.DEGRADED)
        failure = supervisor.failure
        assert failure is not None
        assert failure.code is Code.BUG
        await reaches(supervisor, State.UP)


@async_test
async def test_a_look_that_breaks_is_followed_by_the_next_one() -> None:
    class Blind(ScriptedConnector):
        looks = 0

        async def changed(self, *, agent: bool) -> bool:
            self.looks += 1
            if self.looks == 1:
                raise Oops("of no use")
            return True

    connector = Blind(DENIED)
    async with running(connector) as supervisor:
        await reaches(supervisor, State.FAILED)
        await reaches(supervisor, State.UP)
    assert connector.looks == 2


@async_test
async def test_whoever_is_told_may_break(caplog: pytest.LogCaptureFixture) -> None:
    def oops(*_: object) -> None:
        raise Oops("of no use")

    connector = ScriptedConnector()
    async with running(connector, on_change=oops, on_state=oops, on_settings=oops) as supervisor:
        await reaches(supervisor, State.UP)
        connector.links[0].lose()
        await settle(lambda: supervisor.snapshot().counters.connects == 2 and supervisor.state is State.UP)
    assert logging.ERROR in {record.levelno for record in caplog.records}
    assert caplog.text.count("internal error while recording a change") == 1
