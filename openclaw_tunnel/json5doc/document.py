"""A settings file as a value: JSON or JSON5, read with limits, and typed access that knows file, line and key."""

import json
import math
import os
import re
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.lines import KeyPath, dotted, line_of

T = TypeVar("T")

MAX_BYTES = 2 * 1024 * 1024
"""A larger file is refused; OpenClaw has the same limit."""

MAX_ITEMS = 150_000
"""Commas and opening brackets in a file: a value takes up to 200 bytes of memory, and a settings file has hundreds."""

MAX_JSON5_BYTES = 256 * 1024
"""The json5 package needs about 30 microseconds for a byte: larger files must be strict JSON."""

_JSON5_ERROR = re.compile(r".*?:(?P<line>\d+) (?P<what>.*) at column (?P<column>\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Document:
    """One file that was read and parsed.

    Attributes:
        path: where it is, for messages.
        text: as it was written.
        value: what it says; an object.
        hint: the next step where something is wrong with it.
        origins: for what was included from other files: the document and the keys there, by the keys here.
    """

    path: str
    text: str = field(repr=False)  # credentials may be in it
    value: Mapping[str, Any] = field(repr=False)
    hint: str
    origins: "Mapping[KeyPath, tuple[Document, KeyPath]]" = field(default_factory=dict, repr=False, compare=False)

    @property
    def root(self) -> "Section":
        """The whole object."""
        return Section(self, (), self.value)

    def error(self, keys: KeyPath, what: str, hint: str = "") -> ConfigError:
        """The error that says ``what`` of a key, with file and line."""
        return ConfigError(f"{self.place(keys)}: {dotted(keys)} {what}", hint=hint or self.hint)

    def place(self, keys: KeyPath) -> str:
        """File and line of a key, or of the nearest that holds it."""
        for count in range(len(keys), 0, -1):
            if keys[:count] in self.origins:
                document, own = self.origins[keys[:count]]
                return f"{document.path} line {line_of(document.text, (*own, *keys[count:]))}"
        return f"{self.path} line {line_of(self.text, keys)}"


def load_document(path: Path, hint: str) -> Document | None:
    """Read a settings file; None where there is none.

    Raises:
        ConfigError: it cannot be read, is no regular file, is larger than 2 MiB, or is not a JSON5 object.
    """
    data = read_bytes(path, hint)
    return None if data is None else parse_document(str(path), data, hint)


def read_bytes(path: Path, hint: str, *, one_name: bool = False) -> bytes | None:
    """The bytes of a settings file, at most one more than ``MAX_BYTES``; None where there is none.

    Args:
        one_name: refuse a file that has another name (a hard link).

    Raises:
        ConfigError: it cannot be read, or is no regular file.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(f"{path} is not a regular file", hint=hint)
            if one_name and found.st_nlink > 1:
                raise ConfigError(f"{path} has another name (a hard link), which is not allowed here", hint=hint)
            return file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(f"{path} cannot be read: {reason}", hint="check the file and who may read it") from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO without writer would hang the open


def parse_document(path: str, data: bytes, hint: str) -> Document:
    """Parse the bytes of a settings file: strict JSON first, because that is fast, then JSON5.

    Args:
        path: for messages.
        hint: the next step for the user where something is wrong.

    Raises:
        ConfigError: as ``load_document``. No other exception comes out, whatever the bytes.
    """
    text, value = parse_any(path, data, hint)
    if not isinstance(value, dict):
        raise ConfigError(f"{path} line 1: must be an object, not {kind_of(value)}", hint=hint)
    return Document(path, text, value, hint)


def parse_any(path: str, data: bytes, hint: str) -> tuple[str, Any]:
    """The text of a settings file and what it says, which need not be an object.

    Raises:
        ConfigError: as ``parse_document``.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_BYTES // 1024 // 1024} MiB", hint="is that the right file?")
    if sum(data.count(mark) for mark in (b",", b"{", b"[")) > MAX_ITEMS:
        raise ConfigError(f"{path} holds more than {MAX_ITEMS} values", hint="is that the right file?")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} line {line}: not UTF-8 text", hint="save the file as UTF-8") from None
    try:
        return text, json.loads(text)
    except RecursionError:
        raise too_deep(path, hint) from None
    except ValueError as error:
        return text, _parse_json5(path, text, len(data), error, hint)


