"""relay/pipe.py: a client that takes its time keeps its channel until it has taken everything."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from openclaw_tunnel.core.link import Source
from openclaw_tunnel.relay.pipe import ByteCounter, Client, FarEnd
from support.aio import async_test, settle


class Channel:
    """Writes down what is asked of it; sends nothing as long as ``holds``."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.sent = b""
        self.holds = False
        self.asked = 0

    def ready(self, source: Source) -> bool:
        self.asked += 1
        if self.holds:
            return False
        self.sent += source.read(1 << 16)
        return True

    def write(self, data: bytes) -> None:
        self.calls.append("write")

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


class Rig:
    """A client joined to a channel.

    Attributes:
        theirs: the client's own socket.
        lost: the clients whose end was told.
    """

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        ours.setblocking(False)
        theirs.settimeout(30)
        self.theirs = theirs
        self.lost: list[Client] = []
        self.client = Client(ours, ByteCounter(), self.lost.append)
        self.far: FarEnd = self.client.far_end()
        self.channel = Channel()
        self.client.join(self.far, self.channel)

    async def take_all(self, size: int) -> bytes:
        def read() -> bytes:
            got = bytearray()
            while len(got) < size and (data := self.theirs.recv(1 << 16)):
                got += data
            return bytes(got)

        return await asyncio.to_thread(read)


@contextmanager
def rig() -> Iterator[Rig]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Rig(ours, theirs)


@async_test
async def test_when_both_have_ended_the_channel_closes_once_the_client_has_taken_all() -> None:
    """Until then what came is counted as the channel's."""
    data = os.urandom(4 << 20)
    with rig() as r:
        r.theirs.shutdown(socket.SHUT_WR)
        await settle(lambda: "write_eof" in r.channel.calls)
        r.far.data_received(data)
        r.far.eof_received()
        for _ in range(5):
            await asyncio.sleep(0)
        assert r.channel.calls == ["write_eof", "pause"]
        assert await r.take_all(1 << 30) == data
        await settle(lambda: r.lost == [r.client])
        assert r.channel.calls[:3] == ["write_eof", "pause", "resume"]
        assert set(r.channel.calls[3:]) == {"close"}, "what the client sent may still be on its way: no abort"
        r.far.connection_lost(None)


@async_test
async def test_a_client_that_leaves_after_both_have_ended_has_its_channel_closed_in_order() -> None:
    with rig() as r:
        r.theirs.shutdown(socket.SHUT_WR)
        await settle(lambda: "write_eof" in r.channel.calls)
        r.far.data_received(os.urandom(4 << 20))
        r.far.eof_received()
        r.theirs.close()
        await settle(lambda: r.lost)
        assert set(r.channel.calls) == {"write_eof", "pause", "close"}


@async_test
async def test_a_client_that_leaves_with_something_kept_for_it_takes_its_channel_along() -> None:
    with rig() as r:
        r.far.data_received(os.urandom(4 << 20))
        assert r.channel.calls == ["pause"]
        r.theirs.close()
        await settle(lambda: r.lost)
        assert r.channel.calls == ["pause", "abort"]


@async_test
async def test_a_client_that_has_to_wait_is_not_asked_for_again_and_again() -> None:
    with rig() as r:
        r.channel.holds = True
        before = r.channel.asked
        r.theirs.sendall(b"hello")
        await settle(lambda: r.channel.asked > before)
        asked = r.channel.asked
        for _ in range(20):
            await asyncio.sleep(0)
        assert r.channel.asked == asked
        r.channel.holds = False
        assert r.client.read(3) == b"hel", "it is its turn"
        assert r.client.read(100) == b"lo"
        r.theirs.sendall(b" again")
        await settle(lambda: r.channel.sent == b" again", "it to be heard again")
        r.client.drop()
        await settle(lambda: r.lost)
