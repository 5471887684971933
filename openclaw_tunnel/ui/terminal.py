"""What the terminal can show. Quick to import."""

import os
from collections.abc import Mapping
from typing import IO, TextIO

BLOCK_CHARACTERS = "▁▂▃▄▅▆▇█·"

_USUAL = os.terminal_size((80, 24))

_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")

_WITHOUT_BLOCKS = ("", "dumb", "linux")
"""Values of TERM that stand for terminals whose font may lack block characters."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads ``stream`` at this moment."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def colourful(stream: TextIO, env: Mapping[str, str] = os.environ) -> bool:
    """Whether what is said on ``stream`` is for rich: it shows colours, has all characters, and the user wants them."""
    wanted = not env.get("NO_COLOR") and not _is_plain(env)  # no-color.org
    return wanted and can_redraw(stream, env) and can_write(BLOCK_CHARACTERS, stream.encoding)


def _is_plain(env: Mapping[str, str]) -> bool:
    """Whether the user has asked for the C locale; Python itself sets LC_CTYPE then (PEP 538)."""
    ctype = env.get("LC_CTYPE", "")
    asked = env.get("LC_ALL") or ("" if ctype in _COERCED else ctype) or env.get("LANG")
    return asked in ("C", "POSIX")


def can_redraw(stream: TextIO, env: Mapping[str, str] = os.environ) -> bool:
    """Whether what ``stream`` shows can be changed in place."""
    return is_terminal(stream) and env.get("TERM", "") not in ("", "dumb")


def can_draw_blocks(encoding: str | None, env: Mapping[str, str] = os.environ) -> bool:
    """Whether block characters arrive as such on a stream of that encoding."""
    return can_write(BLOCK_CHARACTERS, encoding) and env.get("TERM", "") not in _WITHOUT_BLOCKS


def can_write(text: str, encoding: str | None) -> bool:
    """Whether a stream of that encoding has all characters of ``text``."""
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def size_of(stream: IO[str]) -> os.terminal_size:
    """Columns and lines of the window that shows ``stream``, now; 80 x 24 where that is not known."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return _USUAL
    return found if found.columns and found.lines else _USUAL


def columns(stream: IO[str]) -> int:
    """The width to write for on ``stream``: what COLUMNS says, else that of its window."""
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isdecimal() and int(said) else size_of(stream).columns
