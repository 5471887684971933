"""Where words go: the answer to stdout, everything else to stderr, colours only to a terminal that wants them."""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from openclaw_tunnel.cli.progress import pause
from openclaw_tunnel.cli.terminal import can_redraw as can_redraw
from openclaw_tunnel.cli.terminal import colourful as colourful
from openclaw_tunnel.cli.terminal import columns as columns
from openclaw_tunnel.cli.terminal import is_terminal as is_terminal
from openclaw_tunnel.cli.view import Row, Tone, clean, lines, plain
from openclaw_tunnel.errors import TunnelError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES = {Tone.GOOD: "green", Tone.BUSY: "yellow", Tone.BAD: "red", Tone.PLAIN: ""}
_RED, _BOLD, _OFF = "\x1b[31m", "\x1b[1m", "\x1b[0m"


def say(text: str) -> None:
    """A line of the answer."""
    with pause():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def note(text: str) -> None:
    """A line that is not the answer."""
    with pause():
        sys.stderr.write(clean(f"note: {text}") + "\n")


def warn(text: str) -> None:
    """A line about a danger, in red."""
    before, after = (_RED + _BOLD, _OFF) if colourful(sys.stderr) else ("", "")
    with pause():
        sys.stderr.write(f"{before}warning: {clean(text)}{after}\n")


def print_error(error: TunnelError) -> None:
    """``error: ...`` and, after an empty line, ``hint: ...``; one of each, on stderr."""
    before, after = (_RED + _BOLD, _OFF) if colourful(sys.stderr) else ("", "")
    with pause():
        sys.stderr.write(f"{before}error:{after} {clean(error.message)}\n")
        if error.hint:
            sys.stderr.write(f"\nhint: {clean(error.hint)}\n")


def print_rows(tables: Sequence[Sequence[Row]]) -> None:
    """Tunnels as a block each: wrapped and coloured on a terminal, as they are in a pipe."""
    if not is_terminal(sys.stdout):
        say("\n\n".join(plain(table) for table in tables))
    elif not colourful(sys.stdout):
        say("\n\n".join(plain(table, columns()) for table in tables))
    else:
        with pause():
            console().print(rich_text(tables, columns()))


def console() -> "Console":
    """The terminal, for views that rich draws."""
    from rich.console import Console

    return Console(highlight=False, no_color=None if colourful(sys.stdout) else True)


def rich_text(tables: Sequence[Sequence[Row]], width: int) -> "Text":
    """The blocks of :func:`print_rows` with colours."""
    from rich.text import Text

    text = Text(no_wrap=True)
    for number, table in enumerate(tables):
        text.append("\n\n" if number else "")
        for line, (label, words, row) in enumerate(lines(table, width)):
            text.append("\n" if line else "")
            text.append(label, style="bold" if row.heads else "dim")
            for part, tone in _toned(words, row):
                text.append(part, style=_STYLES[tone])
    return text


def _toned(words: str, row: Row) -> Iterator[tuple[str, Tone]]:
    """The words in parts that have one tone each."""
    for tone, part in groupby(words, lambda c: row.marks.get(c, row.tone)):
        yield "".join(part), tone


class LiveView:
    """Blocks that are drawn again and again in place, on a terminal; a context manager."""

    def __init__(self, tables: Callable[[], Sequence[Sequence[Row]]]) -> None:
        """Args: ``tables`` is asked four times a second, in a thread of its own."""
        self._tables = tables
        self._live: Any = None

    def __enter__(self) -> "LiveView":
        from rich.live import Live

        self._live = Live(
            console=console(),
            get_renderable=lambda: rich_text(self._tables(), columns()),
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)
        self._live.console.show_cursor(True)  # rich hides it, and whoever is killed cannot give it back
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
