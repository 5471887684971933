"""Real clients that cannot be served: those that speak HTTP get an answer, all of it."""

import asyncio
import contextlib
import http.client
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, Snapshot
from openclaw_tunnel.host.logs import close_logging, setup_logging
from openclaw_tunnel.relay.gate import Gate
from openclaw_tunnel.relay.http_error import HttpErrorResponder, comes_from_here
from openclaw_tunnel.relay.http_request import MOST
from openclaw_tunnel.relay.listener import Listener
from support.aio import async_test, computes, pass_time, settle
from support.links import DirectLink
from support.waiting import free_port

REFUSED = Failure(Code.REFUSED, "gateway.example:22 refused the connection")
NOT_LISTENING = Failure(Code.NOT_LISTENING, "nothing listens there")
GET = b"GET /?token=s3cret HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nCookie: s3cret\r\n\r\n"
PATIENT = 60.0
"""Seconds that no test waits for."""


@dataclass
class Port:
    """A listener in front of nothing, and its gate."""

    listener: Listener
    gate: Gate
    number: int
    state: State = State.BACKOFF
    failure: Failure = REFUSED
    snapshots: int = 0

    def snapshot(self) -> Snapshot:
        self.snapshots += 1
        failure = FailureStatus(**self.failure.to_json())
        forward = ForwardStatus(f"127.0.0.1:{self.number}", "127.0.0.1:1", listening=True)
        return Snapshot("dev", self.state, "2026-11-24T08:00:01Z", "gw:22", "gw", (forward,), failure=failure)

    @property
    def clients(self) -> int:
        counts = self.listener.status().clients
        return counts.open + counts.waiting

    async def ask(self, data: bytes = GET) -> bytes:
        """Send, and read to the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        try:
            writer.write(data)
            return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def silent(self) -> asyncio.StreamReader:
        """A client that says nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        self.silents.append(writer)
        return reader

    def __post_init__(self) -> None:
        self.silents: list[asyncio.StreamWriter] = []


@asynccontextmanager
async def port(
    *, hold: float = PATIENT, patience: float = PATIENT, linger: float = PATIENT, **more: Any
) -> AsyncIterator[Port]:
    gate = Gate(lambda: None)
    number = free_port()
    made: list[Port] = []
    http_error = HttpErrorResponder(lambda: made[0].snapshot(), patience=patience, linger=linger, **more)
    forward = Forward(Endpoint("127.0.0.1", number), Endpoint("127.0.0.1", 1))
    made.append(Port(Listener(forward, gate, Policy(hold=hold), http_error=http_error), gate, number))
    await made[0].listener.bind()
    try:
        yield made[0]
    finally:
        await made[0].listener.close()
        for writer in made[0].silents:
            writer.close()


def error(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"), answer
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    found: dict[str, object] = json.loads(body)["error"]
    return found


@async_test
async def test_the_hold_ends_with_an_answer() -> None:
    async with port(hold=0.02) as p:
        p.gate.hold()
        found = error(await p.ask())
        assert (found["type"], found["code"]) == ("tunnel_unavailable", "refused")
        await settle(lambda: p.clients == 0, "the client's end")


@async_test
async def test_an_answer_at_once_where_waiting_is_pointless() -> None:
    async with port() as p:
        p.state = State.FAILED
        assert error(await p.ask())["state"] == "failed"


@async_test
async def test_a_refused_channel_is_answered_with_its_reason() -> None:
    async with port() as p:
        p.state = State.UP
        link = DirectLink()
        link.refuse = NOT_LISTENING
        p.gate.open(link)
        found = error(await p.ask())
        assert (found["code"], found["message"]) == ("not_listening", "nothing listens there")


@pytest.mark.parametrize(
    ("peer", "here", "local"),
    [
        (("127.0.0.1", 40000), ("127.0.0.1", 18789), True),
        (("::1", 40000, 0, 0), ("::1", 18789, 0, 0), True),
        (("::ffff:127.0.0.1", 40000, 0, 0), ("::ffff:127.0.0.1", 18789, 0, 0), True),
        (("192.0.2.7", 40000), ("192.0.2.7", 18789), True),
        (("192.0.2.9", 40000), ("192.0.2.7", 18789), False),
        (("fe80::9%eth0", 40000, 0, 2), ("fe80::7%eth0", 18789, 0, 2), False),
        ("", "/run/me/gateway.sock", True),
        (None, None, False),
    ],
)
def test_who_is_on_this_computer(peer: object, here: object, local: bool) -> None:
    assert comes_from_here(peer, here) is local


@async_test
async def test_another_computer_does_not_get_what_the_server_said() -> None:
    elsewhere: dict[str, Any] = {"is_local": lambda transport: False}
    more: dict[str, Any]
    for more, is_local in (({}, True), (elsewhere, False)):
        async with port(hold=0.0, **more) as here:
            here.failure = replace(REFUSED, said="visit https://login.example/s3cret")
            assert (b"login.example" in await here.ask()) is is_local


@async_test
async def test_a_browser_gets_the_page() -> None:
    async with port() as p:
        answer = await p.ask(GET.replace(b"*/*", b"text/html"))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b"</html>\n")


