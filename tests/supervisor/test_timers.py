"""supervisor/timers.py: the clocks of a machine."""

import asyncio

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.supervisor.timers import Timers
from support.aio import async_test, settle


@async_test
async def test_each_runs_out_with_its_own_event() -> None:
    events: list[ev.Event] = []
    timers = Timers(events.append)
    for number, timer in enumerate(do.Timer):
        timers.start(timer, 0.0, number)
    await settle(lambda: len(events) == 3)
    assert set(events) == {ev.RetryDue(0), ev.HurryDue(1), ev.ProbeDue(2)}


@async_test
async def test_one_that_is_set_again_runs_out_once() -> None:
    events: list[ev.Event] = []
    timers = Timers(events.append)
    timers.start(do.Timer.RETRY, 0.0, 1)
    timers.start(do.Timer.RETRY, 0.0, 2)
    await settle(lambda: events)
    assert events == [ev.RetryDue(2)]
    assert not timers.runs(do.Timer.RETRY)


@async_test
async def test_the_next_dial_is_the_earlier_of_two() -> None:
    timers = Timers(lambda event: None)
    assert timers.next_dial_in() is None
    timers.start(do.Timer.PROBE, 1.0, 1)
    assert timers.next_dial_in() is None
    timers.start(do.Timer.RETRY, 3000.0, 1)
    timers.start(do.Timer.HURRY, 2000.0, 1)
    left = timers.next_dial_in()
    assert left is not None
    assert 0 < left <= 2000
    assert timers.runs(do.Timer.HURRY)
    assert timers.runs(do.Timer.HURRY, within=2000.0)
    assert not timers.runs(do.Timer.HURRY, within=10.0)
    timers.cancel_all()
    assert timers.next_dial_in() is None
    assert not timers.runs(do.Timer.HURRY)
    await asyncio.sleep(0)
