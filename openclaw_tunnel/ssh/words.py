"""The words of another machine, or of another program, made safe for a terminal and a log."""

import re

_LONGEST_LINE = 200
_MOST_BYTES = 2000
_CUT = "..."
# Colours and cursor movements (ECMA-48), and titles and links; what is left of others is no control character.
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)")
_MOST_GARBAGE = 0.1


def printable(text: str) -> str:
    """One line without control characters, and without those that turn the direction of writing."""
    return " ".join("".join(c if c.isprintable() else " " for c in _ESCAPES.sub("", text)).split())


def clean(text: str) -> str:
    """One line as above, and not too long."""
    words = printable(text)
    return words if len(words) <= _LONGEST_LINE else words[: _LONGEST_LINE - len(_CUT)] + _CUT


def clean_lines(text: str) -> str:
    """Lines as above without the empty ones; of more than 2 KB the first and the last."""
    lines = [line for part in text.splitlines() if (line := clean(part))]
    if _size(lines) <= _MOST_BYTES:
        return "\n".join(lines)
    first, last = lines[:1], lines[-1:]
    rest = lines[1:-1]
    while rest and _size([*first, rest[0], _CUT, *last]) <= _MOST_BYTES // 2:
        first.append(rest.pop(0))
    while rest and _size([*first, _CUT, rest[-1], *last]) <= _MOST_BYTES:
        last.insert(0, rest.pop())
    return "\n".join([*first, _CUT, *last])


def _size(lines: list[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines) - 1


def is_text(data: bytes) -> bool:
    """Whether bytes that nobody has announced are words at all, and not another protocol's binary ones."""
    text = data.decode("utf-8", "replace")
    garbage = sum(1 for c in text if c == "\ufffd" or not (c.isprintable() or c in "\r\n\t\x1b"))
    return garbage <= len(text) * _MOST_GARBAGE


class Transcript:
    """What somebody has said so far, in memory that does not grow: its beginning and its end."""

    def __init__(self) -> None:
        self._first = b""
        self._last = b""

    def add(self, data: bytes) -> None:
        """Some more of it, cut anywhere."""
        room = 2 * _MOST_BYTES - len(self._first)
        self._first += data[:room]
        if rest := data[room:]:
            self._last = (self._last + rest)[-2 * _MOST_BYTES :]

    @property
    def data(self) -> bytes:
        """As it came."""
        return self._first + self._last

    @property
    def text(self) -> str:
        """As it came, with its control characters."""
        return self.data.decode("utf-8", "replace")
