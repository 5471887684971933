"""The frames of the Gateway protocol (versions 3 and 4) <-> JSON. Pure.

Three kinds exist: requests from us (``req``), responses (``res``) and events (``event``). Everything the far end
sends is untrusted: any bytes become a frame or a :class:`FrameError`, and what they would take in memory once
parsed is estimated before they are.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_MEMORY = 64 << 20
"""Bytes that one frame may take: its text and everything parsed out of it."""

MAX_DEPTH = 100
"""Levels of nesting; the gateway's own payloads have about ten."""

LONGEST_WORDS = 300
"""Characters of a foreign text that are shown."""

# Bytes that CPython 3.11 takes for what each of these characters announces: a dictionary, a list, a small string or
# number in a list or dictionary, a short key.
_COSTS = {b"{": 208, b"[": 96, b",": 64, b":": 56}
_WIDE = re.compile(rb"[\xf0-\xff]|\\u[dD][89abAB]")  # four bytes a character
_MEDIUM = re.compile(rb"[\xc4-\xef]|\\u")  # two bytes a character
_EMPTY: Mapping[str, Any] = {}


class FrameError(ValueError):
    """What arrived is no frame of the Gateway protocol, or one too big to be read; the text says which."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something the gateway tells without being asked."""

    name: str
    payload: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The error of a response.

    Attributes:
        code: the gateway's general code, such as INVALID_REQUEST.
        message: its words, made printable and cut.
        details: its structured part; empty where there is none.
        retryable: the gateway says that the same request may succeed later.
        retry_after: seconds until then; None where it does not tell.
    """

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    retryable: bool = False
    retry_after: float | None = None

    @property
    def detail_code(self) -> str:
        """The precise code, such as AUTH_TOKEN_MISMATCH; empty where there is none."""
        return words(self.details.get("code"), 64)


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to the request ``id``: ``payload``, or ``error`` where the gateway refused."""

    id: str
    payload: Any = field(default=None, hash=False)
    error: ErrorReply | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """A frame of a kind this program does not know: a newer gateway may send some."""

    kind: str


Frame = Event | Response | Other


def request(number: str, method: str, params: Mapping[str, Any] | None = None) -> str:
    """A request as the text of one WebSocket message; ``number`` is repeated by the response.

    Raises:
        ValueError: ``params`` is not JSON.
    """
    frame = {"type": "req", "id": number, "method": method, "params": dict(params or {})}
    try:
        return json.dumps(frame, separators=(",", ":"), allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"the parameters of {method} are not JSON") from error


def text_of(message: list[bytearray]) -> str:
    """Take the only element out of ``message`` and decode it: nobody keeps the bytes beside the text.

    Raises:
        FrameError: it is no UTF-8, or parsing it would take more than ``MAX_MEMORY``.
    """
    data = message.pop()
    needed = memory(data)
    if needed > MAX_MEMORY:
        raise FrameError(
            f"a message of {len(data) / 1e6:.1f} MB that would take {needed / 1e6:.0f} MB of memory "
            f"(at most {MAX_MEMORY / 1e6:.0f} MB are used)"
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FrameError("a message that is not UTF-8") from None


def parse(text: str) -> Frame:
    """Read the text of one message, which :func:`text_of` has let pass.

    Raises:
        FrameError: it is no frame, or nested deeper than ``MAX_DEPTH``.
    """
    try:
        frame = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise FrameError("a message that is not JSON") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise FrameError("a message that is no frame of the Gateway protocol")
    if _is_deeper_than(frame, MAX_DEPTH):
        raise FrameError(f"a message nested deeper than {MAX_DEPTH} levels")
    return _frame(frame)


def memory(data: bytes | bytearray) -> int:
    """An upper estimate of the bytes that parsing ``data`` takes, ``data`` itself not counted."""
    width = 4 if _WIDE.search(data) else 2 if _MEDIUM.search(data) else 1
    strings = 2 * width * len(data)  # the decoded text, and the strings in it
    return strings + sum(cost * data.count(character) for character, cost in _COSTS.items())


def words(value: object, longest: int = LONGEST_WORDS) -> str:
    """A foreign text made fit to be shown: one line, printable, cut; empty where it is no text."""
    if not isinstance(value, str):
        return ""
    shown = "".join(c if c.isprintable() else " " for c in value[: 4 * longest]).split()
    text = " ".join(shown)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else _EMPTY


def number(value: object, low: float, high: float) -> float | None:
    """``value`` where it is a number, brought between ``low`` and ``high``; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if value != value:  # NaN; math.isnan() cannot take an integer of 400 digits
        return None
    return float(min(max(value, low), high))


def _frame(frame: dict[str, Any]) -> Frame:
    match frame["type"]:
        case "event":
            return Event(words(frame.get("event"), 128), mapping(frame.get("payload")))
        case "res":
            return _response(frame)
        case kind:
            return Other(words(kind, 64))


def _response(frame: dict[str, Any]) -> Response:
    answered = frame.get("id")
    if not isinstance(answered, str):
        raise FrameError("a response that does not say to which request")
    if frame.get("ok") is True:
        return Response(answered, frame.get("payload"))
    told = mapping(frame.get("error"))
    milliseconds = number(told.get("retryAfterMs"), 0, 86_400_000)
    error = ErrorReply(
        words(told.get("code"), 64) or "UNKNOWN",
        words(told.get("message")) or "no reason given",
        mapping(told.get("details")),
        told.get("retryable") is True,
        None if milliseconds is None else milliseconds / 1000,
    )
    return Response(answered, error=error)


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)  # 1e999: it could not be written as JSON again
    return value


def _is_deeper_than(value: object, depth: int) -> bool:
    """Level by level, without recursion: what json reads in C could be too deep to be written again."""
    level = [value]
    for _ in range(depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)  # type: ignore[attr-defined]
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
