"""The long-running parts of a process as one tree: who runs, since when, and in which order they stop.

A part is named and started here, and stopped after every part that was started later. At DEBUG the log says of each
when it began and when it ended. Nothing is started again by the tree: a part that can fail for a while tries again by
itself, and one that cannot go on ends its owner.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None] | None]


@dataclass(slots=True)
class _Part:
    stop: Step
    inner: "Parts | None" = None
    began: float = field(default_factory=time.monotonic)


class Parts:
    """The parts of one owner, in the order in which they were started."""

    def __init__(self, path: str = "") -> None:
        """A tree without parts. Args: ``path`` goes before the names of its parts."""
        self._path = path
        self._parts: dict[str, _Part] = {}

    def __str__(self) -> str:
        """The tree on one line."""
        shown = {name: "" if part.inner is None else f" ({part.inner})" for name, part in self._parts.items()}
        return ", ".join(name + inner for name, inner in shown.items()) or "none"

    async def start(self, name: str, begin: Step, stop: Step) -> None:
        """Start a part, which ``stop`` ends.

        Raises:
            whatever ``begin`` raises: then there is no such part.
        """
        await _done(begin())
        self.add(name, stop)

    def add(self, name: str, stop: Step) -> None:
        """Take a part that runs already; see :meth:`start`."""
        self._take(name, _Part(stop))

    def branch(self, name: str, stop: Step | None = None) -> "Parts":
        """A part that consists of others, none to begin with.

        Args:
            stop: ends them all; by default the last one first.
        """
        inner = Parts(f"{self._path}{name}: ")
        self._take(name, _Part(stop or inner.stop_all, inner))
        return inner

    def run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """A part that is a task. One that fails is logged with its traceback; the others go on."""
        task = asyncio.get_running_loop().create_task(work, name=name)

        async def stop() -> None:
            task.cancel()
            await asyncio.wait({task})

        part = _Part(stop)
        self._take(name, part)
        task.add_done_callback(lambda _: self._ended(name, part, task))

    async def stop(self, name: str) -> None:
        """Stop one part; fine where there is none of that name."""
        if part := self._parts.get(name):
            try:
                await _done(part.stop())
            finally:
                self._forget(name, part)

    async def stop_all(self) -> None:
        """Stop every part, the last one first.

        Raises:
            whatever the first of those raises that cannot be stopped, after all others were.
        """
        problem: Exception | None = None
        while self._parts:
            name = next(reversed(self._parts))
            try:
                await self.stop(name)
            except Exception as error:
                log.exception("%s%s did not stop in order", self._path, name)
                problem = problem or error
        if problem is not None:
            raise problem

    def _take(self, name: str, part: _Part) -> None:
        self._parts[name] = part
        log.debug("%s%s runs", self._path, name)

    def _forget(self, name: str, part: _Part) -> None:
        if self._parts.get(name) is part:
            del self._parts[name]
            log.debug("%s%s ended after %.1f s", self._path, name, time.monotonic() - part.began)

    def _ended(self, name: str, part: _Part, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("task %s failed", name, exc_info=problem)
        self._forget(name, part)


async def _done(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result
