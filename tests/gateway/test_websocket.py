"""A WebSocket fed by hand: what arrives in which pieces, and how much memory it takes."""

import asyncio
import base64
import hashlib
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from openclaw_tunnel.core.link import Channel, LinkLost
from openclaw_tunnel.gateway.frames import FrameError, parse
from openclaw_tunnel.gateway.websocket import WebSocket
from support.aio import async_test, computes, settle

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CONT, PING, CLOSE = 1, 0, 9, 8


class Wire:
    """The write half: keeps what is written, and tells of the end as a transport does."""

    def __init__(self, receiver: asyncio.Protocol) -> None:
        self.receiver = receiver
        self.written = bytearray()
        self.ended = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        raise AssertionError("a WebSocket is never half closed")

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        self.ended += 1
        if self.ended == 1:
            asyncio.get_running_loop().call_soon(self.receiver.connection_lost, None)

    abort = close


@dataclass
class HandRoute:
    """A way that leads to a :class:`Wire`."""

    name: str = "gw:1"
    host: str = "gw:1"
    path: str = "/oc?x=1"
    layer: str = "channel"
    headers: Mapping[str, str] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)

    async def open(self, receiver: asyncio.Protocol, *, timeout: float) -> Channel:
        self.wires.append(Wire(receiver))
        return self.wires[-1]


