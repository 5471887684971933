"""Sleep shows as one clock that gets ahead of the other. The clocks are the test's own here."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_tunnel.host.net.wake import Clocks, Reading, WakeWatch, slept, system_clocks
from support.aio import async_test, settle


class Computer:
    """Two clocks, one of which stands still in sleep; ``comparisons`` counts how often they were read."""

    def __init__(self) -> None:
        self.now = Reading(1000.0, 5000.0)
        self.comparisons = 0

    def work(self, seconds: float) -> None:
        self.now = Reading(self.now.awake + seconds, self.now.always + seconds)

    def sleep(self, seconds: float) -> None:
        self.now = Reading(self.now.awake, self.now.always + seconds)

    def watch(self, on_wake: Callable[[float], None]) -> WakeWatch:
        return WakeWatch(on_wake, clocks=Clocks(self._awake, lambda: self.now.always), every=0.001)

    def _awake(self) -> float:
        self.comparisons += 1
        return self.now.awake


@pytest.mark.parametrize(
    ("before", "now", "seconds"),
    [
        ((10, 10), (11, 11), None),
        ((10, 10), (11, 3611), 3600),
        ((10, 500), (11, 501), None),
        ((10, 500), (10, 501.5), 1.5),
        ((10, 500), (10, 501.49), None),
        ((10, 500), (3610, 4100.5), None),
        ((10, 500), (13, 501), None),
        ((10, 10), (10, 10), None),
        ((1e6, 2e6), (1e6 + 1, 4e6 + 1), 2e6),
    ],
)
def test_sleep_is_what_one_clock_gets_ahead(
    before: tuple[float, float], now: tuple[float, float], seconds: float | None
) -> None:
    assert slept(Reading(*before), Reading(*now)) == seconds


def test_this_computer_does_not_sleep_while_it_works() -> None:
    first = system_clocks().read()
    second = system_clocks().read()
    assert second.awake >= first.awake
    assert second.always >= first.always
    assert slept(first, second) is None


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="the clocks are known by name")
def test_the_two_clocks_are_two() -> None:
    clocks = system_clocks()
    assert clocks.awake is not clocks.always


@pytest.mark.skipif(sys.platform == "darwin", reason="here they are")
def test_where_a_clock_is_missing_no_sleep_shows() -> None:
    clocks = system_clocks("darwin")
    assert clocks.awake is clocks.always


@async_test
async def test_each_sleep_is_told_once() -> None:
    computer, told = Computer(), list[float]()
    watch = computer.watch(told.append)
    watch.start()
    computer.sleep(60)
    await settle(lambda: told == [60])
    seen = computer.comparisons
    computer.work(5)
    await settle(lambda: computer.comparisons > seen + 10)
    computer.sleep(2)
    await settle(lambda: len(told) > 1)
    assert told == [60, 2]
    watch.close()


@async_test
async def test_short_naps_do_not_add_up() -> None:
    computer, told = Computer(), list[float]()
    watch = computer.watch(told.append)
    watch.start()
    for _ in range(5):
        seen = computer.comparisons
        computer.sleep(0.7)
        await settle(lambda: computer.comparisons > seen + 1)  # noqa: B023 - settled before the next round
    assert told == []
    watch.close()


@async_test
async def test_the_time_before_the_start_does_not_count() -> None:
    computer, told = Computer(), list[float]()
    watch = computer.watch(told.append)
    computer.sleep(60)
    watch.start()
    await settle(lambda: computer.comparisons > 3)
    assert told == []
    watch.close()


@async_test
async def test_a_start_too_many_changes_nothing() -> None:
    computer, told = Computer(), list[float]()
    watch = computer.watch(told.append)
    watch.start()
    watch.start()
    computer.sleep(60)
    seen = computer.comparisons
    await settle(lambda: computer.comparisons > seen + 5)
    assert told == [60]
    watch.close()


@async_test
async def test_after_the_end_nothing_is_told_until_the_next_start() -> None:
    computer, told, others = Computer(), list[float](), list[float]()
    watch, other = computer.watch(told.append), computer.watch(others.append)
    watch.start()
    other.start()
    watch.close()
    watch.close()
    computer.sleep(60)
    await settle(lambda: others == [60])
    other.close()
    watch.start()
    computer.sleep(30)
    await settle(lambda: told)
    assert told == [30]
    watch.close()


@async_test
async def test_the_watch_may_be_closed_by_what_it_tells() -> None:
    computer, told, others = Computer(), list[float](), list[float]()

    def last(seconds: float) -> None:
        told.append(seconds)
        watch.close()

    watch, other = computer.watch(last), computer.watch(others.append)
    watch.start()
    other.start()
    computer.sleep(60)
    await settle(lambda: told and others)
    computer.sleep(60)
    await settle(lambda: len(others) == 2)
    assert told == [60]
    other.close()


@async_test
async def test_a_listener_that_fails_is_told_again() -> None:
    computer, told, problems = Computer(), list[float](), list[Any]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context["exception"]))

    def fail(seconds: float) -> None:
        told.append(seconds)
        raise LookupError

    watch = computer.watch(fail)
    watch.start()
    computer.sleep(60)
    await settle(lambda: told == [60])
    computer.sleep(30)
    await settle(lambda: told == [60, 30])
    watch.close()
    assert [type(problem) for problem in problems] == [LookupError, LookupError]
