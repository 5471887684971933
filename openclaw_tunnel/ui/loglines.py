"""Lines of the log for a person on a terminal: local time, names and words below each other. Pure."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo

from openclaw_tunnel.core.states import State
from openclaw_tunnel.ui.tunnelrows import Row, Tone, tone_of

HEAD = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z ([A-Z]+) (?:([A-Za-z0-9][\w-]*): )?")
"""Time, level, and the name of a tunnel where the line is about one; the rest is words."""

_CHANGE = re.compile(r"\w+ -> (\w+)\b")
_SIGNAL = re.compile("SIG[A-Z0-9]+")
_MOST_NAME = 16
_TONES = {"WARNING": Tone.BUSY, "ERROR": Tone.BAD, "CRITICAL": Tone.BAD, "DEBUG": Tone.PAST}


class Layout:
    """Lays lines out as they come; remembers the day, and how long names are."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        """Nothing was shown yet. Args: ``zone``: None for that of this computer."""
        self._zone = zone
        self._day = ""
        self._names = 0

    def expect(self, lines: list[str]) -> None:
        """These lines will come: there shall be room for the names in them."""
        for line in lines:
            head = HEAD.match(line)
            if head:
                self._names = max(self._names, len(_name(head)))

    def rows(self, line: str) -> Iterator[Row]:
        """What to show for a line of the log; before the first one of a day the day."""
        head = HEAD.match(line)
        if head is None:
            yield _row(" " * 10, line, Tone.PAST)  # of a traceback
            return
        at = datetime.fromisoformat(head[1]).replace(tzinfo=UTC).astimezone(self._zone)
        day = f"{at:%a %d %b %Y}"
        if day != self._day:
            self._day = day
            yield _row("", f"{day}, times in UTC{at:%z}", Tone.PAST)
        self._names = min(max(self._names, len(_name(head))), _MOST_NAME)
        level, words = head[2], line[head.end() if _name(head) else head.end(2) + 1 :]
        shown = words if level in ("INFO", "DEBUG") else f"{level.lower()}: {words}"
        name = f"{_name(head):<{self._names}}  " if self._names else ""
        yield _row(f"{at:%H:%M:%S}  {name}", shown, _tone(level, words))


def _row(lead: str, words: str, tone: Tone) -> Row:
    return Row("", words, tone, columns=((lead, Tone.PAST),))


def of_tunnel(lines: Iterable[str], name: str | None) -> Iterator[str]:
    """The lines of one tunnel, with the indented lines that follow them; all lines where ``name`` is None."""
    shown = name is None
    for line in lines:
        head = HEAD.match(line)
        if name is not None and head:
            shown = head[3] == name
        if shown:
            yield line


def _name(head: re.Match[str]) -> str:
    return "" if head[3] is None or _SIGNAL.fullmatch(head[3]) else head[3]


def _tone(level: str, words: str) -> Tone:
    change = _CHANGE.match(words)
    if change and change[1] in set(State):
        return tone_of(State(change[1]))
    return _TONES.get(level, Tone.PLAIN)
