"""A gateway whose HTTP answers no gateway gives: sizes without end, numbers without measure, bytes that never come."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from openclaw_tunnel.core.spec import Endpoint

Pieces = Callable[[str], Iterator[bytes]]
"""The answer to a path, piece by piece; what has no end is read until the client leaves."""


def answer(body: object, *, more: str = "") -> bytes:
    """A good answer; ``body`` is JSON, or its bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}Content-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def well(path: str) -> Iterator[bytes]:
    """What a gateway answers that is well."""
    if path == "/healthz":
        yield answer({"ok": True, "status": "live"})
    elif path == "/startupz":
        yield answer({"status": "started", "version": "2026.9.6", "uptimeMs": 5000})
    else:
        yield answer({"ready": True})


def _raw(*pieces: bytes) -> Pieces:
    return lambda path: iter(pieces)


def _startup(body: bytes) -> Pieces:
    """Well but for the answer to ``/startupz``."""
    return lambda path: iter([answer(body)]) if path == "/startupz" else well(path)


def _endless(head: bytes, piece: bytes) -> Pieces:
    def pieces(path: str) -> Iterator[bytes]:
        yield head
        while True:
            yield piece

    return pieces


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
_LIVE = b'{"ok":true,"status":"live"}'

NOT_A_GATEWAY: dict[str, Pieces] = {
    "chunk of 60 digits": _raw(_CHUNKED + b"9" * 60 + b"\r\n{}"),
    "length of 30 digits": _raw(_HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + _LIVE),
    "status of 5000 digits": _raw(b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n{}"),
    "negative status": _raw(b"HTTP/1.1 -200 OK\r\n\r\n{}"),
    "HTTP 1.9999": _raw(b"HTTP/1." + b"9" * 9999 + b"\r\n\r\n"),
    "nesting": _raw(answer(b"[" * 60_000)),
    "integer of 5000 digits": _raw(answer(b'{"ok":true,"status":"live","x":' + b"9" * 5000 + b"}")),
    "headers without end": _endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 8000 + b"\r\n"),
    "a header without end": _endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 65_536),
    "body without end": _endless(_HEAD + b"\r\n", b"a" * 65_536),
    "interim answers without end": _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "101 headers": _raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n"),
    "zeros": _raw(b"\0" * 100_000),
    "gzip": _raw(answer(b"\x1f\x8b\x08" + b"\0" * 20, more="Content-Encoding: gzip\r\n")),
}
"""What no gateway is found behind."""

UNREACHABLE: dict[str, Pieces] = {
    "nothing": _raw(),
    "half a status line": _raw(b"HTTP/1.1 200 O"),
    "half a head": _raw(_HEAD),
    "half a body": _raw(_HEAD + b"Content-Length: 500\r\n\r\n{"),
    "no chunk size": _raw(_CHUNKED + b"zz\r\n{}"),
}
"""What does not come to its end, whether the connection ends or stays open."""

HEALTHY: dict[str, Pieces] = {
    "length of 5000 digits": _raw(_HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + _LIVE),
    "negative length": _raw(_HEAD + b"Content-Length: -1\r\n\r\n" + _LIVE),
    "negative chunk": _raw(_CHUNKED + b"-5\r\n" + _LIVE),
    "uptime of 400 digits": _startup(b'{"status":"started","uptimeMs":1' + b"0" * 400 + b"}"),
    "uptime of 5000 digits": _startup(b'{"status":"started","uptimeMs":1' + b"0" * 5000 + b"}"),
    "negative uptime of 400 digits": _startup(b'{"status":"started","uptimeMs":-1' + b"0" * 400 + b"}"),
    "uptime is not a number": _startup(b'{"status":"started","uptimeMs":NaN}'),
    "uptime is infinite": _startup(b'{"status":"started","uptimeMs":1e999}'),
    "uptime is minus infinity": _startup(b'{"status":"started","uptimeMs":-Infinity}'),
    "uptime is true": _startup(b'{"status":"started","uptimeMs":true}'),
    "version of half a character": _startup(b'{"status":"started","version":"\\ud800"}'),
    "version with commands": _startup(b'{"status":"started","version":"\\u001b]0;x\\u0007\\u202e"}'),
    "version of a megabyte": _startup(b'{"status":"started","version":"' + b"9" * 60_000 + b'"}'),
    "startupz of nothing but nesting": _startup(b"{" * 60_000),
}
"""Odd, but live: ``/healthz`` says so."""


@dataclass
class OddGateway:
    """What answers.

    Attributes:
        says: the answers; a test may change them at any time.
        stays: the connection stays open after an answer.
        asked: how many clients there were.
    """

    says: Pieces = well
    stays: bool = False
    asked: int = 0
    clients: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self.asked += 1
        self.clients.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # a client may leave at any time
            head = await reader.readuntil(b"\r\n\r\n")
            for piece in self.says(head.split()[1].decode()):
                writer.write(piece)
                await writer.drain()
            if self.stays:
                await reader.read()
        self.clients.discard(writer)
        writer.close()


@asynccontextmanager
async def odd_gateway() -> AsyncIterator[tuple[OddGateway, Endpoint]]:
    """The gateway, on loopback, and where it is."""
    gateway = OddGateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    try:
        yield gateway, Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for client in tuple(gateway.clients):
            client.transport.abort()
