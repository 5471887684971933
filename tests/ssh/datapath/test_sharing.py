"""What one client sends keeps nobody else waiting, and waits in its own socket."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

from openclaw_tunnel.core.flow.budget import TUNNEL
from openclaw_tunnel.core.link import SharedChannel
from openclaw_tunnel.ssh.datapath.channel import SshChannel
from openclaw_tunnel.ssh.datapath.meter import PingMeter
from openclaw_tunnel.ssh.link import SshLink
from support.aio import async_test, settle
from support.linked import echo, linked, listening
from support.process import program
from support.receiver import Receiver
from support.sshserver import SshTestServer
from support.sshtargets import make_connector, target_for

KIB, MIB = 1 << 10, 1 << 20
SINK, PEER, OPENED = 1, 2, 3  # the ports of far ends within the server


class Sink(asyncssh.SSHTCPSession[bytes]):
    """A far end that takes everything, and counts it."""

    def __init__(self, on_data: Callable[[int], None], on_open: Callable[[Any], None] = lambda chan: None) -> None:
        self._on_data = on_data
        self._on_open = on_open

    def connection_made(self, chan: Any) -> None:
        self._on_open(chan)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._on_data(len(data))


class Deaf(asyncssh.SSHTCPSession[bytes]):
    """A far end that reads nothing: it never takes more than its window."""

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def session_started(self) -> None:
        asyncio.get_running_loop().call_soon(self._chan.pause_reading)


class Upload:
    """A client that always has more to send.

    Attributes:
        read_so_far: bytes that were read from it.
        channel: where they go.
    """

    def __init__(self, channel: SharedChannel) -> None:
        self.read_so_far = 0
        self.channel = channel

    def read(self, most: int) -> bytes:
        self.read_so_far += most
        return bytes(most)

    def go(self) -> None:
        """As a socket that is readable all the time, until it has to wait."""
        while self.channel.ready(self):
            pass


class Message:
    """A client that sends one message."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, most: int) -> bytes:
        data, self._data = self._data[:most], self._data[most:]
        return data


class Far:
    """The far ends of one server, and what they have seen.

    Attributes:
        received: bytes of uploads.
        seen: what else came, and how many bytes of uploads had come before it.
        channel: the server's channel of the last upload.
    """

    def __init__(self, server: SshTestServer) -> None:
        self.received = 0
        self.seen: dict[str, int] = {}
        self.channel: Any = None
        server.far_ends = {
            SINK: lambda: Sink(self._add, self._keep),
            PEER: lambda: Sink(lambda size: self._see("message")),
            OPENED: self._opened,
        }

    def _keep(self, channel: Any) -> None:
        self.channel = channel

    def _add(self, size: int) -> None:
        self.received += size

    def _see(self, what: str) -> None:
        self.seen[what] = self.received

    def _opened(self) -> Sink:
        self._see("opening")
        return Sink(lambda size: None)


def exchange_keys(link: SshLink) -> None:
    """So much was sent that the next packet begins a key exchange."""
    link._connection._rekey_bytes_sent = link._connection._rekey_bytes


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@async_test
async def test_a_message_and_an_opening_go_before_what_was_not_read_yet(tmp_path: Path) -> None:
    """The line is full and stands still. Whatever comes now goes first when it moves again."""
    async with linked(tmp_path) as (server, link):
        far = Far(server)
        uploads = [Upload(await link.open_channel("far", SINK, Receiver(), timeout=60)) for _ in range(3)]
        chat = await link.open_channel("far", PEER, Receiver(), timeout=60)
        (connection,) = server.connections
        transport: Any = connection._transport
        transport.pause_reading()
        for upload in uploads:
            upload.go()
        read = -1
        while read != (read := sum(upload.read_so_far for upload in uploads)):
            await turns(50)
        assert 0 < read < 32 * MIB
        chat.ready(Message(b"?"))
        opening = asyncio.get_running_loop().create_task(link.open_channel("far", OPENED, Receiver(), timeout=60))
        await turns(5)
        transport.resume_reading()
        await opening
        await settle(lambda: "message" in far.seen)
        assert max(far.seen.values()) <= read + 64 * KIB
        await settle(lambda: far.received > read + MIB, "the uploads to go on")
        assert await link.ping(timeout=60) > 0


@async_test
async def test_what_far_ends_do_not_take_stays_in_the_sockets_of_the_clients(tmp_path: Path) -> None:
    """However many they are: asyncssh would keep what does not fit into a channel's window."""
    async with linked(tmp_path) as (server, link):
        (connection,) = server.connections
        server.far_ends[SINK] = lambda: (connection.create_tcp_channel(window=64 * KIB), Deaf())
        channels: list[SshChannel] = []
        for _ in range(100):
            channels.append(await link.open_channel("far", SINK, Receiver(), timeout=60))
            Upload(channels[-1]).go()
        await settle(lambda: all(channel.full for channel in channels))
        kept = [channel._wire.get_write_buffer_size() for channel in channels]
        assert 0 < max(kept) <= 1 * KIB
        assert await link.ping(timeout=60) > 0


@async_test
async def test_in_a_key_exchange_that_takes_its_time_no_more_is_read_than_the_window(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link):
        far = Far(server)
        upload = Upload(await link.open_channel("far", SINK, Receiver(), timeout=60))
        server.fall_silent()
        exchange_keys(link)
        upload.go()
        await turns(200)
        assert 0 < upload.read_so_far <= link.data.outflow._window.size
        for connection in server.connections:
            connection._transport.resume_reading()  # type: ignore[union-attr]
        await settle(lambda: far.received > 2 * MIB, "the upload to go on")


@async_test
async def test_a_server_that_answers_no_request_gets_uploads_all_the_same(tmp_path: Path) -> None:
    """Behind a proxy's process pings show what has arrived; this one says nothing to any."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = tmp_path / "id"
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    async with SshTestServer([key]) as server:
        server.mute = True
        far = Far(server)
        command = f"{program('socat')} - TCP:127.0.0.1:{server.port}"
        target = target_for(server, tmp_path, identity_files=(str(path),), proxy_command=command)
        link = await make_connector(target, env={"PATH": "/usr/bin:/bin"}).connect()
        assert isinstance(link, SshLink)
        assert isinstance(link.data._meter, PingMeter)
        uploads = [Upload(await link.open_channel("far", SINK, Receiver(), timeout=60)) for _ in range(2)]
        for upload in uploads:
            upload.go()
        await settle(lambda: far.received > 8 * MIB, "the uploads to go on")
        await link.close()


@async_test
async def test_bytes_for_a_channel_that_is_ending_are_left_where_they_are(tmp_path: Path) -> None:
    """A client that never reads, and sends: what came for it holds the end of its channel back."""
    async with linked(tmp_path) as (_, link), listening(echo) as port:
        receiver = Receiver()
        channel = await link.open_channel("127.0.0.1", port, receiver, timeout=60)
        channel.pause_reading()
        channel.write(b"x")
        await link.ping(timeout=60)
        await settle(lambda: channel._share.kept)
        channel.write_eof()
        await link.wait_idle()
        upload = Upload(channel)
        assert not channel.ready(upload)
        assert upload.read_so_far == 0
        assert not receiver.lost.done()
        channel.resume_reading()
        assert await receiver.lost is None
        assert receiver.got == b"x"
        assert link.data.credit._budget.left == TUNNEL
