"""What the far ends can make this process hold is bounded, and given back: real channels, the server is in the test."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openclaw_tunnel.core.flow.budget import ALL, TUNNEL
from openclaw_tunnel.core.flow.window import MOST, Window
from openclaw_tunnel.core.link import ChannelFailed, LinkLost
from openclaw_tunnel.ssh.datapath import path
from openclaw_tunnel.ssh.datapath.channel import SshChannel
from openclaw_tunnel.ssh.link import SshLink
from support.aio import async_test, settle
from support.linked import echo, linked, listening
from support.receiver import Receiver
from support.sshserver import SshTestServer

KIB, MIB = 1 << 10, 1 << 20
FLOOD, ECHO = 1, 2  # the ports of far ends within the server
CHUNK = bytes(16 * KIB)


class Flood(asyncssh.SSHTCPSession[bytes]):
    """A far end that sends as much as it may, for ever.

    Attributes:
        handed_over: bytes given to the server's channel.
    """

    def __init__(self) -> None:
        self.handed_over = 0
        self._paused = False
        self._chan: Any = None

    def connection_made(self, chan: Any) -> None:
        self._chan = chan
        chan.set_write_buffer_limits(high=0)

    def session_started(self) -> None:
        self._go_on()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        asyncio.get_running_loop().call_soon(self._go_on)

    def eof_received(self) -> bool:
        return True

    def _go_on(self) -> None:
        while not self._paused and not self._chan.is_closing():
            self.handed_over += len(CHUNK)
            self._chan.write(CHUNK)

    def finish(self) -> None:
        """Send no more: the channel is closed in order."""
        self._paused = True
        self.handed_over -= self._chan.get_write_buffer_size()
        self._chan.abort()

    @property
    def promised(self) -> int:
        """Bytes that it has sent, or may send."""
        if self._chan.is_closing():
            return self.handed_over
        return int(self.handed_over - self._chan.get_write_buffer_size() + self._chan._send_window)


class Echo(asyncssh.SSHTCPSession[bytes]):
    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._chan.write(data)


class Client(asyncio.Protocol):
    """A client whose kernel takes a certain amount, and that reads only when it is told to.

    Attributes:
        got: bytes that were handed to it.
        taken: those of them that it has taken.
    """

    def __init__(self, kernel: int) -> None:
        self._kernel = kernel
        self.got = self.taken = 0
        self.channel: Any = None
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.got += len(data)
        if self.got > self._kernel and self.channel is not None:
            self.channel.pause_reading()
        else:
            self.taken = self.got

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)

    def read(self) -> None:
        """Take what there is, and some of what comes then."""
        self.taken = self.got
        self.channel.resume_reading()


class Crowd:
    """Clients of one link whose far ends send all they may.

    Attributes:
        clients: in the order in which their channels were asked for.
        floods: their far ends, in the order in which the server opened them.
    """

    def __init__(self, server: SshTestServer, link: SshLink) -> None:
        self._link = link
        # as on a long line: only the budget bounds what is granted
        link.data.credit._window = Window(first=MOST, least=MOST)
        self.clients: list[Client] = []
        self.floods: list[Flood] = []
        server.far_ends[FLOOD] = self._flood
        server.far_ends[ECHO] = Echo

    def _flood(self) -> Flood:
        self.floods.append(Flood())
        return self.floods[-1]

    async def join(self, count: int, kernel: int) -> list[Client]:
        """So many more."""
        new = [Client(kernel) for _ in range(count)]
        self.clients += new
        async with asyncio.TaskGroup() as group:
            for client in new:
                group.create_task(self._open(client))
        return new

    async def _open(self, client: Client) -> None:
        def opened(channel: Any) -> None:
            client.channel = channel

        await self._link.open_channel("far", FLOOD, client, timeout=60, opened=opened)

    async def quiet(self) -> None:
        """All that may be sent has come, and nobody waits for more."""
        before = -1
        while before != (now := sum(flood.promised for flood in self.floods)) or self._link.data.held_back:
            before = now
            await self._link.ping(timeout=60)

    @property
    def held(self) -> int:
        """What is kept here, and what the far ends may still send."""
        return sum(flood.promised for flood in self.floods) - sum(client.taken for client in self.clients)


async def talk(link: SshLink, times: int) -> None:
    """A client that says something and waits for the answer, again and again."""
    receiver = Receiver()
    channel = await link.open_channel("far", ECHO, receiver, timeout=60)
    for number in range(1, times + 1):
        channel.write(bytes(200))
        await settle(lambda number=number: len(receiver.got) == number * 200, "an answer")  # type: ignore[misc]
    channel.abort()
    await receiver.lost


@async_test
async def test_a_thousand_that_never_read_and_some_that_trickle_leave_room_for_one_that_asks(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link):
        crowd = Crowd(server, link)
        await crowd.join(500, kernel=64 * KIB)
        tricklers = await crowd.join(500, kernel=0)
        most = 0
        for _ in range(8):
            for client in tricklers:
                client.read()
            await talk(link, 3)
            await crowd.quiet()
            most = max(most, crowd.held)
            assert crowd.held <= TUNNEL
        assert most > TUNNEL / 2, "there was something to bound"
        assert min(client.taken for client in tricklers) > 0
        for client in crowd.clients:
            client.channel.abort()
        for client in crowd.clients:
            await client.lost
        await settle(lambda: link.data.credit._budget.left == TUNNEL, "all of it to be given back")


@async_test
async def test_several_links_together_hold_no_more_than_is_allowed_for_all(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        crowds: list[Crowd] = []
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            server, link = await stack.enter_async_context(linked(folder))
            crowds.append(Crowd(server, link))
            await crowds[-1].join(250, kernel=128 * KIB)
            await crowds[-1].quiet()
            assert sum(crowd.held for crowd in crowds) <= ALL
            await talk(link, 10)
        assert sum(crowd.held for crowd in crowds) > ALL / 8, "or nothing was tried"


@async_test
async def test_what_a_client_has_not_taken_when_its_channel_ended_is_still_counted(tmp_path: Path) -> None:
    """Else a server could have any amount kept here: it sends, closes, and the next channel begins at nothing."""
    async with linked(tmp_path) as (server, link):
        crowd = Crowd(server, link)
        for _ in range(20):
            clients = await crowd.join(40, kernel=32 * KIB)
            await crowd.quiet()
            for flood in crowd.floods[-40:]:
                flood.finish()
            await crowd.quiet()
            assert sum(client.got for client in crowd.clients) - sum(c.taken for c in crowd.clients) <= TUNNEL
            assert crowd.held <= TUNNEL
            assert not any(client.lost.done() for client in clients if client.got > client.taken)
        for client in crowd.clients:
            while not client.lost.done():
                client.read()
                await asyncio.sleep(0)
            assert client.lost.result() is None
        await settle(lambda: link.data.credit._budget.left == TUNNEL, "all of it to be given back")


Ending = Callable[[SshTestServer, SshLink], Coroutine[Any, Any, None]]


async def _opened(link: SshLink, port: int = FLOOD) -> tuple[SshChannel, Client]:
    client = Client(kernel=32 * KIB)

    def opened(channel: Any) -> None:
        client.channel = channel

    return await link.open_channel("far", port, client, timeout=60, opened=opened), client


async def _by_us(server: SshTestServer, link: SshLink) -> None:
    channel, client = await _opened(link)
    await settle(lambda: client.got)
    channel.close()
    await client.lost


async def _by_abort(server: SshTestServer, link: SshLink) -> None:
    channel, client = await _opened(link)
    channel.abort()
    channel.abort()
    await client.lost


async def _by_loss(server: SshTestServer, link: SshLink) -> None:
    clients = [(await _opened(link))[1] for _ in range(10)]
    server.cut()
    for client in clients:
        assert isinstance(await client.lost, LinkLost)


async def _by_close(server: SshTestServer, link: SshLink) -> None:
    clients = [(await _opened(link))[1] for _ in range(10)]
    await link.close()
    for client in clients:
        assert isinstance(await client.lost, LinkLost)


async def _by_a_receiver_that_fails(server: SshTestServer, link: SshLink) -> None:
    class Failing(Client):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    client = Failing(0)
    await link.open_channel("far", FLOOD, client, timeout=60)
    assert isinstance(await client.lost, ZeroDivisionError)


async def _by_an_abort_after_the_end(server: SshTestServer, link: SshLink) -> None:
    """The channel is gone, what came of it is kept; then the client goes as well."""
    floods: list[Flood] = []

    def flood() -> Flood:
        floods.append(Flood())
        return floods[-1]

    server.far_ends[FLOOD] = flood
    channel, client = await _opened(link)
    await settle(lambda: client.got > client.taken)
    floods[0].finish()
    await link.wait_idle()
    await settle(lambda: not server.channels)
    assert not client.lost.done()
    channel.abort()
    assert await client.lost is None


ENDINGS: tuple[Ending, ...] = (
    _by_us,
    _by_abort,
    _by_loss,
    _by_close,
    _by_a_receiver_that_fails,
    _by_an_abort_after_the_end,
)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.__name__.removeprefix("_by_"))
@async_test
async def test_all_is_given_back_when_a_channel_ends(tmp_path: Path, ending: Ending) -> None:
    before = path._ALL.left
    async with linked(tmp_path) as (server, link):
        server.far_ends[FLOOD] = Flood
        await ending(server, link)
        budget = link.data.credit._budget
        await settle(lambda: budget.left == TUNNEL, "the bytes of the tunnel to be given back")
        assert path._ALL.left == before


async def _refused(server: SshTestServer, link: SshLink, port: int) -> None:
    server.refuse_channels = (2, "Connection refused")
    for _ in range(10):
        with pytest.raises(ChannelFailed):
            await link.open_channel("127.0.0.1", port, Receiver(), timeout=60)


async def _too_late(server: SshTestServer, link: SshLink, port: int) -> None:
    server.hold_channels = asyncio.Event()
    with pytest.raises(ChannelFailed):
        await link.open_channel("127.0.0.1", port, Receiver(), timeout=0.01)
    assert link.data.credit._budget.left < TUNNEL, "the server may open it, and send"
    server.hold_channels.set()


async def _cancelled(server: SshTestServer, link: SshLink, port: int) -> None:
    server.hold_channels = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(link.open_channel("127.0.0.1", port, Receiver(), timeout=60))
        await settle(lambda: server.opened)
        opening.cancel()
    assert link.data.credit._budget.left < TUNNEL
    server.hold_channels.set()


async def _retired(server: SshTestServer, link: SshLink, port: int) -> None:
    server.hold_channels = asyncio.Event()
    opening = asyncio.get_running_loop().create_task(link.open_channel("127.0.0.1", port, Receiver(), timeout=60))
    await settle(lambda: server.opened)
    link.retire()
    with pytest.raises(LinkLost):
        await opening
    server.hold_channels.set()


async def _lost(server: SshTestServer, link: SshLink, port: int) -> None:
    server.hold_channels = asyncio.Event()
    opening = asyncio.get_running_loop().create_task(link.open_channel("127.0.0.1", port, Receiver(), timeout=60))
    await settle(lambda: server.opened)
    server.cut()
    with pytest.raises(LinkLost):
        await opening
    with pytest.raises(LinkLost):
        await link.open_channel("127.0.0.1", port, Receiver(), timeout=60)
    server.hold_channels.set()


Opening = Callable[[SshTestServer, SshLink, int], Coroutine[Any, Any, None]]
OPENINGS: tuple[Opening, ...] = (_refused, _too_late, _cancelled, _retired, _lost)


@pytest.mark.parametrize("opening", OPENINGS, ids=lambda opening: opening.__name__.removeprefix("_"))
@async_test
async def test_all_is_given_back_of_a_channel_that_does_not_open(tmp_path: Path, opening: Opening) -> None:
    before = path._ALL.left
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        await opening(server, link, port)
        budget = link.data.credit._budget
        await settle(lambda: budget.left == TUNNEL, "the bytes of the tunnel to be given back")
        assert path._ALL.left == before
        await settle(lambda: server.channels == 0)
