"""The demo's gateway answers what a probe, a browser and curl ask."""

import asyncio
import json

import pytest

from openclaw_tunnel.demo.gateway import StandIn
from openclaw_tunnel.gateway.answer import Answer, parse
from openclaw_tunnel.gateway.verdict import judge


def ask(path: str, method: str = "GET") -> Answer:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    return parse(StandIn("Hello <you>").answer(head))


def test_a_probe_takes_it_for_a_healthy_gateway() -> None:
    judgement = judge(ask("/healthz"), ask("/startupz"), to="127.0.0.1:1")
    assert (judgement.failure, judgement.version) == (None, "demo")


def test_health_is_what_a_gateway_says() -> None:
    assert json.loads(ask("/healthz?x=1").body) == {"ok": True, "status": "live"}


def test_every_other_path_is_a_page_with_the_greeting() -> None:
    answer = ask("/anything")
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert b"<p>Hello &lt;you&gt;</p>" in answer.body


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405)])
def test_other_methods(method: str, status: int) -> None:
    assert ask("/", method).status == status


async def talk(gateway: StandIn, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def test_it_serves_on_loopback() -> None:
    async def scenario() -> None:
        async with StandIn("Hello") as gateway:
            answer = await talk(gateway, b"GET / HTTP/1.0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")

    asyncio.run(scenario())


@pytest.mark.parametrize("request_bytes", [b"", b"SSH-2.0-x\r\n", b"x" * 100_000])
def test_whoever_speaks_no_http_is_hung_up_on(request_bytes: bytes) -> None:
    async def scenario() -> None:
        async with StandIn("Hello") as gateway:
            try:
                assert await talk(gateway, request_bytes) == b""
            except ConnectionError:
                pass  # reset, with what it had not read: hung up on all the same
            assert await talk(gateway, b"GET / HTTP/1.0\r\n\r\n")

    asyncio.run(scenario())
