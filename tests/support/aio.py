"""Asynchronous tests without a plug-in: one event loop a test, one deadline, nothing left behind."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

DEADLINE = 30.0


def async_test(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a coroutine function as a test; fails after ``DEADLINE`` seconds and where tasks are left over."""

    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(DEADLINE):
            await test(*args, **kwargs)
        await settle(lambda: len(asyncio.all_tasks()) == 1, "no task left over")

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(bounded(*args, **kwargs))

    return run


async def settle(predicate: Callable[[], object], what: str = "", deadline: float = 10.0) -> None:
    """Let the loop turn until ``predicate()`` is true.

    Raises:
        AssertionError: it never was, within ``deadline`` seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    while not predicate():
        assert loop.time() < end, f"waited {deadline:g} s for {what or predicate}"
        await _turn()


async def _turn() -> None:
    """One round of the loop, a millisecond long so that sockets get their turn."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    loop.call_later(0.001, done.set_result, None)
    await done