def frame(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """One unmasked frame, as a server sends it."""
    size = len(data)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b""
    return bytes([(0x80 if fin else 0) | opcode]) + (length or b"\x7f" + size.to_bytes(8, "big")) + data


def pieces(data: bytes, size: int = 32_768) -> Iterator[bytes]:
    """As an SSH channel delivers."""
    return (data[at : at + size] for at in range(0, len(data), size))


class Rig:
    """A WebSocket whose far end is this test."""

    def __init__(self, budget: int = 1 << 20) -> None:
        self.route = HandRoute()
        self.texts: list[str] = []
        self.ends = 0
        self.websocket = WebSocket(self.route, self._text, self._end, budget=budget)

    def _text(self, text: str) -> None:
        parse(text)
        self.texts.append(text[:1000])

    def _end(self) -> None:
        self.ends += 1

    async def upgrade(self) -> None:
        """Let the far end grant the WebSocket."""
        async with asyncio.TaskGroup() as group:
            connecting = group.create_task(self.websocket.connect(5))
            await settle(lambda: self.route.wires and self.wire.written.endswith(b"\r\n\r\n"))
            key = next(line for line in bytes(self.wire.written).split(b"\r\n") if b"-Key: " in line).split()[1]
            accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
            self.websocket.data_received(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
        assert connecting.result().status == 101
        self.wire.written.clear()

    @property
    def wire(self) -> Wire:
        return self.route.wires[-1]


@async_test
async def test_the_request() -> None:
    rig = Rig()
    rig.route.headers = {"CF-Access-Client-Id": "id.access"}
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(rig.websocket.connect(5))
        await settle(lambda: rig.route.wires and rig.wire.written)
        lines = bytes(rig.wire.written).decode().split("\r\n")
        rig.websocket.connection_lost(None)
    assert lines[0] == "GET /oc?x=1 HTTP/1.1"
    assert "Host: gw:1" in lines
    assert "CF-Access-Client-Id: id.access" in lines
    assert not [line for line in lines if line.lower().startswith(("origin", "sec-websocket-extensions"))]
    assert connecting.result().status == 0
    await rig.websocket.close()


@async_test
async def test_messages_in_pieces_and_pings_between() -> None:
    rig = Rig()
    await rig.upgrade()
    data = frame(TEXT, b'{"type"', fin=False) + frame(PING, b"p") + frame(CONT, b"", fin=False) + frame(CONT, b':"x"}')
    for byte in pieces(data + frame(TEXT, b'{"type":"y"}'), 1):
        rig.websocket.data_received(byte)
    assert rig.texts == ['{"type":"x"}', '{"type":"y"}']
    assert rig.wire.written[0] == 0x80 | 10, "the ping is answered"
    await rig.websocket.close()
    assert rig.ends == 1


@async_test
async def test_the_far_end_closes() -> None:
    rig = Rig()
    await rig.upgrade()
    rig.websocket.data_received(frame(CLOSE, (1012).to_bytes(2, "big") + b"service restart") + frame(TEXT, b"{}"))
    closed = rig.websocket.closed
    assert closed is not None
    assert (closed.code, closed.reason, closed.ours, closed.lost) == (1012, "service restart", False, False)
    assert rig.texts == []
    assert rig.wire.written[0] == 0x80 | CLOSE, "our side of the closing handshake"
    rig.websocket.send("too late")
    await rig.websocket.close()
    assert (rig.ends, rig.wire.ended) == (1, 1)


@async_test
async def test_we_close_and_the_far_end_is_silent() -> None:
    rig = Rig()
    await rig.upgrade()
    await rig.websocket.close()
    await rig.websocket.close()
    assert rig.wire.written[0] == 0x80 | CLOSE
    assert rig.wire.ended == 1
    assert rig.ends == 1


@pytest.mark.parametrize(
    ("data", "code", "why"),
    [
        (frame(TEXT, b"\xff"), 1007, "not UTF-8"),
        (frame(TEXT, b"nonsense"), 1007, "not JSON"),
        (frame(3, b""), 1002, "invalid opcode"),
        (b"\x81\x80abcd", 1002, "incorrect masking"),
        (b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), 1002, "1099511627776"),
        (frame(CONT, b"x"), 1002, "unexpected continuation frame"),
        (frame(CLOSE, b"\x03"), 1002, "close frame too short"),
        (frame(TEXT, b'{"type":"x"}') * 100_000, 1009, "sends more"),
    ],
)
def test_what_is_not_to_be_borne(data: bytes, code: int, why: str) -> None:
    @async_test
    async def run() -> None:
        rig = Rig()
        await rig.upgrade()
        rig.websocket.data_received(data)
        closed = rig.websocket.closed
        assert closed is not None
        assert (closed.code, closed.ours) == (code, True)
        assert why in closed.reason
        rig.websocket.data_received(b"\x00" * 100)  # whatever comes now is nobody's business
        await rig.websocket.close()
        assert rig.ends == 1

    run()


@async_test
async def test_the_link_goes_away() -> None:
    rig = Rig()
    await rig.upgrade()
    rig.websocket.connection_lost(LinkLost("gone"))
    assert rig.websocket.closed is not None
    assert rig.websocket.closed.lost
    await rig.websocket.close()


@async_test
async def test_an_end_without_a_close_frame() -> None:
    rig = Rig()
    await rig.upgrade()
    rig.websocket.eof_received()
    assert rig.websocket.closed is not None
    assert (rig.websocket.closed.code, rig.websocket.closed.ours) == (1006, False)
    await rig.websocket.close()


def blob() -> bytes:
    return b'{"type":"res","id":"1","ok":true,"payload":"' + b"A" * (25 << 20) + b'"}'


def in_pieces(data: bytes) -> bytes:
    """The same message in many frames."""
    more = (frame(CONT, piece, fin=False) for piece in pieces(data[65_536:]))
    return b"".join([frame(TEXT, data[:65_536], fin=False), *more])


# Made when they are needed: together they take 300 MB, in every process of a run.
BIG: list[tuple[Callable[[], bytes], str | None]] = [
    (lambda: frame(TEXT, blob()), None),
    (lambda: in_pieces(blob()), None),
    (lambda: frame(TEXT, b'{"type":"res","id":"1","payload":[' + b"[]," * (8 << 20) + b"0]}"), "would take"),
    (lambda: frame(TEXT, b'{"type":"res","id":"1","payload":[' + b"0," * (12 << 20) + b"0]}"), "would take"),
    (lambda: frame(TEXT, b'{"type":"x","p":"' + "\U0001f600".encode() * (6 << 20) + b'"}'), "would take"),
    (lambda: frame(TEXT, b'{"type":"x","p":"' + b"a" * (24 << 20) + b'\\ud83d\\ude00"}'), "would take"),
    (lambda: frame(TEXT, b"\xe4" * (25 << 20)), "would take"),
    (lambda: frame(TEXT, b"[" * (25 << 20)), "would take"),
    (lambda: b"".join([frame(TEXT, b"[", fin=False), *[frame(CONT, b"[", fin=False)] * 30_000]), None),
    (lambda: b"".join([frame(PING, b"p" * 125)] * 10_000), None),
]


@pytest.mark.parametrize("number", range(len(BIG)))
def test_nothing_that_is_sent_takes_more_than_64_megabytes(number: int) -> None:
    made, why = BIG[number]
    data = made()

    @async_test
    @computes
    async def run() -> None:
        rig = Rig()
        await rig.upgrade()
        rig.websocket.lift_budget()
        tracemalloc.start()
        try:
            for piece in pieces(data):
                rig.websocket.data_received(piece)
                rig.wire.written.clear()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        closed = rig.websocket.closed
        assert (closed is None) == (why is None)
        assert closed is None or str(why) in closed.reason
        assert peak < 64 << 20, f"{peak / 1e6:.0f} MB"
        await rig.websocket.close()

    run()


def test_parse_is_what_ends_a_message() -> None:
    with pytest.raises(FrameError):
        parse("[]")
