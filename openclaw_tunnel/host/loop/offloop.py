"""Calls that may hang, such as a look at a file on a network that is away: made beside the event loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from openclaw_tunnel.host.loop.serial import Answer

T = TypeVar("T")


class OffLoop(Generic[T]):
    """Makes one call at a time, each in a thread that neither the caller nor the end of the program waits for.

    The event loop's own threads are few, and a program that ends waits for them.

    Args:
        name: what the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._busy = False

    async def run(self, call: Callable[[], T], *, timeout: float) -> T | None:
        """What ``call`` returns.

        Returns:
            None where it takes longer than ``timeout`` seconds, an earlier call has not come back yet, or there is no
            room for a thread.
        """
        if self._busy:
            return None
        answer = Answer[T]()

        def made() -> T:
            try:
                return call()
            finally:
                self._busy = False

        self._busy = True
        try:
            threading.Thread(target=answer.give, args=(made,), name=self._name, daemon=True).start()
        except RuntimeError:  # the system has no room for another one
            self._busy = False
            return None
        try:
            async with asyncio.timeout(timeout):
                return await answer.future
        except TimeoutError:
            return None
