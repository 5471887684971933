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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

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


class LoopWatch:
    """A context manager that watches the loop of the present thread, which leaves its selector when a turn begins, and
    comes back to it when the turn ends.

    Args:
        selector: of the loop.
        report: called for each turn that was over the budget, in the loop's thread.
        budget: seconds of processor time.
    """

    def __init__(
        self, selector: selectors.BaseSelector, report: Callable[[LongTurn], None], budget: float = BUDGET
    ) -> None:
        self._selector = selector
        self._select = selector.select
        self._report = report
        self._budget = budget
        self._turn: _Turn | None = None
        self._thread_of_loop = 0
        self._clock = time.perf_counter
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, name="watch of the event loop", daemon=True)

    def __enter__(self) -> Self:
        self._thread_of_loop = threading.get_ident()
        self._clock = _clock_of(self._thread_of_loop)
        self._looking.start()
        self._selector.select = self._between_turns  # type: ignore[method-assign]  # no other way into a loop that runs
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.select = self._select  # type: ignore[method-assign]
        self._over.set()
        self._looking.join()

    def _between_turns(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """A turn has ended; return when there is something to do in the next one."""
        turn, self._turn = self._turn, None
        if turn and (spent := self._clock() - turn.begun) > self._budget:
            self._report(LongTurn(spent, turn.stack))
        events = self._select(timeout)
        self._turn = _Turn(self._clock())
        return events

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
    with LoopWatch(selector, lambda turn: logger.warning("%s", turn)):
        yield
