"""Asynchronous tests without a plug-in: one event loop a test, one deadline, nothing left behind."""

import asyncio
import functools
import math
import os
import selectors
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import openclaw_tunnel
from openclaw_tunnel.host.loop.watch import LongTurn, LoopWatch
from support.waiting import PATIENCE

Test = TypeVar("Test", bound=Callable[..., Any])

DEADLINE = 120.0

LONGEST_TURN = 0.25
"""Seconds of processor time for a turn of the loop. The program's own budget (``host.loop.watch.BUDGET``) is a fifth of
that, and has tests of its own: here the loop also carries the other end of each connection, and the test."""

_COMPUTING: set[Callable[..., Any]] = set()
_PROGRAM = os.path.join(os.path.dirname(openclaw_tunnel.__file__), "")
_TESTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")

_TURNS = 20
"""After which both ends of a connection within this process have seen what the other one sent."""


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be set forward: whatever is due by then is due at once."""

    bound: asyncio.Timeout
    """The test's own deadline, which stays where it is."""

    ahead = 0.0

    def __init__(self, selector: selectors.BaseSelector) -> None:
        super().__init__(selector)
        self.slow_callback_duration = math.inf  # -X dev: a jump of the clock is no slow callback

    def time(self) -> float:
        return super().time() + self.ahead


def async_test(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine function as a test; fails after ``DEADLINE`` seconds, where tasks are left over, and where the
    program has kept the loop to itself for ``LONGEST_TURN``."""

    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(DEADLINE) as _running().bound:
            await test(*args, **kwargs)
        await settle(lambda: len(asyncio.all_tasks()) == 1, "no task left over")

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        long: list[LongTurn] = []
        selector = selectors.DefaultSelector()
        watch = LoopWatch(selector, long.append, LONGEST_TURN)
        with asyncio.Runner(loop_factory=lambda: _Loop(selector)) as runner, watch:
            runner.run(bounded(*args, **kwargs))
        fail = [str(turn) for turn in long if is_of_program(turn.stack)] if test not in _COMPUTING else []
        assert not fail, "\n".join(fail)

    return run


def computes(test: Test) -> Test:
    """Mark a test, below ``async_test``: what it does to the program keeps the loop busy by its nature."""
    _COMPUTING.add(test)
    return test


def is_of_program(stack: Sequence[traceback.FrameSummary]) -> bool:
    """Whether the program was at work there, not a test or what a test has called."""
    ours = [frame.filename for frame in stack if frame.filename.startswith((_PROGRAM, _TESTS))]
    return not ours or ours[-1].startswith(_PROGRAM)


def _running() -> _Loop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)
    return loop


async def pass_time(seconds: float, predicate: Callable[[], object], what: str = "") -> None:
    """Let ``seconds`` pass on the loop's clock as soon as ``predicate()`` is true.

    For deadlines of the program: the test gives a long one, which no busy computer misses, and lets it pass when
    the program is where the deadline shall find it.
    """
    await settle(predicate, what)
    for _ in range(_TURNS):
        await _turn()
    loop = _running()
    loop.bound.reschedule((loop.bound.when() or 0.0) + seconds)
    loop.ahead += seconds


async def settle(predicate: Callable[[], object], what: str = "", deadline: float = 10.0) -> None:
    """Let the loop turn until ``predicate()`` is true.

    Args:
        deadline: seconds that it takes at most on an idle computer; a busy one gets ``PATIENCE`` times as much.

    Raises:
        AssertionError: it never was.
    """
    end = time.monotonic() + deadline * PATIENCE
    while not predicate():
        assert time.monotonic() < end, f"waited {deadline * PATIENCE:g} s for {what or predicate}"
        await _turn()


async def _turn() -> None:
    """One round of the loop, a millisecond long so that sockets get their turn."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    loop.call_later(0.001, done.set_result, None)
    await done
