"""What the terminal can show. Quick to import."""

import os
from collections.abc import Mapping
from typing import TextIO

BLOCK_CHARACTERS = "▁▂▃▄▅▆▇█·"

NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
"""Around what is drawn in place: a line that is longer than thought is cut at the edge, and moves nothing."""

_WITHOUT_BLOCKS = ("", "dumb", "linux")
"""Values of TERM that stand for terminals whose font may lack block characters."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads ``stream`` at this moment."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def colourful(stream: TextIO, env: Mapping[str, str] = os.environ) -> bool:
    """Whether ``stream`` shows colours and the user wants them (no-color.org)."""
    return can_redraw(stream, env) and not env.get("NO_COLOR")


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


def columns() -> int:
    """The width of the terminal; 80 where it is not known."""
    import shutil

    return shutil.get_terminal_size((80, 24)).columns