@async_test
async def test_nothing_of_the_request_comes_back() -> None:
    async with port() as p:
        for accept in (b"*/*", b"text/html"):
            assert b"s3cret" not in await p.ask(GET.replace(b"*/*", accept))


def test_nothing_of_the_request_is_logged(tmp_path: Path) -> None:
    @async_test
    async def run() -> None:
        async with port() as p:
            await p.ask()
            with pytest.raises(ConnectionResetError):
                await p.ask(b"s3cret\r\n")

    setup_logging(tmp_path / "log", level=logging.DEBUG)
    try:
        run()
    finally:
        close_logging()
    log = (tmp_path / "log").read_text()
    assert log.count("waited in vain") == 2
    assert "s3cret" not in log


@async_test
async def test_a_request_in_pieces() -> None:
    async with port() as p:
        reader, writer = await asyncio.open_connection("127.0.0.1", p.number)
        for at in range(len(GET)):
            writer.write(GET[at : at + 1])
            await settle(lambda: True)
        assert error(await reader.read())
        writer.close()


@pytest.mark.parametrize("data", [GET, GET[:-2]])
def test_a_client_that_has_said_its_last_word(data: bytes) -> None:
    """Whether its end comes after the answer was given, or is what makes its request whole."""

    @async_test
    async def run() -> None:
        async with port() as p:
            reader, writer = await asyncio.open_connection("127.0.0.1", p.number)
            writer.write(data)
            writer.write_eof()
            assert error(await reader.read())
            await settle(lambda: p.clients == 0, "its end, though it never closes")
            writer.close()

    run()


@pytest.mark.parametrize("data", [GET[:20], GET[:-2]])
def test_a_client_that_leaves_before_it_is_answered(data: bytes) -> None:
    @async_test
    async def run() -> None:
        async with port(most_at_once=1) as p:
            _, writer = await asyncio.open_connection("127.0.0.1", p.number)
            writer.write(data)
            await settle(lambda: p.snapshots == 1)
            writer.transport.abort()
            await settle(lambda: p.clients == 0)
            assert error(await p.ask()), "the next one is answered"

    run()


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_other_protocols_are_reset_at_once(data: bytes) -> None:
    @async_test
    async def run() -> None:
        async with port() as p:
            with pytest.raises(ConnectionResetError):
                await p.ask(data)

    run()


@async_test
async def test_a_client_that_says_nothing_is_reset() -> None:
    async with port(patience=0.02) as p:
        with pytest.raises(ConnectionResetError):
            await (await p.silent()).read()


@async_test
async def test_a_client_that_stops_within_its_head_is_answered_as_far_as_it_goes() -> None:
    async with port(patience=30) as p, asyncio.TaskGroup() as group:
        group.create_task(pass_time(30, lambda: p.clients == 1))
        assert error(await p.ask(GET[:-2]))["code"] == "refused"


@async_test
async def test_a_head_without_end_is_not_kept() -> None:
    async with port() as p:
        assert error(await p.ask(GET[:-2] + b"X: " + b"x" * MOST))["code"] == "refused"


