"""Bytes -> HTTP answer, by the standard library's parser. Pure.

The bytes may come from anything that listens on the gateway's port. The parser raises what its arithmetic raises (a
chunk size beyond 64 bits is an OverflowError), so whatever it raises means the same here: this is no good answer.
"""

import http.client
import io
from dataclasses import dataclass
from typing import Any

MAX_ANSWER = 64 * 1024
"""Bytes looked at; the health answers have under 1 KiB, and more is not from a healthy gateway."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: 0 if it was no HTTP at all.
        body: as bytes, cut at ``MAX_ANSWER``.
        broke_off: the far end closed before its answer was whole, or before it had begun.
        date: the header of that name as it was sent: the server's clock.
    """

    status: int = 0
    content_type: str = ""
    body: bytes = b""
    broke_off: bool = False
    date: str = ""


def parse(data: bytes) -> Answer:
    """Read an HTTP/1 answer; whatever the bytes are, an :class:`Answer` comes back."""
    if may_be_http(data) and b"\r\n\r\n" not in data:
        return Answer(0, "", data, len(data) < MAX_ANSWER)
    response = _begun(data)
    if response is None:
        return Answer(0, "", data)
    content_type = response.getheader("content-type", "").partition(";")[0].strip().lower()
    body, is_cut = _body(response)
    return Answer(
        response.status, content_type, body, is_cut and len(data) < MAX_ANSWER, response.getheader("date", "")
    )


def _begun(data: bytes) -> http.client.HTTPResponse | None:
    """The answer whose head ``data`` begins with; None where that is none."""
    response = http.client.HTTPResponse(_Bytes(data), method="GET")  # type: ignore[arg-type]  # duck-typed socket
    try:
        response.begin()
    except Exception:  # see above
        return None
    return response


def _body(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """The body, and whether some of it is missing; empty where its length makes no sense."""
    try:
        return response.read(), False
    except http.client.IncompleteRead as cut:
        return cut.partial, True
    except Exception:  # see above
        return b"", False


def may_be_http(data: bytes | bytearray) -> bool:
    """Whether an HTTP/1 answer may begin like that."""
    return b"HTTP/1.".startswith(data[:7])


class Incoming:
    """The bytes of one answer while they arrive; at most ``MAX_ANSWER`` of them are kept."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._end: int | None = None
        self._has_head = False

    def __bool__(self) -> bool:
        """Whether anything has arrived."""
        return bool(self._data)

    def __bytes__(self) -> bytes:
        """What has arrived."""
        return bytes(self._data)

    def feed(self, data: bytes) -> bool:
        """Take more; True once nothing more is wanted.

        A body of known length is complete when its length says so: a server may keep the connection open after it.
        """
        seen = max(0, len(self._data) - 3)
        self._data += data[: MAX_ANSWER - len(self._data)]
        if not self._has_head:
            self._find_head(seen)
        is_whole = self._end is not None and len(self._data) >= self._end
        return is_whole or len(self._data) >= MAX_ANSWER or not may_be_http(self._data)

    def _find_head(self, seen: int) -> None:
        end = self._data.find(b"\r\n\r\n", seen)
        if end >= 0:
            self._has_head = True
            response = _begun(bytes(self._data[: end + 4]))
            length = response.length if response else None
            self._end = None if length is None else end + 4 + length


class _Bytes:
    """Looks like a socket to HTTPResponse, which only asks it for a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self._data)
