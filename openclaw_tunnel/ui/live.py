"""Blocks of rows that are drawn again and again in place, on a terminal.

The cursor stays visible and the screen is the ordinary one: whoever is killed leaves nothing to be put right. Lines do
not wrap while they are drawn, so that a window that became narrower meanwhile does not shift what is above; when it has
another size the screen is cleared, because terminals disagree on where the old lines are then.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, TextIO

from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.terminal import NO_WRAP, WRAP
from openclaw_tunnel.ui.tunnelrows import URGENT, Row, condensed, is_well

EVERY = 0.25
"""Seconds between two looks at what there is to show."""

_USUAL = os.terminal_size((80, 24))
_CLEAR, _ERASE_LINE, _ERASE_BELOW = "\x1b[H\x1b[2J", "\x1b[2K", "\x1b[J"

Tables = Sequence[Sequence[Row]]


def fitted(tables: Tables, foot: Row | None, size: os.terminal_size, *, colours: bool) -> list[str]:
    """The lines that fit a window, one less than it has; what does not fit is said.

    Args:
        foot: stays in sight at the bottom.
    """

    def drawn(what: Tables) -> list[str]:
        return output.painted(what, size.columns, colours=colours)

    below = ["", *drawn([[foot]])] if foot and tables else []
    room = max(size.lines - 1 - len(below), 1)
    lines = drawn(tables)
    for rows in (None, URGENT):
        if len(lines) > room:
            lines = drawn(condensed(tables, rows))
    if len(lines) > room:  # those that are well go below the others: it is of them that lines are missing
        well, ill = ([table for table in tables if is_well(table) is which] for which in (True, False))
        for labels in (URGENT, ("error",), ()):
            lines = drawn(condensed([*ill, *well], labels))
            if len(drawn(condensed(ill, labels))) < room:
                break
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... {len(lines) - room + 1} more lines"]
    return [*lines, *below]


def frame(lines: Sequence[str], before: int, *, anew: bool) -> str:
    """What draws these lines where the last ``before`` lines are; ``anew``: on an empty screen."""
    start = _CLEAR if anew else "\r" + (f"\x1b[{before}A" if before else "")
    return NO_WRAP + start + "".join(f"{_ERASE_LINE}{line}\r\n" for line in lines) + _ERASE_BELOW + WRAP


def size_of(stream: TextIO) -> os.terminal_size:
    """Columns and lines of the window, now."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _USUAL
    return found if found.columns and found.lines else _USUAL


class LiveView:
    """Draws in a thread of its own, from :meth:`start` to :meth:`end`. The last rows stay on the screen."""

    def __init__(self, tables: Callable[[], Tables], foot: Callable[[], Row | None] = lambda: None) -> None:
        """Draw nothing yet.

        Args:
            tables: what there is to show, asked four times a second.
            foot: a row below it that is no part of it.
        """
        self._tables = tables
        self._foot = foot
        self._stream = sys.stdout
        self._colours = output.colourful(self._stream)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._seen: tuple[list[str], os.terminal_size | None] = [], None
        self._continued: Any = signal.SIG_DFL

    def start(self) -> None:
        """Begin to draw. From the main thread."""
        self._continued = signal.signal(signal.SIGCONT, self._draw_below)
        threading.Thread(target=self._keep_drawing, name="live view", daemon=True).start()

    def end(self, *, erased: bool = False) -> None:
        """Draw for the last time, or erase what was drawn; idempotent. Also where :meth:`start` was interrupted."""
        if self._ended.is_set():
            return
        self._ended.set()
        signal.signal(signal.SIGCONT, self._continued)
        with self._lock:
            self._draw([] if erased else self._tables(), None)

    def _keep_drawing(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                if not self._ended.is_set():
                    self._draw(self._tables(), self._foot())
            self._ended.wait(EVERY)

    def _draw(self, tables: Tables, foot: Row | None) -> None:
        size = size_of(self._stream)
        lines = fitted(tables, foot, size, colours=self._colours)
        before, old_size = self._seen
        if (lines, size) == self._seen and not self._ended.is_set():
            return
        self._seen = lines, size
        with contextlib.suppress(OSError, ValueError):  # nobody looks any more: what is shown goes on
            self._stream.write(frame(lines, len(before), anew=old_size not in (None, size)))
            self._stream.flush()

    def _draw_below(self, number: int, where: FrameType | None) -> None:
        """After Ctrl-Z and fg the last lines are somewhere above."""
        self._seen = [], self._seen[1]
