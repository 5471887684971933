"""Bytes -> HTTP answer, by the standard library's parser. Pure."""

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
    response = http.client.HTTPResponse(_Bytes(data), method="GET")  # type: ignore[arg-type]  # duck-typed socket
    try:
        response.begin()
        content_type = response.getheader("content-type", "").partition(";")[0].strip().lower()
        date = response.getheader("date", "")
        try:
            return Answer(response.status, content_type, response.read(), date=date)
        except http.client.IncompleteRead as cut:
            return Answer(response.status, content_type, cut.partial, len(data) < MAX_ANSWER, date)
    except (http.client.HTTPException, ValueError, OSError):
        return Answer(0, "", data)
    finally:
        response.close()


def may_be_http(data: bytes | bytearray) -> bool:
    """Whether an HTTP/1 answer may begin like that."""
    return b"HTTP/1.".startswith(data[:7])


class _Bytes:
    """Looks like a socket to HTTPResponse, which only asks it for a file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self._data)
