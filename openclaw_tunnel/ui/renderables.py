"""Rows as renderables of rich, for a person at a terminal. Everything else is plain, and does not import this."""

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TextIO

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.style import Style
from rich.text import Text

from openclaw_tunnel.ui.tunnelrows import LEAST, Row, Tone, clean

STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "green",
    Tone.BUSY: "yellow",
    Tone.BAD: "red",
    Tone.PAST: "dim",
    Tone.HEAD: "bold",
}
"""The terminal's own colours: they fit a light background and a dark one."""


class SteadyConsole(Console):
    """Leaves the cursor alone: who is killed, or stopped by Ctrl-Z, could not give a hidden one back."""

    def show_cursor(self, show: bool = True) -> bool:
        """Nothing is done."""
        return False


def console_on(stream: TextIO, size: tuple[int, int], *, colours: bool = True) -> Console:
    """A console that takes words literally.

    Args:
        size: columns and lines.
    """
    return SteadyConsole(
        file=stream,
        width=size[0],
        height=size[1],
        force_terminal=True,
        force_interactive=True,
        color_system="standard" if colours else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )


class Line:
    """A row: its text, wrapped, beside its label."""

    def __init__(self, row: Row) -> None:
        self._lead = Text.assemble(*((clean(text), STYLES[tone]) for text, tone in row.lead))
        self._text = _toned(row)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """See rich's protocol."""
        lead = self._lead
        for part in self._text.wrap(console, max(LEAST, options.max_width - lead.cell_len)) or [Text()]:
            line = Text("", no_wrap=True, overflow="ignore").append_text(lead).append_text(part)
            line.rstrip()
            yield line
            lead = Text(" " * lead.cell_len)


def _toned(row: Row) -> Text:
    tones = groupby(clean(row.text), lambda c: row.marks.get(c, row.tone))
    parts = (("".join(group), STYLES[tone]) for tone, group in tones)
    return Text.assemble(*parts, overflow="ignore" if row.whole else "fold")


def blocks(tables: Sequence[Sequence[Row]]) -> Group:
    """Each table as a block, an empty line between two of them."""

    def lines() -> Iterator[Line | str]:
        for number, table in enumerate(tables):
            if number:
                yield ""
            yield from map(Line, table)

    return Group(*lines())


def drawn(tables: Sequence[Sequence[Row]], width: int) -> str:
    """The blocks as a terminal takes them, without a final newline."""
    console = console_on(io.StringIO(), (width, 1))
    with console.capture() as capture:
        console.print(blocks(tables), crop=False, end="")
    return capture.get().removesuffix("\n")


def styled(text: str, style: str) -> str:
    """A piece of a line as a terminal takes it, in a style of rich's (``bold red``)."""
    return Style.parse(style).render(text)
