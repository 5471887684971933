"""Turns of the event loop that take too much of its thread's time: all clients and all pings wait meanwhile.

Processor time is what counts, as a busy computer makes every turn long: what a turn waits for (a file that does not
come) is not seen here. This is for debugging and for tests: to read the clock at each turn costs a microsecond.
"""

import asyncio
import contextlib
import logging
import selectors
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger(__name__)

BUDGET = 0.05
"""Seconds of processor time for one turn."""

_LOOK_EVERY = 0.01


@dataclass(frozen=True, slots=True)
class LongTurn:
    """A turn that was over its budget.

    Attributes:
        seconds: of processor time.
        stack: where it was when half the budget was spent; empty where nobody could look, as when one call into C
            has kept the interpreter to itself.
    """

    seconds: float
    stack: traceback.StackSummary

    def __str__(self) -> str:
        """The stack as in a traceback."""
        where = "".join(self.stack.format()) or "  (where is not known: one call into C, maybe)\n"
        return f"a turn of the event loop took {self.seconds * 1000:.0f} ms of processor time:\n{where}".rstrip()


@dataclass(slots=True)
class _Turn:
    """One turn under way; begins when the loop wakes up."""

    begun: float
    stack: traceback.StackSummary = field(default_factory=traceback.StackSummary)


class LoopWatch(selectors.BaseSelector):
    """A selector for the loop to watch, and a context manager: it is watched meanwhile.

    A loop leaves its selector when a turn begins, and comes back to it when the turn ends.

    Args:
        selector: does the work.
        report: called for each turn that was over the budget, in the loop's thread.
        budget: seconds of processor time.
    """

    def __init__(
        self, selector: selectors.BaseSelector, report: Callable[[LongTurn], None], budget: float = BUDGET
    ) -> None:
        self._selector = selector
        self._report = report
        self._budget = budget
        self._turn: _Turn | None = None
        self._thread_of_loop = 0
        self._clock = time.perf_counter
        self._over = threading.Event()
        self._looking: threading.Thread | None = None

    def __enter__(self) -> "LoopWatch":
        """Begin; in the loop's thread."""
        self._thread_of_loop = threading.get_ident()
        self._clock = _clock_of(self._thread_of_loop)
        self._looking = threading.Thread(target=self._look, name="watch of the event loop", daemon=True)
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._looking:
            self._looking.join()
        self._looking = self._turn = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """A turn has ended; return when there is something to do in the next one."""
        turn, self._turn = self._turn, None
        if turn and (spent := self._clock() - turn.begun) > self._budget:
            self._report(LongTurn(spent, turn.stack))
        events = self._selector.select(timeout)
        if self._looking:
            self._turn = _Turn(self._clock())
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """See ``selectors.BaseSelector``, as for all that follow."""
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map() or {}  # None once it is closed

    def close(self) -> None:
        self._selector.close()

    def _look(self) -> None:
        """Note where a turn is that has spent half of its budget."""
        while not self._over.wait(_LOOK_EVERY):
            turn = self._turn
            if turn and not turn.stack and self._clock() - turn.begun > self._budget / 2:
                stack = _stack_of(self._thread_of_loop)
                if self._turn is turn:  # else the turn has ended meanwhile
                    turn.stack = stack


def _stack_of(ident: int) -> traceback.StackSummary:
    """Where a thread is; its frames, which keep all that they hold in memory, are let go of again."""
    frame = sys._current_frames().get(ident)
    stack = traceback.StackSummary.extract(traceback.walk_stack(frame), lookup_lines=False)
    stack.reverse()
    return stack


def _clock_of(ident: int) -> Callable[[], float]:
    """The processor time of a thread, as any thread can ask for it; on macOS, which cannot, the time of day.

    There a turn that waits counts, too.
    """
    if sys.platform == "darwin":
        return time.perf_counter
    clock = time.pthread_getcpuclockid(ident)
    return lambda: time.clock_gettime(clock)


@contextlib.contextmanager
def watched_in_debug(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """In asyncio's debug mode (``PYTHONASYNCIODEBUG=1``), warn of long turns of the running loop.

    A loop that has no selector, which none has to have, is not watched.
    """
    selector = getattr(loop, "_selector", None)
    if not loop.get_debug() or not isinstance(selector, selectors.BaseSelector):
        yield
        return
    with LoopWatch(selector, lambda turn: logger.warning("%s", turn)) as watch:
        loop._selector = watch  # type: ignore[attr-defined]  # there is no other way to a loop that runs
        try:
            yield
        finally:
            loop._selector = selector  # type: ignore[attr-defined]
