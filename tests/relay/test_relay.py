"""Real clients on a real local port; the link behind it is a plain TCP stand-in."""

import asyncio
import contextlib
import hashlib
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Source
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward
from openclaw_tunnel.relay.bind import BindFailed, Bound
from openclaw_tunnel.relay.gate import Gate
from openclaw_tunnel.relay.listener import Listener
from openclaw_tunnel.relay.pipe import ByteCounter, Client
from support.aio import async_test, settle
from support.links import DirectLink
from support.waiting import free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@dataclass
class Rig:
    """A listener in front of a server, and the gate between them."""

    listener: Listener
    gate: Gate
    port: int
    waits: list[None]
    refusals: list[Failure]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    @property
    def clients(self) -> tuple[int, int, int]:
        counts = self.listener.status().clients
        return counts.open, counts.waiting, counts.total


@asynccontextmanager
async def rig(handler: Handler, policy: Policy | None = None, *, dual: bool = False) -> AsyncIterator[Rig]:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await handler(reader, writer)  # type: ignore[misc]  # handlers are coroutine functions
        except ConnectionError:
            pass  # the link was cut under it, which is what the test does

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    waits: list[None] = []
    refusals: list[Failure] = []
    gate = Gate(lambda: waits.append(None))
    to = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    forward = Forward(Endpoint("127.0.0.1", free_port()), to, dual=dual)
    listener = Listener(forward, gate, policy or Policy(), on_refused=refusals.append)
    await listener.bind()
    gate.hold()
    try:
        yield Rig(listener, gate, forward.listen.port, waits, refusals)
    finally:
        await listener.close()
        server.close()
        for writer in writers:
            writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def finish(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass  # the other side may have reset it: the test has seen what it wanted


@async_test
async def test_twenty_megabytes_both_ways_unchanged() -> None:
    data = os.urandom(20 << 20)
    async with rig(echo) as r:
        r.gate.open(DirectLink())
        reader, writer = await r.connect()

        async def send() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            back = group.create_task(reader.read())
        assert hashlib.sha256(back.result()).digest() == hashlib.sha256(data).digest()
        await finish(writer)
        await settle(lambda: r.clients == (0, 0, 1))
        assert r.listener.status().bytes.sent == r.listener.status().bytes.received == len(data)


@async_test
async def test_half_close_by_the_client() -> None:
    """The client says it is done; the server answers only then."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(len(await reader.read())).encode())
        writer.close()

    async with rig(count) as r:
        r.gate.open(DirectLink())
        reader, writer = await r.connect()
        writer.write(b"x" * 1000)
        writer.write_eof()
        assert await reader.read() == b"1000"
        await finish(writer)


@async_test
async def test_half_close_by_the_server() -> None:
    """The server says it is done and goes on listening; what the client still sends arrives."""
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def speak_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.write_eof()
        received.set_result(await reader.read())
        writer.close()

    async with rig(speak_first) as r:
        r.gate.open(DirectLink())
        reader, writer = await r.connect()
        assert await reader.read() == b"hello"
        writer.write(b"and you")
        writer.write_eof()
        assert await received == b"and you"
        await finish(writer)


@async_test
async def test_a_slow_reader_slows_the_server_and_nobody_else() -> None:
    """Backpressure: while one client does not read, the server's writes stop, and another client is served."""
    written = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        if await reader.readexactly(1) == b"?":
            writer.write(b"!")
            await reader.read()
            writer.close()
            return
        for _ in range(640):
            writer.write(b"z" * (1 << 16))
            await writer.drain()
            written += 1 << 16
        writer.close()

    async with rig(pour) as r:
        r.gate.open(DirectLink())
        slow = socket.create_connection(("127.0.0.1", r.port))
        slow.setblocking(False)
        slow.send(b"g")
        last = -1
        while written != last:  # until the flow has stopped: many turns without another byte
            last = written
            for _ in range(3):
                reader, writer = await r.connect()
                writer.write(b"?")
                assert await reader.readexactly(1) == b"!"
                await finish(writer)
        assert 0 < written < 30 << 20
        loop = asyncio.get_running_loop()
        total = 0
        while data := await loop.sock_recv(slow, 1 << 20):
            total += len(data)
        assert total == 640 << 16
        slow.close()


@async_test
async def test_a_held_client_is_served_when_the_link_is_there() -> None:
    async with rig(echo) as r:
        reader, writer = await r.connect()
        writer.write(b"early")
        await settle(lambda: r.clients == (0, 1, 1))
        assert r.waits == [None]
        r.gate.open(DirectLink())
        assert await reader.readexactly(5) == b"early"
        assert r.clients == (1, 0, 1)
        assert r.gate.held == 1
        await finish(writer)


@async_test
async def test_nothing_is_read_before_the_channel_is_open() -> None:
    """A client that sends without end while it is held fills its own socket buffer, not our memory."""
    async with rig(echo) as r:
        client = socket.create_connection(("127.0.0.1", r.port))
        client.setblocking(False)
        await settle(lambda: r.clients == (0, 1, 1))
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 64 << 20:
                sent += client.send(b"x" * 65536)
        assert sent < 64 << 20
        assert r.listener.status().bytes.sent == 0
        client.close()


@async_test
async def test_two_hundred_held_clients() -> None:
    async with rig(echo) as r:
        pairs = [await r.connect() for _ in range(200)]
        for i, (_, writer) in enumerate(pairs):
            writer.write(f"{i:03}".encode())
        await settle(lambda: r.clients == (0, 200, 200))
        r.gate.open(DirectLink())
        for i, (reader, writer) in enumerate(pairs):
            assert await reader.readexactly(3) == f"{i:03}".encode()
            await finish(writer)


@async_test
async def test_the_hold_ends_with_a_reset() -> None:
    async with rig(echo, Policy(hold=0.05)) as r:
        reader, writer = await r.connect()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await finish(writer)
        assert r.gate.waiting == 0


@async_test
async def test_refused_at_once_where_waiting_is_pointless() -> None:
    async with rig(echo) as r:
        held, held_writer = await r.connect()
        await settle(lambda: r.gate.waiting == 1)
        r.gate.refuse()
        with pytest.raises(ConnectionResetError):
            await held.read()
        reader, writer = await r.connect()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await finish(writer)
        await finish(held_writer)


@async_test
async def test_a_cut_download_does_not_look_complete() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half of it")
        await reader.read()

    async with rig(half) as r:
        link = DirectLink()
        r.gate.open(link)
        reader, writer = await r.connect()
        assert await reader.readexactly(10) == b"half of it"
        r.gate.hold()
        link.lose()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await finish(writer)
        await settle(lambda: r.clients == (0, 0, 1))


@async_test
async def test_a_link_that_dies_while_the_channel_opens_costs_nothing() -> None:
    """The client is not served by the first link, so the second one serves it, from its first byte."""
    async with rig(echo) as r:
        first, second = DirectLink(), DirectLink()
        first.hang = asyncio.get_running_loop().create_future()
        r.gate.open(first)
        reader, writer = await r.connect()
        writer.write(b"hello")
        await settle(lambda: r.clients == (0, 1, 1))
        first.lose()
        await settle(lambda: r.gate.waiting == 1, "the client goes back to waiting")
        r.gate.open(second)
        assert await reader.readexactly(5) == b"hello"
        await finish(writer)


@async_test
async def test_a_download_goes_on_while_another_client_waits_for_its_channel() -> None:
    async with rig(echo) as r:
        link = DirectLink()
        r.gate.open(link)
        reader, writer = await r.connect()
        writer.write(b"1")
        assert await reader.readexactly(1) == b"1"
        link.hang = asyncio.get_running_loop().create_future()
        held, held_writer = await r.connect()
        await settle(lambda: r.clients == (1, 1, 2))
        for i in range(100):
            writer.write(bytes([i]) * 1000)
            assert await reader.readexactly(1000) == bytes([i]) * 1000
        link.hang.set_result(None)
        held_writer.write(b"2")
        assert await held.readexactly(1) == b"2"
        await finish(writer)
        await finish(held_writer)


@async_test
async def test_a_refused_channel_resets_the_client_and_is_reported() -> None:
    async with rig(echo) as r:
        link = DirectLink()
        link.refuse = Failure(Code.NOT_LISTENING, "nothing there")
        r.gate.open(link)
        reader, writer = await r.connect()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await finish(writer)
        assert r.refusals == [link.refuse]


class _Sink:
    """A channel that takes everything."""

    def ready(self, source: Source) -> bool:
        source.read(1 << 16)
        return True

    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


@async_test
async def test_an_answer_ends_in_order_for_a_client_that_still_sends() -> None:
    """Closing while bytes of the client are unread would make the kernel reset it, and drop what is not sent yet."""
    answer = os.urandom(200_000)
    ours, theirs = _tcp_pair(receive_buffer=4096)
    with theirs:
        ours.setblocking(False)
        client = Client(ours, ByteCounter(), lambda _: None)
        far = client.far_end()
        client.join(far, _Sink())
        theirs.sendall(b"y" * 1000)  # the loop has no turn to read it before the far end has closed
        far.data_received(answer)
        far.connection_lost(None)
        for _ in range(3):
            await settle(lambda: True)
        assert await asyncio.to_thread(_read_to_the_end, theirs) == answer
    await settle(lambda: client.gone, "the end of a client that has left")


def _read_to_the_end(sock: socket.socket) -> bytes:
    received = b""
    while data := sock.recv(1 << 16):
        received += data
    return received


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_reset_is_a_reset_for_tcp_and_an_end_for_unix_sockets(family: socket.AddressFamily) -> None:
    @async_test
    async def run() -> None:
        ours, theirs = socket.socketpair() if family == socket.AF_UNIX else _tcp_pair()
        with theirs:
            ours.setblocking(False)
            Client(ours, ByteCounter(), lambda _: None).drop()
            await settle(lambda: ours.fileno() < 0)
            if family == socket.AF_UNIX:
                assert theirs.recv(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    theirs.recv(1)

    run()


def _tcp_pair(receive_buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection; ``receive_buffer`` in bytes is for the second."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.socket()
        if receive_buffer:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    return ours, theirs


@async_test
async def test_a_client_that_vanishes_closes_its_channel() -> None:
    gone = asyncio.Event()

    async def until_eof(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        finally:
            gone.set()

    async with rig(until_eof) as r:
        r.gate.open(DirectLink())
        _, writer = await r.connect()
        await settle(lambda: r.clients == (1, 0, 1))
        writer.transport.abort()
        await gone.wait()
        await finish(writer)


@async_test
async def test_close_drops_the_clients_and_frees_the_port() -> None:
    async with rig(echo) as r:
        r.gate.open(DirectLink())
        reader, writer = await r.connect()
        writer.write(b"1")
        assert await reader.readexactly(1) == b"1"
        await r.listener.close()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await finish(writer)
        assert not r.listener.status().listening
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", r.port))


@async_test
async def test_out_of_file_descriptors_is_a_pause_not_an_end() -> None:
    async with rig(echo) as r:
        r.gate.open(DirectLink())
        hoard: list[socket.socket] = []
        waiting = socket.socket()
        waiting.setblocking(False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 3, hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    hoard.append(socket.socket())
            waiting.connect_ex(("127.0.0.1", r.port))
            waiting.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(waiting, b"patience")
            for _ in range(20):
                await settle(lambda: True)
            assert r.clients == (0, 0, 0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for sock in hoard:
                sock.close()
        assert await asyncio.get_running_loop().sock_recv(waiting, 100) == b"patience"
        waiting.close()


@async_test
async def test_clients_of_both_loopback_addresses_are_served_and_counted() -> None:
    async with rig(echo, dual=True) as r:
        if not r.listener.status().also:
            pytest.skip("this computer has no IPv6 loopback address")
        r.gate.open(DirectLink())
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, r.port)
            writer.write(host.encode())
            assert await reader.readexactly(len(host)) == host.encode()
            await finish(writer)
        await settle(lambda: r.clients == (0, 0, 2))
        status = r.listener.status()
        assert (status.listen, status.also) == (f"127.0.0.1:{r.port}", (f"[::1]:{r.port}",))
        await r.listener.close()
        assert r.listener.status().also == ()


@async_test
async def test_a_listener_takes_the_sockets_that_it_is_given() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    forward = Forward(Endpoint("127.0.0.1", sock.getsockname()[1]), Endpoint("127.0.0.1", 1))
    listener = Listener(forward, Gate(lambda: None), Policy(), bound=Bound((sock,), note="handed over"))
    assert not listener.status().listening
    await listener.bind()
    assert (listener.status().listening, listener.status().note) == (True, "handed over")
    _, writer = await asyncio.open_connection(*sock.getsockname())
    await settle(lambda: listener.status().clients.total == 1)
    await listener.close()
    assert sock.fileno() == -1
    await finish(writer)


@async_test
async def test_sockets_that_were_given_and_never_used_are_closed() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    forward = Forward(Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 1))
    await Listener(forward, Gate(lambda: None), Policy(), bound=Bound((sock,))).close()
    assert sock.fileno() == -1


@async_test
async def test_a_port_in_use_names_who_holds_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        listener = Listener(Forward(Endpoint("127.0.0.1", port), Endpoint("h", 1)), Gate(lambda: None), Policy())
        with pytest.raises(BindFailed) as caught:
            await listener.bind()
        assert caught.value.failure.code is Code.PORT_IN_USE
        assert caught.value.failure.message.startswith(f"local port 127.0.0.1:{port} is in use")
        assert f"pid {os.getpid()}" in caught.value.failure.message


@async_test
async def test_an_address_that_is_not_ours() -> None:
    listener = Listener(Forward(Endpoint("192.0.2.1", 18789), Endpoint("h", 1)), Gate(lambda: None), Policy())
    with pytest.raises(BindFailed) as caught:
        await listener.bind()
    assert caught.value.failure.code is Code.PORT_NOT_ALLOWED
    assert caught.value.failure.message == "cannot listen on 192.0.2.1:18789: not an address of this computer"


@async_test
async def test_a_unix_socket_is_private_replaced_when_dead_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    forward = Forward(Endpoint(path=str(path)), Endpoint("127.0.0.1", 1))
    listener = Listener(forward, Gate(lambda: None), Policy())
    await listener.bind()
    assert path.stat().st_mode & 0o777 == 0o600
    second = Listener(forward, Gate(lambda: None), Policy())
    with pytest.raises(BindFailed) as caught:
        await second.bind()
    assert caught.value.failure.code is Code.PORT_IN_USE
    await listener.close()
    assert not path.exists()


@async_test
async def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("mine")
    listener = Listener(Forward(Endpoint(path=str(path)), Endpoint("h", 1)), Gate(lambda: None), Policy())
    with pytest.raises(BindFailed):
        await listener.bind()
    assert path.read_text() == "mine"
