"""Shows on stderr that something takes its time: a line with a spinner and the seconds, and in the end nothing of it.

``with progress.working("asking the gateway"): ...`` shows nothing for half a second: most answers come sooner. It works
around blocking calls and around ``asyncio.run`` alike, for a thread draws it. Where stderr cannot be changed in place
(TERM=dumb) one plain line is said instead, and where it is no terminal nothing at all.

What ``ui.output`` prints meanwhile clears the line before. Whoever asks a question wraps it in :func:`pause`.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from openclaw_tunnel.ui.terminal import can_redraw, colourful, columns, is_terminal
from openclaw_tunnel.ui.tunnelrows import clean

if TYPE_CHECKING:
    from rich.live import Live

AFTER = 0.5
"""Seconds for which nothing is shown."""

_EVERY = 0.1


class Line:
    """The line on which is shown what goes on. It draws only when told the time, and may be used by several threads."""

    def __init__(self, stream: TextIO, env: Mapping[str, str] = os.environ) -> None:
        """Show nothing yet."""
        import threading  # not for commands that show no progress

        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, name="progress", daemon=True)
        self._stream = stream
        self._redraws = can_redraw(stream, env)
        self._colours = colourful(stream, env)
        self._lock = threading.RLock()
        self._works: list[Work] = []
        self._held = 0
        self._live: Live | None = None

    def start(self) -> None:
        """Draw now and then, in a thread, until the last work has ended."""
        self._thread.start()

    def _keep_drawing(self) -> None:
        delay = AFTER
        while not self._ended.wait(delay):
            self.tick(time.monotonic())
            delay = _EVERY

    def begin(self, work: "Work") -> None:
        """From now on this goes on; what went on before is shown again when it has ended."""
        with self._lock:
            self._works.append(work)

    def end(self, work: "Work") -> None:
        """This has ended. Nothing is drawn any more when the last one has."""
        with self._lock:
            if work in self._works:
                self._works.remove(work)
            if not self._works:
                self._ended.set()
                self._erase()

    def tick(self, now: float) -> None:
        """Draw what goes on, if it has lasted long enough by now (``time.monotonic``)."""
        if self._redraws:
            import openclaw_tunnel.ui.live  # noqa: F401  # slow: not while somebody waits for the lock
        with self._lock, contextlib.suppress(OSError, ValueError):  # it was closed: what is worked at goes on
            if self._held or not self._works or now - self._works[0].began < AFTER:
                return
            work = self._works[-1]
            if self._redraws:
                self._draw(work, now - work.began)
            elif not work.told:
                work.told = True
                self._stream.write(f"{clean(work.what)} ...\n")
                self._stream.flush()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The line is empty, and stays so until the end of it."""
        with self._lock:
            self._held += 1
            self._erase()
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1

    def _draw(self, work: "Work", seconds: float) -> None:
        from openclaw_tunnel.ui.live import in_place, spinning

        if self._live is None:
            self._live = in_place(self._stream, colours=self._colours)
            self._live.start()
        console = self._live.console
        console.size = (columns(self._stream), 2)
        self._live.update(spinning(work.what, seconds, console), refresh=True)

    def _erase(self) -> None:
        live, self._live = self._live, None
        with contextlib.suppress(OSError, ValueError):
            if live:
                live.stop()


@dataclass(eq=False, slots=True)
class Work:
    """Something that takes its time.

    Attributes:
        what: the words for it; may be changed while it goes on.
        began: by ``time.monotonic``.
        told: it has been said where it can be said but once.
    """

    what: str
    began: float
    told: bool = False


_line: Line | None = None


@contextlib.contextmanager
def working(what: str) -> Iterator[Work]:
    """Show ``what`` while the block runs, if that takes longer than half a second; nested, the inner one is seen.

    Args:
        what: what goes on, as in "asking the gateway"; no secret, and no full stop.
    """
    global _line
    work = Work(what, time.monotonic())
    if not is_terminal(sys.stderr):
        yield work
        return
    outer = _line
    line = _line = outer or Line(sys.stderr)
    line.begin(work)
    try:
        if not outer:
            line.start()
        yield work
    finally:
        _line = outer
        line.end(work)


def pause() -> contextlib.AbstractContextManager[None]:
    """While the block runs nothing is drawn: something else is printed or asked. Fine where nothing goes on."""
    return contextlib.nullcontext() if _line is None else _line.held()
