"""A forward that leads back to its own local port is found out, and a server that is slow is not taken for one."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import ChannelFailed, Opened, nobody_waits
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.relay.bind import Bound
from openclaw_tunnel.relay.gate import Gate
from openclaw_tunnel.relay.listener import Listener
from openclaw_tunnel.relay.loop import SUSPICIOUS, LoopGuard
from openclaw_tunnel.relay.pipe import ByteCounter, Client
from support.aio import async_test, settle
from support.links import DirectLink

MOST = 2 * SUSPICIOUS + 2
"""Clients of itself: those that raise the suspicion, the one that waits for the outcome, the one that proves it."""


def bound(host: str = "127.0.0.1") -> tuple[Bound, int]:
    """A socket that listens, and its port."""
    sock = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setblocking(False)
    return Bound((sock,)), sock.getsockname()[1]


@asynccontextmanager
async def listening(
    sockets: Bound,
    to: Endpoint,
    *,
    link: DirectLink | None = None,
    refusals: list[Failure] | None = None,
) -> AsyncIterator[Listener]:
    """A listener whose link leads to wherever this computer's TCP does."""
    gate = Gate(lambda: None)
    told = refusals if refusals is not None else []
    host, port = sockets.sockets[0].getsockname()[:2]
    listener = Listener(Forward(Endpoint(host, port), to), gate, Policy(), on_refused=told.append, bound=sockets)
    await listener.bind()
    gate.open(link or DirectLink())
    try:
        yield listener
    finally:
        await listener.close()


