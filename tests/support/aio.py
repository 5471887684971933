"""Asynchronous tests without a plug-in: one event loop a test, one deadline, nothing left behind."""

import asyncio
import functools
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

from support.waiting import PATIENCE

DEADLINE = 120.0

_TURNS = 20
"""After which both ends of a connection within this process have seen what the other one sent."""


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be set forward: whatever is due by then is due at once."""

    bound: asyncio.Timeout
    """The test's own deadline, which stays where it is."""

    ahead = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.slow_callback_duration = math.inf  # -X dev: a jump of the clock is no slow callback

    def time(self) -> float:
        return super().time() + self.ahead


def async_test(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine function as a test; fails after ``DEADLINE`` seconds and where tasks are left over."""

    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(DEADLINE) as _running().bound:
            await test(*args, **kwargs)
        await settle(lambda: len(asyncio.all_tasks()) == 1, "no task left over")

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(bounded(*args, **kwargs))

    return run


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
