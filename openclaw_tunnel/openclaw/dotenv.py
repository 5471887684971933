"""``.env`` files: the assignments in them, as the dotenv package that OpenClaw uses reads them."""

import os
import re
import stat
from pathlib import Path

MAX_BYTES = 1024 * 1024
"""A larger file is ignored, as OpenClaw does."""

_MAX_QUOTED = 64 * 1024
_KEY = re.compile(r"[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*(?:=|:[ \t])[ \t]*", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")


def read_dotenv(path: Path) -> dict[str, str]:
    """The assignments of a file; empty where it is missing, unreadable, too large or no regular file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return {}
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        return {}
    return parse_dotenv(data.decode("utf-8", "replace")) if len(data) <= MAX_BYTES else {}


def parse_dotenv(text: str) -> dict[str, str]:
    """``NAME=value`` by line; of a name that is there twice, the last.

    ``export`` before it, ``: `` for ``=``, blanks and ``# comments`` are understood. A value in quotes (``"``, ``'``
    or a backquote) may hold ``#`` and run over lines; in double quotes ``\\n`` is a line's end.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        match = _KEY.match(text, at, end)
        if match:
            value, end = _value(text, match.end(), end)
            if _NAME.fullmatch(match[1]):
                found[match[1]] = value
        at = end + 1
    return found


def _value(text: str, start: int, end: int) -> tuple[str, int]:
    """The value that begins at ``start``, and where the last of its lines ends."""
    quote = text[start : start + 1]
    if quote in ('"', "'", "`") and quote:
        close = _closing(text, quote, start + 1)
        rest = _REST.match(text, close + 1) if close >= 0 else None
        if rest:
            value = text[start + 1 : close]
            value = value.replace("\\n", "\n").replace("\\r", "\r") if quote == '"' else value
            return value, max(rest.end() - 1, end) if rest[0].endswith("\n") else rest.end()
    value = text[start:end].partition("#")[0].strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`":
        value = value[1:-1]
    return value, end


def _closing(text: str, quote: str, start: int) -> int:
    """Where the quoted value ends; -1 where it does not."""
    at = text.find(quote, start, start + _MAX_QUOTED)
    while at > 0 and text[at - 1] == "\\":
        at = text.find(quote, at + 1, start + _MAX_QUOTED)
    return at
