"""What a client of the gateway's port has sent, as far as the answer to it depends on that. Pure.

The grammar is that of HTTP/1.x, RFC 9112 sections 2 to 5. Of a request only the facts below are kept: paths, queries
and headers carry tokens.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST = 16 << 10
"""Bytes of a request's head that are looked at; Node, and so the gateway, takes no longer ones either."""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_BEGINNING = re.compile(_TOKEN + rb"{1,32}(?: |\Z)")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb"{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.[0-9]\r\n")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::[0-9]*)?")
_PAGE = ("text/html", "application/xhtml+xml")


class NotHttp(Exception):
    """No HTTP/1.x: another protocol, TLS, HTTP/2, or too little to tell."""


@dataclass(frozen=True, slots=True)
class Request:
    """The facts of one request.

    Attributes:
        is_head: the answer has no body.
        wants_page: a person looks at the answer; no program, no WebSocket.
        host: whom it was sent to by the Host header, without port and brackets, in lower case; empty where it names
            nobody, or more than one, or where the target is no path.
    """

    is_head: bool
    wants_page: bool
    host: str


def parse(head: bytes, *, more: bool) -> Request | None:
    """Read the beginning of what a client sent.

    Args:
        more: more may come. Without it, a head that stops after its first line counts as far as it goes.

    Returns:
        None where more has to come first.

    Raises:
        NotHttp: this is no request, and does not become one.
    """
    line = _REQUEST_LINE.match(head)
    if line is None:
        if more and b"\r\n" not in head and (not head or _BEGINNING.match(head)):
            return None
        raise NotHttp
    end = head.find(b"\r\n\r\n", line.end() - 2)
    if end < 0 and more:
        return None
    method, target = line.groups()
    fields = list(_fields(head[line.end() : end if end >= 0 else head.rfind(b"\r\n")]))
    accepted = [
        kind.partition(";")[0].strip() for name, value in fields if name == "accept" for kind in value.split(",")
    ]
    upgrades = any(name == "upgrade" and "websocket" in value for name, value in fields)
    return Request(
        is_head=method == b"HEAD",
        wants_page=method in (b"GET", b"HEAD") and not upgrades and any(kind in _PAGE for kind in accepted),
        host=_host([value for name, value in fields if name == "host"]) if target.startswith(b"/") else "",
    )


def _fields(lines: bytes) -> Iterator[tuple[str, str]]:
    """Names and values, in lower case."""
    for line in lines.decode("latin-1").lower().split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name, value.strip(" \t")


def _host(values: list[str]) -> str:
    found = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    return (found[1] or found[2]) if found else ""
