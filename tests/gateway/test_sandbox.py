"""What is on the port behind the gateway's, by real answers over a link without SSH."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import LinkLost
from openclaw_tunnel.core.sandbox import Found
from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.gateway.sandbox import look_for_sandbox, reports_sandbox
from support.aio import async_test, pass_time
from support.links import DirectLink
from support.waiting import free_port

SHELL = b'<!doctype html>\n<meta charset="utf-8" />\n<title>MCP App sandbox</title>\n<body></body>'
PAGE = b"<!doctype html><title>OpenClaw Control</title>"


def html(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@asynccontextmanager
async def server(answer: bytes | None, asked: list[bytes]) -> AsyncIterator[Endpoint]:
    """Answers whatever it is asked, and notes the first line of that; None: stays silent."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        asked.append(await reader.readuntil(b"\r\n"))
        if answer is not None:
            writer.write(answer)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Endpoint("127.0.0.1", listener.sockets[0].getsockname()[1])
    finally:
        listener.close()
        for writer in writers:
            writer.close()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (html(SHELL), Found.SANDBOX),
        (html(SHELL, b"404 Not Found"), Found.OTHER),
        (html(PAGE), Found.OTHER),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Found.OTHER),
        (None, Found.UNKNOWN),
    ],
)
@async_test
async def test_what_answers(answer: bytes | None, found: Found) -> None:
    asked: list[bytes] = []
    async with server(answer, asked) as to, asyncio.TaskGroup() as group:
        if answer is None:
            group.create_task(pass_time(30, lambda: asked))
        assert await look_for_sandbox(DirectLink(), to, timeout=30) is found
        assert asked == [b"GET /mcp-app-sandbox HTTP/1.1\r\n"]


@async_test
async def test_what_does_not_answer() -> None:
    link, to = DirectLink(), Endpoint("127.0.0.1", free_port())
    assert await look_for_sandbox(link, to, timeout=10.0) is Found.NOTHING
    for code, found in ((Code.FORWARDING_FORBIDDEN, Found.FORBIDDEN), (Code.TIMEOUT, Found.UNKNOWN)):
        link.refuse = Failure(code, "refused")
        assert await look_for_sandbox(link, to, timeout=10.0) is found
    link.lose()
    with pytest.raises(LinkLost):
        await look_for_sandbox(link, to, timeout=10.0)


def test_what_the_gateway_says() -> None:
    assert reports_sandbox(("health", "canvas.document.view"))
    assert reports_sandbox(("board.get",))
    assert not reports_sandbox(("health", "canvas"))
    assert not reports_sandbox(())
