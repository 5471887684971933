"""A server in an event loop and a thread of its own, for programs that are run from outside."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def in_thread(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Hold ``make()`` open in a thread; what it yields, once it is there."""
    started = threading.Event()
    made: list[T] = []
    ending: list[Callable[[], object]] = []

    async def live() -> None:
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        ending.append(lambda: loop.call_soon_threadsafe(end.set))
        async with make() as server:
            made.append(server)
            started.set()
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(live(),), name="server")
    thread.start()
    try:
        assert started.wait(60), "the server did not start"
        yield made[0]
    finally:
        ending[0]()
        thread.join(60)
        assert not thread.is_alive(), "the server did not end"
