"""What the daemon and the command line say to each other: JSON objects, one a line.

A request is ``{"v":1,"id":1,"method":"status","params":{}}``. It is answered by any number of events,
``{"v":1,"id":1,"event":{...}}``, then by one answer: ``{"v":1,"id":1,"ok":true,"result":{...}}`` or
``{"v":1,"id":1,"ok":false,"error":{"message":"...","hint":"...","exit_code":10}}``.

A daemon outlives an upgrade of the program, so both sides name the version they speak. ``ping`` and ``down``
are the same in every version: a new command can always end an old daemon, and the other way round.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

from openclaw_tunnel.errors import ExitCode, RequestRefused, TunnelError

VERSION = 1
MAX_LINE = 1 << 20
"""Bytes of one line, its newline included; of all lines but those of a request and of a good answer."""

MAX_REQUEST = 80 << 20
"""Bytes of a request's line: the parameters of ``call`` have up to 24 MiB, and JSON may write two bytes as six."""

MAX_RESULT = 128 << 20
"""Bytes of a good answer's line: a gateway's payload has up to 25 MiB, and JSON may write a byte as six."""

ANY_VERSION = frozenset({"ping", "down"})
"""The methods that never change."""

_START_ANEW = "end the running daemon and start it anew: openclaw-tunnel down --all, then openclaw-tunnel up -d"


class Request(NamedTuple):
    """What the command line asks for."""

    id: int
    method: str
    params: dict[str, Any]


class Event(NamedTuple):
    """News for a request that is still being answered."""

    id: int
    event: dict[str, Any]


class Answer(NamedTuple):
    """The end of a request: a result, or the error to raise."""

    id: int
    result: dict[str, Any]
    error: TunnelError | None = None


class BadRequest(RequestRefused):
    """A line that is no request of this version; ``id`` is the request's where it can be told, else 0."""

    def __init__(self, message: str, *, hint: str = "", id: int = 0) -> None:
        super().__init__(message, hint=hint, exit_code=ExitCode.USAGE)
        self.id = id


def encode_request(request: Request) -> bytes:
    """The line of a request.

    Raises:
        RequestRefused: it is longer than ``MAX_REQUEST``.
    """
    data = {"v": VERSION, "id": request.id, "method": request.method, "params": request.params}
    return _line(data, MAX_REQUEST)


def decode_request(line: bytes) -> Request:
    """Read a request; any bytes at all are a request or a BadRequest.

    Raises:
        BadRequest: with a sentence for whoever sent it.
    """
    try:
        data = _object(line, MAX_REQUEST)
    except ValueError as problem:
        raise BadRequest(f"not a request: {problem}") from None
    number, method, params = data.get("id"), data.get("method"), data.get("params", {})
    if not _is_int(number):
        raise BadRequest("a request needs a whole number as its id")
    if not isinstance(method, str):
        raise BadRequest("a request needs the name of a method", id=number)
    if method not in ANY_VERSION and data.get("v") != VERSION:
        raise BadRequest(
            f"the command speaks version {_shown(data.get('v'))} of the control protocol, "
            f"the running daemon version {VERSION}",
            hint=_START_ANEW,
            id=number,
        )
    if not isinstance(params, dict):
        raise BadRequest("the params of a request are an object", id=number)
    return Request(number, method, params)


def too_long(limit: int) -> BadRequest:
    """The refusal of a request whose line is longer than ``limit`` bytes."""
    return BadRequest(f"not a request: longer than {limit} bytes")


def unknown_method(method: str) -> RequestRefused:
    """The refusal of a method this daemon does not have: the command is of another release."""
    return RequestRefused(f"the running daemon does not know {_shown(method)}", hint=_START_ANEW)


def encode_event(request_id: int, event: Mapping[str, Any]) -> bytes:
    """The line of an event.

    Raises:
        RequestRefused: it is longer than ``MAX_LINE``.
    """
    return _line({"v": VERSION, "id": request_id, "event": event})


def encode_result(request_id: int, result: Mapping[str, Any]) -> bytes:
    """The line of a good answer.

    Raises:
        RequestRefused: it is longer than ``MAX_RESULT``.
    """
    return _line({"v": VERSION, "id": request_id, "ok": True, "result": result}, MAX_RESULT)


def encode_error(request_id: int, error: TunnelError) -> bytes:
    """The line of a refusal."""
    body = {"message": error.message[:4096], "hint": error.hint[:4096], "exit_code": int(error.exit_code)}
    return _line({"v": VERSION, "id": request_id, "ok": False, "error": body})


def decode_reply(line: bytes) -> Event | Answer:
    """Read what a daemon sent.

    Raises:
        TunnelError: it is no reply at all.
    """
    try:
        data = _object(line, MAX_RESULT)
    except ValueError as problem:
        raise not_understood(str(problem)) from None
    number, event, result, error = (data.get(key) for key in ("id", "event", "result", "error"))
    if _is_int(number):
        if isinstance(event, dict):
            return Event(number, event)
        if data.get("ok") is True and isinstance(result, dict):
            return Answer(number, result)
        if data.get("ok") is False and isinstance(error, dict):
            return Answer(number, {}, _error(error))
    raise not_understood("no event, result or error in it")


def _error(data: Mapping[str, Any]) -> TunnelError:
    code = data.get("exit_code")
    message, hint = data.get("message"), data.get("hint")
    return RequestRefused(
        message if isinstance(message, str) else "the daemon refused without a reason",
        hint=hint if isinstance(hint, str) else "",
        exit_code=ExitCode(code) if _is_int(code) and code in set(ExitCode) else ExitCode.NO,
    )


def not_understood(reason: str) -> TunnelError:
    """The error of a command whose daemon answers something else than an answer."""
    return TunnelError(f"the running daemon's answer cannot be read: {reason}", hint=_START_ANEW)


def _line(data: Mapping[str, Any], limit: int = MAX_LINE) -> bytes:
    line = json.dumps(data, separators=(",", ":")).encode() + b"\n"
    if len(line) > limit:
        raise RequestRefused(f"a message of {len(line)} bytes is longer than {limit}")
    return line


def _object(line: bytes, limit: int) -> dict[str, Any]:
    """The JSON object on ``line``; ValueError, without an echo of the content, for anything else."""
    if len(line) > limit:
        raise ValueError(f"longer than {limit} bytes")
    try:
        data = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError:
        raise ValueError("not JSON") from None
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return data


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, int | str) else type(value).__name__
    return text if len(text) <= 40 else text[:37] + "..."
