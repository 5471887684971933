"""The gateway of ``demo``: as much HTTP as a probe, a browser and curl need, on a free port of 127.0.0.1."""

import asyncio
import contextlib
import html
import json
from typing import Self

_PATIENCE = 5.0
_MOST = 16 * 1024
_PAGE = "<!doctype html><title>demo gateway</title><p>{}</p>\n"


class StandIn:
    """Answers /healthz and /startupz as a gateway does, everything else with a page; an async context manager.

    Attributes:
        greeting: the words on the page.
        port: where it listens.
    """

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting
        self.port = 0
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._alone = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_MOST)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None  # noqa: S101  entered before
        self._server.close()
        for client in self._clients:
            client.close()
        while self._clients:
            self._alone.clear()
            await self._alone.wait()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever it was has gone, or speaks no HTTP
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._clients.discard(writer)
            self._alone.set()

    def answer(self, head: bytes) -> bytes:
        """The whole answer to a request, of which ``head`` is everything up to the empty line."""
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        kind, body = "application/json", ""
        match path:
            case "/healthz":
                body = json.dumps({"ok": True, "status": "live"}, separators=(",", ":"))
            case "/startupz":
                body = json.dumps({"ok": True, "status": "started", "version": "demo"}, separators=(",", ":"))
            case _:
                kind, body = "text/html; charset=utf-8", _PAGE.format(html.escape(self.greeting))
        status = "200 OK" if method in ("GET", "HEAD") else "405 Method Not Allowed"
        data = body.encode()
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(data)}", "Connection: close"]
        return "\r\n".join([*lines, "", ""]).encode() + (data if method != "HEAD" else b"")
