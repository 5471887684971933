"""Blocks of rows that are drawn again and again in place, on a terminal, by rich.

The screen is the ordinary one and the cursor stays visible, below the last line: whoever is killed leaves nothing to be
put right. When the window has another size the screen is cleared, because terminals disagree on where the old lines are
then.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from types import FrameType
from typing import Any, TextIO

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment, Segments
from rich.spinner import Spinner
from rich.text import Text

from openclaw_tunnel.core.wording.durations import duration
from openclaw_tunnel.ui.renderables import blocks, console_on
from openclaw_tunnel.ui.terminal import can_write, colourful, size_of
from openclaw_tunnel.ui.tunnelrows import Row, Tone, clean

URGENT = ("asks you", "error", "hint", "then", "now", "warning")
"""Labels of rows that say what is wrong, and what to do."""

_NO_WRAP, _WRAP, _ERASE_BELOW = "\x1b[?7l", "\x1b[?7h", "\x1b[J"
_DOTS = "⠋"
_SPARE = 3
"""Columns that stay free: for the cursor, and for the ^C that a terminal shows, which would begin another line."""

_QUIETLY: dict[str, Any] = {"redirect_stdout": False, "redirect_stderr": False}
"""What others print is left alone."""

Lines = list[list[Segment]]
Tables = Sequence[Sequence[Row]]


def frame(lines: Lines) -> Segments:
    """Lines that are drawn in place, and nothing below. One that is wider than thought is cut, and moves nothing."""
    drawn = [part for line in lines for part in (*line, Segment.line())][:-1]
    return Segments([_control(_NO_WRAP), *drawn, _control(_ERASE_BELOW + _WRAP)])


def _control(code: str) -> Segment:
    """A code for which rich has no name; on a terminal it writes the text of it, whatever the name."""
    return Segment(code, None, [(ControlType.CARRIAGE_RETURN,)])


def fitted(tables: Tables, foot: Row | None, console: Console) -> Lines:
    """The lines that fit the console, one less than it has; what does not fit is said.

    Args:
        foot: stays in sight at the bottom.
    """

    def drawn(what: Tables) -> Lines:
        return console.render_lines(blocks(what), pad=False) if what else []

    below = [[], *drawn([[foot]])] if foot and tables else []
    room = max(console.height - 1 - len(below), 1)
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
        lines = [*lines[: room - 1], [Segment(f"... {len(lines) - room + 1} more lines")]]
    return [*lines, *below]


def condensed(tables: Sequence[Sequence[Row]], kept: Collection[str] | None = None) -> list[list[Row]]:
    """The same for a window that is too low: of tunnels that are well only the first row, one below the other.

    Args:
        kept: labels of the rows that the others keep below their first; None: all.
    """
    found: list[list[Row]] = []
    for table in tables:
        left = [row for row in table if row.heads or (not is_well(table) and (kept is None or row.label in kept))]
        if found and all(row.heads for row in (*found[-1], *left)):
            found[-1].extend(left)
        elif left:
            found.append(left)
    return found


def is_well(table: Sequence[Row]) -> bool:
    """Whether these are the rows of a tunnel that wants nothing."""
    return bool(table) and table[0].heads and table[0].tone is Tone.GOOD


class LiveView(Live):
    """Draws in a thread of rich's, from :meth:`begin` to :meth:`end`. The last rows stay on the screen."""

    def __init__(self, tables: Callable[[], Tables], foot: Callable[[], Row | None] = lambda: None) -> None:
        """Draw nothing yet.

        Args:
            tables: what there is to show, asked eight times a second.
            foot: a row below it that is no part of it.
        """
        self._tables = tables
        self._foot = foot
        self._seen: tuple[Tables, Row | None, os.terminal_size] | None = None
        self._height = 0
        self._stopped = False
        console = console_on(sys.stdout, size_of(sys.stdout), colours=colourful(sys.stdout))
        super().__init__(console=console, refresh_per_second=8, vertical_overflow="crop", **_QUIETLY)

    def begin(self) -> None:
        """Draw from now on. From the main thread, which Ctrl-C may interrupt: it draws nothing itself."""
        signal.signal(signal.SIGCONT, self._go_on)
        self.start()

    def end(self, *, erased: bool = False) -> None:
        """Draw for the last time, or erase what was drawn; idempotent."""
        self.transient = erased
        with contextlib.suppress(OSError, ValueError):
            self.stop()

    def refresh(self) -> None:
        """Draw what there is to show now, if it is not what is seen: what has not changed can be marked and copied."""
        size, typed = size_of(self.console.file), lines_typed()
        wanted = self._tables(), self._foot() if self.is_started else None, size
        if wanted == self._seen and self.is_started and not (typed or self._stopped):
            return
        # Nobody may look any more: what is shown goes on.
        with contextlib.suppress(OSError, ValueError), self.console:
            self._move(size, typed)
            lines = fitted(*wanted[:2], self.console)
            self._seen, self._height = wanted, len(lines)
            # The cursor stands below the last line until the end, which adds a line of its own.
            self.update(frame([*lines, []] if self.is_started else lines))
            super().refresh()

    def _move(self, size: os.terminal_size, typed: int) -> None:
        """Go to where rich thinks the cursor is."""
        stopped, self._stopped = self._stopped, False
        self.console.size = size
        if self._seen is None:
            return  # nothing is drawn yet
        if self._seen[2] != size:
            self.console.control(Control.clear(), Control.home())
        elif stopped:
            self.console.file.write("\n" * self._height)  # the last lines are somewhere above
        elif typed:
            self.console.control(Control((ControlType.CURSOR_UP, typed)))

    def _go_on(self, number: int, where: FrameType | None) -> None:
        """After Ctrl-Z and fg."""
        self._stopped = True


def in_place(stream: TextIO, *, colours: bool) -> Live:
    """What draws a frame over the last one, and leaves nothing of it."""
    return Live(console=console_on(stream, (80, 2), colours=colours), transient=True, auto_refresh=False, **_QUIETLY)


def spinning(what: str, seconds: float, console: Console) -> Segments:
    """A spinner, what goes on, and for how long; one line, whatever the words are."""
    spinner = Spinner("dots" if can_write(_DOTS, console.encoding) else "line")
    spinner.start_time = 0.0
    turn, after = str(spinner.render(seconds)), f" {duration(seconds)}"
    words, room = Text(clean(what)), max(0, console.width - _SPARE - 2 - len(after))
    if words.cell_len > room:
        words.truncate(max(0, room - 3))
        words.rstrip()
        words.append("..."[:room])
    line = Text.assemble(turn, " ", words, after, overflow="ignore", no_wrap=True)
    return frame(console.render_lines(line, pad=False))


def lines_typed() -> int:
    """Lines that were typed since: each has moved the cursor down by one. They are taken; nobody else wants them."""
    found = 0
    with contextlib.suppress(OSError, ValueError):
        terminal = sys.stdin.fileno()
        if os.isatty(terminal) and os.tcgetpgrp(terminal) == os.getpgrp():  # in the background reading would stop it
            while select.select([terminal], [], [], 0)[0] and (typed := os.read(terminal, 4096)):
                found += typed.count(b"\n")
    return found
