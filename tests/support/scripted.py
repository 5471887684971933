"""A gateway that follows a script: HTTP answers, challenge, answer to connect, end. For tests of the client."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from openclaw_tunnel.core.spec import Endpoint

Json = dict[str, Any]

CHALLENGE: Json = {
    "type": "event",
    "event": "connect.challenge",
    "payload": {"nonce": "6f0c", "ts": 1795328452695, "capabilities": ["model-catalog-snapshot"]},
}


def hello(scopes: list[str] | None = None, **more: Any) -> Json:
    """The payload of ``hello-ok``, as 2026.9 sends it; ``more`` replaces or adds."""
    return {
        "type": "hello-ok",
        "protocol": 4,
        "server": {"version": "2026.9.6", "bootId": "b-1", "connId": "c-1"},
        "features": {"methods": ["health", "status"], "events": ["tick"]},
        "snapshot": {"uptimeMs": 44576},
        "auth": {"method": "token", "role": "operator", "scopes": scopes if scopes is not None else ["operator.read"]},
        "policy": {"maxPayload": 26214400, "maxBufferedBytes": 52428800, "tickIntervalMs": 30000},
        **more,
    }


def error(code: str, message: str, details: Json | None = None, **more: Any) -> Json:
    """The ``error`` of a response."""
    return {"code": code, "message": message, **({"details": details} if details else {}), **more}


def json_answer(status: int, body: Json) -> Response:
    """An HTTP answer as a gateway gives it."""
    data = json.dumps(body).encode()
    headers = Headers({"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(data))})
    return Response(status, "", headers, data)


def page(status: int = 200, text: str = "<!doctype html>") -> Response:
    """The web page that a gateway, or any web server, gives for unknown paths."""
    data = text.encode()
    return Response(status, "", Headers({"Content-Type": "text/html", "Content-Length": str(len(data))}), data)


LIVE = json_answer(200, {"ok": True, "status": "live"})
STARTED = json_answer(200, {"ok": True, "status": "started", "version": "2026.9.6", "uptimeMs": 44585})
READY = json_answer(200, {"ready": True, "failing": [], "uptimeMs": 44576})


@dataclass
class Script:
    """What the gateway does.

    Attributes:
        challenge: the first frame; None: silence.
        answer: the answer to connect: a payload, an ``error`` (it has a ``code``), or None for none.
        close: close code and reason after an error or silence; None: stays open.
        methods: answers to other requests, by method: payloads, errors or None for silence, each used
            once, the last for good.
        http: answers by path; what is not there gets the page.
        upgrade: an HTTP answer to the request for a WebSocket; None: it is granted.
        events: frames that are sent right after hello.
        seen: every request so far.
        headers: those of the requests for a WebSocket.
        connections: how many WebSockets were opened.
    """

    challenge: Json | None = field(default_factory=lambda: dict(CHALLENGE))
    answer: Json | None = field(default_factory=hello)
    close: tuple[int, str] | None = None
    methods: dict[str, list[Any]] = field(default_factory=dict)
    http: dict[str, Response] = field(
        default_factory=lambda: {"/healthz": LIVE, "/startupz": STARTED, "/readyz": READY}
    )
    upgrade: Response | None = None
    events: list[Json] = field(default_factory=list)
    seen: list[Json] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    connections: int = 0
    after_hello: Callable[[ServerConnection], Any] | None = None

    async def serve(self, ws: ServerConnection) -> None:
        """One connection."""
        self.connections += 1
        try:
            if self.challenge is not None:
                await ws.send(json.dumps(self.challenge))
            elif self.close is not None:
                await ws.close(*self.close)
            async for message in ws:
                await self._handle(ws, json.loads(message))
        except ConnectionClosed:
            pass

    async def _handle(self, ws: ServerConnection, frame: Json) -> None:
        self.seen.append(frame)
        if frame["method"] == "connect":
            await self._connect(ws, frame["id"])
            return
        answers = self.methods[frame["method"]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is not None:
            await ws.send(json.dumps(_response(frame["id"], answer)))

    async def _connect(self, ws: ServerConnection, number: str) -> None:
        if self.answer is not None:
            await ws.send(json.dumps(_response(number, self.answer)))
        if self.close is not None:
            await ws.close(*self.close)
            return
        for event in self.events:
            await ws.send(json.dumps(event))
        if self.after_hello is not None:
            await self.after_hello(ws)

    def request(self, _: ServerConnection, request: Request) -> Response | None:
        """One HTTP request."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            self.headers.append(dict(request.headers.raw_items()))
            return self.upgrade
        answer = self.http.get(request.path, page())
        # a copy: the server adds a header to what it sends, and an answer is sent many times
        return replace(answer, headers=Headers(answer.headers.raw_items()))


def _response(number: str, answer: Json) -> Json:
    ok = "code" not in answer
    return {"type": "res", "id": number, "ok": ok, ("payload" if ok else "error"): answer}


@asynccontextmanager
async def scripted(script: Script, port: int = 0, **options: Any) -> AsyncIterator[Endpoint]:
    """The gateway of ``script``, on loopback; ``options`` are those of ``websockets.serve``."""
    server: Server
    options = {"compression": None, "ping_interval": None, "close_timeout": 1, **options}
    async with serve(script.serve, "127.0.0.1", port, process_request=script.request, **options) as server:
        yield Endpoint("127.0.0.1", next(iter(server.sockets)).getsockname()[1])


@asynccontextmanager
async def raw(data: bytes, *, stay: bool = False) -> AsyncIterator[Endpoint]:
    """A server that sends ``data`` to whoever comes, and hangs up or stays."""

    async def serve_raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(data)
            if not stay:
                writer.write_eof()
            while await reader.read(1 << 16):
                pass
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve_raw, "127.0.0.1", 0)
    try:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