@async_test
async def test_websocket_and_head() -> None:
    async with port() as p:
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        assert error(await p.ask(GET.replace(b"*/*", b"text/html")[:-2] + upgrade))["code"] == "refused"
        answer = await p.ask(GET.replace(b"GET", b"HEAD"))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(b"\r\n\r\n")


@contextmanager
def small_window(number: int) -> Iterator[socket.socket]:
    """A client whose kernel takes little at a time."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", number))
        client.settimeout(20)
        yield client


@async_test
async def test_an_upload_gets_its_answer() -> None:
    """The client sends megabytes that nobody wants before it reads: closing on it would destroy the answer."""
    size = 8 << 20
    head = GET.replace(b"GET", b"POST")[:-2] + f"Content-Length: {size}\r\n\r\n".encode()

    def upload(number: int) -> bytes:
        with small_window(number) as client:
            client.sendall(head + b"x" * size)
            answer = b""
            while data := client.recv(1 << 16):
                answer += data
            return answer

    async with port() as p:
        assert error(await asyncio.to_thread(upload, p.number))["code"] == "refused"
        await settle(lambda: p.clients == 0)


@async_test
async def test_a_client_that_never_closes_is_let_go_in_order() -> None:
    async with port(linger=0.02) as p:
        reader, writer = await asyncio.open_connection("127.0.0.1", p.number)
        writer.write(GET)
        await settle(lambda: p.clients == 0)
        assert error(await reader.read())
        writer.close()


@async_test
@computes
async def test_a_client_that_never_reads_does_not_stay() -> None:
    async with port(linger=0.02) as p:
        p.failure = Failure(Code.REFUSED, "x" * (8 << 20))  # more than the kernel takes for it
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", p.number))
            client.sendall(GET)
            await settle(lambda: p.snapshots == 2 and p.clients == 0)


@async_test
async def test_two_hundred_at_the_end_of_a_hold() -> None:
    async with port() as p:
        p.gate.hold()
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(p.ask()) for _ in range(200)]
            await settle(lambda: p.gate.waiting == 200)
            p.state = State.FAILED
            p.gate.refuse()
        assert [error(task.result())["state"] for task in asking] == ["failed"] * 200


@async_test
async def test_more_than_fit_into_memory_are_reset() -> None:
    async with port(most_at_once=2) as p:
        silent = [await p.silent() for _ in range(2)]
        await settle(lambda: p.snapshots == 2)
        with pytest.raises(ConnectionResetError):
            await p.ask()
        p.silents[0].close()
        await settle(lambda: p.clients == 1)
        assert error(await p.ask()), "a place was free again"
        assert not silent[1].at_eof()


@pytest.mark.parametrize("state", [State.STOPPING, State.STOPPED])
def test_a_tunnel_that_is_closed_resets(state: State) -> None:
    @async_test
    async def run() -> None:
        async with port() as p:
            p.state = state
            with pytest.raises(ConnectionResetError):
                await p.ask()

    run()


@async_test
async def test_closing_the_port_does_not_wait_for_those_who_are_heard() -> None:
    async with port() as p:
        reader = await p.silent()
        await settle(lambda: p.snapshots == 1)
        await p.listener.close()
        with pytest.raises(ConnectionResetError):
            await reader.read()


@async_test
async def test_an_http_error_that_breaks_leaves_no_client_behind() -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("broken")

    gate = Gate(lambda: None)
    forward = Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", 1))
    listener = Listener(forward, gate, Policy(), http_error=broken)
    await listener.bind()
    p = Port(listener, gate, forward.listen.port)
    with pytest.raises(ConnectionResetError):
        await p.ask()
    await settle(lambda: p.clients == 0)
    await listener.close()


@async_test
async def test_a_client_of_the_standard_library() -> None:
    def get(number: int) -> tuple[int, str | None, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", number, timeout=20)
        try:
            connection.request("GET", "/healthz")
            response = connection.getresponse()
            return response.status, response.getheader("Retry-After"), response.read()
        finally:
            connection.close()

    async with port() as p:
        status, after, body = await asyncio.to_thread(get, p.number)
        assert (status, after) == (503, "2")
        assert json.loads(body)["error"]["tunnel"] == "dev"