async def connect(port: int, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(host, port)


async def ends(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end, which may be a reset."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            data += piece
    return data


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
@pytest.mark.parametrize("says", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_the_own_port(host: str, says: bytes) -> None:
    """It is found out by a client that speaks and by one that says nothing, and all of its clients go."""

    @async_test
    async def run() -> None:
        here = "::1" if host == "::1" else "127.0.0.1"
        sockets, port = bound(here)
        to = Endpoint(host, port)
        refusals: list[Failure] = []
        async with listening(sockets, to, refusals=refusals) as listener:
            reader, writer = await connect(port, here)
            writer.write(says)
            assert await ends(reader) == b""
            writer.close()
            await settle(lambda: listener.status().clients.waiting == listener.status().clients.open == 0)
            assert [failure.code for failure in refusals] == [Code.LOOP]
            assert refusals[0].message == f"{to} leads back to this tunnel's own local port, {Endpoint(here, port)}"
            assert "-L PORT:HOST:HOSTPORT" in refusals[0].hint
            assert listener.status().note == refusals[0].message
            assert listener.status().clients.total <= MOST
            before = listener.status().clients.total
            for _ in range(10):
                reader, writer = await connect(port, here)
                assert await ends(reader) == b""
                writer.close()
            assert listener.status().clients.total == before + 10  # refused without a channel
            assert len(refusals) == 1

    run()


@async_test
async def test_a_ring_of_two() -> None:
    (first, one), (second, two) = bound(), bound()
    ends_of = (Endpoint("127.0.0.1", one), Endpoint("127.0.0.1", two))
    async with listening(first, ends_of[1]) as a, listening(second, ends_of[0]) as b:
        reader, writer = await connect(one)
        writer.write(b"hello")
        assert await ends(reader) == b""
        writer.close()
        await settle(lambda: all(x.status().clients.open == x.status().clients.waiting == 0 for x in (a, b)))
        assert a.status().note or b.status().note
        assert a.status().clients.total + b.status().clients.total <= 4 * MOST, "however the chances fall"


class Silent:
    """A server that accepts, and answers each client when it is told to.

    Attributes:
        heard: what came from each.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.answer = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            self.heard.append(await reader.read(1000))
            await self.answer.wait()
            writer.write(b"done")
        writer.close()


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[Silent, int]]:
    made = Silent()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    try:
        yield made, server.sockets[0].getsockname()[1]
    finally:
        made.answer.set()
        server.close()


async def ask(port: int, number: int) -> bytes:
    reader, writer = await connect(port)
    writer.write(b"%d" % number)
    answer = await ends(reader)
    writer.close()
    return answer


@async_test
async def test_a_slow_server_with_many_clients_is_no_loop() -> None:
    """All of its clients are served, and it hears from each what that has sent."""
    async with silent() as (server, to):
        sockets, port = bound()
        refusals: list[Failure] = []
        async with listening(sockets, Endpoint("127.0.0.1", to), refusals=refusals) as listener:
            tasks = Tasks()
            clients = [tasks.start(ask(port, number), name="client") for number in range(20 * SUSPICIOUS)]
            await settle(lambda: {b"%d" % n for n in range(len(clients))} <= set(server.heard), "all to be heard")
            server.answer.set()
            assert await asyncio.gather(*clients) == [b"done"] * len(clients)
            assert refusals == []
            assert listener.status().note is None


@async_test
async def test_a_server_that_speaks_first_is_never_tried() -> None:
    greeted = 0

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        writer.write(b"220 ready\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    to = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    sockets, port = bound()
    async with listening(sockets, to):
        writers = []
        for _ in range(3 * SUSPICIOUS):
            reader, writer = await connect(port)
            assert await reader.readline() == b"220 ready\r\n"
            writers.append(writer)
        assert greeted == 3 * SUSPICIOUS  # and not one more
        for writer in writers:
            writer.close()
    server.close()


class Rig:
    """A guard in front of a link, and clients that ask it."""

    def __init__(self, to: Endpoint, *, recheck: float = 30.0) -> None:
        self.unanswered = SUSPICIOUS
        self.found: list[Failure] = []
        self.forward = Forward(Endpoint("127.0.0.1", 1), to)
        self.guard = LoopGuard(
            self.forward, lambda: self.unanswered, on_found=self.found.append, recheck=recheck, chance=lambda: 0
        )
        self.counter = ByteCounter()

    async def admitted(self, link: DirectLink) -> bool:
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            client = Client(ours, self.counter, lambda _: None)
            try:
                await self.guard.admit(client, link)
            except ChannelFailed:
                return False
            finally:
                client.drop()
        return True


class CountingLink(DirectLink):
    """Counts the channels that were asked for; ``error`` comes out instead of one."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = 0
        self.error: Exception | None = None

    async def open_channel(
        self, host: str, port: int, receiver: Any, *, timeout: float, opened: Opened = nobody_waits
    ) -> Any:
        self.opened += 1
        if self.error is not None:
            raise self.error
        return await super().open_channel(host, port, receiver, timeout=timeout, opened=opened)


@async_test
async def test_nothing_is_tried_without_suspicion() -> None:
    async with silent() as (_server, to):
        rig, link = Rig(Endpoint("127.0.0.1", to)), CountingLink()
        rig.unanswered = SUSPICIOUS - 1
        assert await rig.admitted(link)
        assert link.opened == 0
        rig.unanswered = SUSPICIOUS
        assert await rig.admitted(link)
        assert link.opened == 1
        rig.unanswered = 4 * SUSPICIOUS - 1  # many slow answers, which is known by now
        assert await rig.admitted(link)
        assert link.opened == 1
        rig.unanswered += 1
        assert await rig.admitted(link)
        assert link.opened == 2
        await rig.guard.close()


@pytest.mark.parametrize(
    "error", [ChannelFailed(Failure(Code.NOT_LISTENING, "nothing there")), ValueError("x"), OSError(5, "x")]
)
def test_a_try_that_fails_is_no_proof(error: Exception) -> None:
    @async_test
    async def run() -> None:
        rig, link = Rig(Endpoint("127.0.0.1", 1)), CountingLink()
        link.error = error
        assert await rig.admitted(link)
        assert (link.opened, rig.guard.failure) == (1, None)
        await rig.guard.close()

    run()


@async_test
async def test_what_was_found_is_tried_again_after_a_while() -> None:
    """Another server may have taken the port: the first client after that time finds it, and the next ones too."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    forward = Forward(Endpoint("127.0.0.1", port), Endpoint("127.0.0.1", port))
    link = CountingLink()
    found: list[Failure] = []
    counter = ByteCounter()
    guard = LoopGuard(
        forward,
        lambda: 0 if guard.failure or link.opened > 1 else SUSPICIOUS,
        on_found=found.append,
        recheck=0,
        chance=lambda: 0,
    )
    admitted = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def accept(conn: socket.socket) -> None:
        nonlocal admitted
        conn.setblocking(False)
        client = Client(conn, counter, lambda _: None)
        with contextlib.suppress(ChannelFailed):
            await guard.admit(client, link)
            admitted += 1
        client.drop()

    async def accept_all(listener: socket.socket) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                conn, _ = await asyncio.get_running_loop().sock_accept(listener)
                group.create_task(accept(conn))

    listener.setblocking(False)
    accepting = Tasks().start(accept_all(listener), name="accept")
    for opened in (1, 2):  # the first one was suspected, the second one is tried because it was a loop
        reader, writer = await connect(port)
        assert await ends(reader) == b""
        writer.close()
        assert (link.opened, admitted, len(found)) == (opened, 0, 1)
    accepting.cancel()
    await asyncio.wait({accepting})
    server = await asyncio.start_server(serve, sock=listener)
    rig = socket.socketpair()
    with rig[1]:
        rig[0].setblocking(False)
        await accept(rig[0])
    assert (link.opened, admitted, guard.failure) == (3, 1, None)
    await guard.close()
    server.close()


@async_test
async def test_over_another_connection_nothing_is_known() -> None:
    async with silent() as (_server, to):
        rig = Rig(Endpoint("127.0.0.1", to))
        for _ in range(2):
            link = CountingLink()
            assert await rig.admitted(link)
            assert await rig.admitted(link)
            assert link.opened == 1
        await rig.guard.close()


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), asyncio.CancelledError()])
def test_a_client_whose_channel_breaks_is_let_go_and_the_next_one_served(error: BaseException) -> None:
    class Breaking(DirectLink):
        broken = True

        async def open_channel(
            self, host: str, port: int, receiver: Any, *, timeout: float, opened: Opened = nobody_waits
        ) -> Any:
            if self.broken:
                raise type(error)(*error.args)
            return await super().open_channel(host, port, receiver, timeout=timeout, opened=opened)

    @async_test
    async def run() -> None:
        async with silent() as (server, to):
            server.answer.set()
            sockets, port = bound()
            link = Breaking()
            async with listening(sockets, Endpoint("127.0.0.1", to), link=link) as listener:
                assert await ask(port, 1) == b""
                await settle(lambda: listener.status().clients.waiting == 0)
                link.broken = False
                assert await ask(port, 2) == b"done"

    run()
