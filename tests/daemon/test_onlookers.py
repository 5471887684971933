"""Commands that look at a tunnel, or wait for it."""

import asyncio

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.daemon.onlookers import look, watch
from openclaw_tunnel.supervisor.tunnel import Supervisor
from support.aio import async_test, settle
from support.links import ScriptedConnector

REFUSED = Failure(Code.REFUSED, "refused")
NOT_CONFIRMED = Failure(Code.NOT_CONFIRMED, "nobody touched the key")


class Watched:
    """A tunnel that dials at most every 20 ms, and what an onlooker of it is shown."""

    def __init__(self, *script: Failure | None) -> None:
        self.connector = ScriptedConnector(*script)
        self.changed = asyncio.Event()
        self.states: list[str] = []
        forward = Forward(Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 1))
        spec = TunnelSpec("dev", "alias", (forward,), policy=Policy(dial_gap=0.02))
        self.supervisor: Supervisor | None = Supervisor(
            spec, self.connector, backoff=lambda tries: 3600.0, on_change=self._note
        )

    def _note(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def emit(self, tunnel: Snapshot) -> None:
        self.states.append(tunnel.state)

    def watch(self, *, waits: bool, asks: bool = True) -> "asyncio.Future[None]":
        return asyncio.ensure_future(  # noqa: TID251  the test keeps it
            watch(lambda: self.supervisor, lambda: self.changed, self.emit, waits=waits, asks=asks)
        )


async def started(*script: Failure | None) -> tuple[Watched, Supervisor]:
    watched = Watched(*script)
    supervisor = watched.supervisor
    assert supervisor is not None
    from openclaw_tunnel.core import events as ev

    supervisor.post(ev.StartRequested())
    return watched, supervisor


@async_test
async def test_whoever_waits_has_it_tried_again_and_again() -> None:
    watched, supervisor = await started(*[REFUSED] * 5)
    await settle(lambda: supervisor.state is State.BACKOFF)
    waiting = watched.watch(waits=True)
    await settle(lambda: watched.connector.links)
    assert watched.connector.dials == 6
    watched.supervisor = None
    await supervisor.stop()
    await waiting


@async_test
async def test_whoever_waits_is_shown_how_the_next_try_ends_not_the_last_one() -> None:
    """At most one dial a second: the next one may not begin at once."""
    watched, supervisor = await started(NOT_CONFIRMED)
    await settle(lambda: supervisor.state is State.FAILED)
    waiting = watched.watch(waits=True)
    await settle(lambda: watched.states[-1:] == ["verifying"])
    assert "failed" not in watched.states
    watched.supervisor = None
    await supervisor.stop()
    await waiting


@async_test
async def test_where_the_next_try_is_far_away_whoever_waits_is_shown_the_last_one() -> None:
    """A script that waits in a loop asks a person, or fails to log in, only now and then."""
    from openclaw_tunnel.core import events as ev

    watched, supervisor = await started(*[NOT_CONFIRMED] * 9)
    for _ in range(8):
        await settle(lambda: supervisor.state is State.FAILED)
        supervisor.post(ev.StartRequested())
    await settle(lambda: watched.connector.dials == 9 and supervisor.state is State.FAILED)
    waiting = watched.watch(waits=True)
    await settle(lambda: watched.states)
    assert watched.states == ["failed"]
    assert 10.0 < (supervisor.snapshot().retry.next_in_s or 0.0) <= 60.0
    watched.supervisor = None
    await supervisor.stop()
    await waiting


@async_test
async def test_whoever_waits_sees_how_a_long_dial_ended_before_the_next_one() -> None:
    """The next one may begin at once, because somebody waits."""
    watched, supervisor = await started(REFUSED, REFUSED)
    await settle(lambda: supervisor.state is State.BACKOFF)
    watched.connector.gate.clear()
    waiting = watched.watch(waits=True)
    await settle(lambda: watched.connector.dials == 2)
    seen = asyncio.get_running_loop().time()
    await settle(lambda: asyncio.get_running_loop().time() > seen + 0.05)  # longer than the gap between two dials
    watched.connector.gate.set()
    await settle(lambda: "verifying" in watched.states)
    assert "backoff" in watched.states
    watched.supervisor = None
    await supervisor.stop()
    await waiting


@async_test
async def test_a_command_that_has_just_caused_a_dial_causes_no_second_one() -> None:
    """``restart`` of a tunnel that asks a person: one prompt, also where it was refused before the command looks."""
    watched, supervisor = await started(NOT_CONFIRMED)
    await settle(lambda: supervisor.state is State.FAILED)
    waiting = watched.watch(waits=True, asks=False)
    await settle(lambda: watched.states == ["failed"])
    assert not supervisor.about_to_dial
    assert watched.connector.dials == 1
    watched.supervisor = None
    await supervisor.stop()
    await waiting


@async_test
async def test_whoever_only_watches_hurries_nothing() -> None:
    watched, supervisor = await started(REFUSED)
    await settle(lambda: supervisor.state is State.BACKOFF)
    watching = watched.watch(waits=False, asks=False)
    await settle(lambda: watched.states)
    assert watched.states == ["backoff"]
    assert watched.connector.dials == 1
    watched.supervisor = None
    await supervisor.stop()
    await watching


@async_test
async def test_a_tunnel_that_asked_a_person_is_tried_once_for_each_who_waits() -> None:
    watched, supervisor = await started(NOT_CONFIRMED, NOT_CONFIRMED, NOT_CONFIRMED)
    await settle(lambda: supervisor.state is State.FAILED)
    waiting = watched.watch(waits=True)
    await settle(lambda: watched.connector.dials == 2 and supervisor.state is State.FAILED)
    assert supervisor.snapshot().retry.next_in_s is None
    look([supervisor, None])
    await settle(lambda: watched.connector.dials == 3 and supervisor.state is State.FAILED)
    waiting.cancel()
    await asyncio.wait([waiting])
    await supervisor.stop()