def _parse_json5(path: str, text: str, size: int, strict: ValueError, hint: str) -> Any:
    if size > MAX_JSON5_BYTES:
        place = f" line {strict.lineno}, column {strict.colno}" if isinstance(strict, json.JSONDecodeError) else ""
        raise ConfigError(
            f"{path}{place}: not JSON",
            hint=f"JSON5 (comments, trailing commas) is read up to {MAX_JSON5_BYTES // 1024} KiB: make it plain JSON",
        )
    import json5

    try:
        return json5.loads(text)
    except RecursionError:
        raise too_deep(path, hint) from None
    except Exception as error:  # ValueError as documented; the parser's own slips on odd input must not get out
        if not text.strip():
            place = "line 1: the file is empty; write at least {}"
        elif match := _JSON5_ERROR.fullmatch(str(error)):
            place = f"line {match['line']}, column {match['column']}: {match['what']}"
        else:
            place = "line 1: not JSON5"
        raise ConfigError(f"{path} {place}", hint=hint) from None


def too_deep(path: str, hint: str) -> ConfigError:
    """The error of a file whose brackets are nested beyond all reason."""
    return ConfigError(f"{path} is nested too deeply", hint=hint)


@dataclass(frozen=True, slots=True)
class Section:
    """One object of a document. Each getter returns None (or the empty section) where the key is absent.

    Raises:
        ConfigError: from every getter, where the value is of another type or out of range.
    """

    document: Document
    keys: KeyPath
    values: Mapping[str, Any] = field(repr=False)

    def error(self, key: str, what: str, hint: str = "") -> ConfigError:
        """The error that says ``what`` of ``key`` in this section."""
        return self.document.error((*self.keys, key), what, hint)

    def section(self, key: str) -> "Section":
        """The object at ``key``."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"must be an object, not {kind_of(value)}")
        return Section(self.document, (*self.keys, key), value)

    def text(self, key: str) -> str | None:
        """A string, blanks around it removed; an empty one counts as absent."""
        value = self._typed(key, str, "a string")
        if value is not None and "\0" in value:
            raise self.error(key, "must not hold a NUL character")
        return (value.strip() or None) if value is not None else None

    def raw_text(self, key: str) -> str:
        """A string as it was written; empty where the key is absent."""
        return self._typed(key, str, "a string") or ""

    def flag(self, key: str) -> bool | None:
        """true or false."""
        return self._typed(key, bool, "true or false")

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of strings."""
        values = self._typed(key, list, "an array of strings") or []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                raise self.document.error((*self.keys, key, index), f"must be a string, not {kind_of(value)}")
        return tuple(values)

    def choice(self, key: str, choices: Collection[str]) -> str | None:
        """One of ``choices``."""
        value = self.text(key)
        if value is not None and value not in choices:
            known = ", ".join(f'"{c}"' for c in choices)
            raise self.error(key, f"must be one of {known}, not {shown(value)}")
        return value

    def port(self, key: str) -> int | None:
        """A whole number from 1 to 65535; ``18789.0`` is one, as in JavaScript."""
        value = self.values.get(key)
        if key not in self.values:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
            raise self.error(key, f"must be a port from 1 to 65535, not {shown(value)}")
        return value

    def number(self, key: str, *, least: float, most: float, whole: bool = False) -> float | None:
        """A number from ``least`` to ``most``; an int where ``whole``."""
        value: Any = self.values.get(key)
        if key not in self.values:
            return None
        fits = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
        if not fits or not least <= value <= most or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            raise self.error(key, f"must be {kind} from {least:g} to {most:g}, not {shown(value)}")
        return int(value) if whole else float(value)

    def only(self, known: Collection[str]) -> "Section":
        """This section, if it has no key but the ``known`` ones.

        Raises:
            ConfigError: for the first other key, with the nearest known one.
        """
        for key in self.values:
            if key not in known:
                import difflib  # for a mistake only

                near = difflib.get_close_matches(key, known, n=1)
                guess = f"did you mean {near[0]}? " if near else ""
                raise self.error(key, "is not a known key", f"{guess}known keys: {', '.join(known)}")
        return self

    def _typed(self, key: str, kind: type[T], name: str) -> T | None:
        value: Any = self.values.get(key)
        if key in self.values and not isinstance(value, kind):
            raise self.error(key, f"must be {name}, not {kind_of(value)}")
        found: T | None = value
        return found


def kind_of(value: Any) -> str:
    """What sort of JSON value this is, for messages."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def shown(value: Any) -> str:
    """A scalar as it may stand in a message: short, on one line, printable on any terminal."""
    if isinstance(value, dict | list):
        return kind_of(value)
    try:
        text = json.dumps(value)
    except ValueError:
        return "a very large number"  # more digits than Python turns into text
    return text if len(text) <= 40 else text[:37] + "..."
