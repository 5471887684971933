"""ssh/link.py and ssh/datapath/channel.py: channels, their ends, and the end of the link; the server is in the test."""

import asyncio
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import ChannelFailed, LinkLost
from openclaw_tunnel.core.policy import Policy
from support.aio import async_test, settle
from support.linked import echo, linked, listening
from support.receiver import Receiver

MIB = 1 << 20


@async_test
async def test_who_answers_and_how_fast(tmp_path: Path) -> None:
    async with linked(tmp_path) as (_, link):
        assert link.server.version.startswith("AsyncSSH_")
        assert link.server.cipher
        assert await link.ping(timeout=30) > 0
        assert await link.ping(timeout=30) > 0


@async_test
async def test_the_end_of_one_direction_leaves_the_other_open(tmp_path: Path) -> None:
    """Ours first: the far end still answers after our end of file."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"%d" % len(await reader.read(-1)))
        writer.close()

    async with linked(tmp_path) as (_, link), listening(count) as port:
        receiver = Receiver()
        channel = await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        channel.write(b"x" * 100_000)
        channel.write_eof()
        channel.write(b"too late")
        assert await receiver.lost is None
        assert (bytes(receiver.got), receiver.eofs) == (b"100000", 1)


@async_test
async def test_the_far_end_of_file_leaves_our_direction_open(tmp_path: Path) -> None:
    heard = asyncio.get_running_loop().create_future()

    async def finish_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        heard.set_result(await reader.read(-1))
        writer.close()

    async with linked(tmp_path) as (_, link), listening(finish_first) as port:
        receiver = Receiver()
        channel = await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        await settle(lambda: receiver.eofs == 1)
        channel.write(b"still ")
        channel.write(b"here")
        channel.write_eof()
        assert await heard == b"still here"
        assert await receiver.lost is None


@async_test
async def test_a_slow_receiver_holds_the_far_end_back(tmp_path: Path) -> None:
    """Two windows may be on their way; without FlowControl asyncssh takes another one for each chunk."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=0)
        try:
            while sent < 64 * MIB:
                writer.write(bytes(65536))
                await writer.drain()
                sent += 65536
        except ConnectionError:
            pass
        finally:
            writer.close()

    class OneChunkAtATime(Receiver):
        channel: Any = None
        chunks = 0

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.chunks += 1
            if self.channel:
                self.channel.pause_reading()

    async with linked(tmp_path) as (_, link), listening(flood) as port:
        receiver = OneChunkAtATime()
        channel = receiver.channel = await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        for _ in range(40):
            await link.ping(timeout=30)  # lets everything that the window allows arrive
            await link.ping(timeout=30)
            wanted = receiver.chunks + 1
            channel.resume_reading()
            await settle(lambda wanted=wanted: receiver.chunks >= wanted)  # type: ignore[misc]
        assert sent - len(receiver.got) < 16 * MIB, "4 MiB of windows, the rest in the test's server and its sockets"
        channel.abort()
        await receiver.lost


@async_test
async def test_a_server_that_does_not_read_stops_our_writing(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(b"%d" % len(await reader.read(-1)))
        writer.close()

    async with linked(tmp_path) as (_, link), listening(read_late) as port:
        receiver = Receiver()
        channel = await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        written = 0
        while receiver.writable.is_set():
            channel.write(bytes(65536))
            written += 65536
            await asyncio.sleep(0)
            assert written < 64 * MIB
        go_on.set()
        await receiver.writable.wait()
        channel.write_eof()
        await receiver.lost
        assert int(receiver.got) == written


@async_test
async def test_a_congested_link_pauses_every_channel_once(tmp_path: Path) -> None:
    async with linked(tmp_path) as (_, link), listening(echo) as port:
        early, late = Receiver(), Receiver()
        channel = await link.open_channel("127.0.0.1", port, early, timeout=30)
        link._connection.pause_writing()
        assert not early.writable.is_set()
        other = await link.open_channel("127.0.0.1", port, late, timeout=30)
        assert not late.writable.is_set(), "also one that is opened meanwhile"
        link._connection.resume_writing()
        assert early.writable.is_set()
        assert late.writable.is_set()
        channel.abort()
        other.abort()
        await early.lost
        await late.lost


@async_test
async def test_closing_sends_what_was_written(tmp_path: Path) -> None:
    heard = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read(-1))
        writer.close()

    async with linked(tmp_path) as (server, link), listening(listen) as port:
        receiver = Receiver()
        channel = await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        channel.write(b"x" * 3 * MIB)
        channel.close()
        channel.close()
        assert len(await heard) == 3 * MIB
        assert await receiver.lost is None
        await settle(lambda: server.channels == 0)


@async_test
async def test_aborting_ends_at_once_and_once(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        receiver = Receiver()
        channel = await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        channel.abort()
        channel.abort()
        channel.write(b"x")
        assert await receiver.lost is None
        await settle(lambda: server.channels == 0)


@async_test
async def test_a_socket_path_at_the_far_end(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    listener = await asyncio.start_unix_server(echo, path)
    async with linked(tmp_path) as (_, link), listener:
        receiver = Receiver()
        channel = await link.open_channel(path, 0, receiver, timeout=30)
        channel.write(b"hello")
        channel.write_eof()
        assert await receiver.lost is None
        assert receiver.got == b"hello"


@async_test
async def test_a_refused_channel_leaves_the_link_alone(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        for refusal, code in (
            ((2, "Connection refused"), Code.NOT_LISTENING),
            ((2, "No route to host"), Code.GATEWAY_UNREACHABLE),
            ((1, "open failed"), Code.FORWARDING_FORBIDDEN),
        ):
            server.refuse_channels = refusal
            with pytest.raises(ChannelFailed) as caught:
                await link.open_channel("127.0.0.1", port, Receiver(), timeout=30)
            assert caught.value.failure.code is code
            assert caught.value.failure.facts["to"] == f"127.0.0.1:{port}"
            assert caught.value.failure.facts["target"] == "gw"
        server.refuse_channels = None
        (await link.open_channel("127.0.0.1", port, Receiver(), timeout=30)).abort()


@async_test
async def test_a_channel_that_opens_too_late_is_closed(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        server.hold_channels = asyncio.Event()
        receiver = Receiver()
        with pytest.raises(ChannelFailed) as caught:
            await link.open_channel("127.0.0.1", port, receiver, timeout=0.05)
        assert caught.value.failure.code is Code.TIMEOUT
        asyncio.get_running_loop().call_later(0.05, server.hold_channels.set)
        await settle(lambda: server.opened == 1 and server.hold_channels.is_set())  # type: ignore[union-attr]
        await link.ping(timeout=30)
        await settle(lambda: server.channels == 0)
        assert not receiver.lost.done(), "nobody waits for it any more"


@async_test
async def test_a_cancelled_opening_is_closed_when_it_comes(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        server.hold_channels = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(link.open_channel("127.0.0.1", port, Receiver(), timeout=30))
            await settle(lambda: server.opened == 1)
            opening.cancel()
        server.hold_channels.set()
        await link.ping(timeout=30)
        await settle(lambda: server.channels == 0)


@async_test
async def test_two_hundred_channels_at_once(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        receivers = [Receiver() for _ in range(200)]

        async def talk(receiver: Receiver, number: int) -> None:
            channel = await link.open_channel("127.0.0.1", port, receiver, timeout=20)
            channel.write(b"%d" % number * 1000)
            channel.write_eof()
            assert await receiver.lost is None

        async with asyncio.TaskGroup() as group:
            for number, receiver in enumerate(receivers):
                group.create_task(talk(receiver, number))
        assert [bytes(r.got) for r in receivers] == [b"%d" % n * 1000 for n in range(200)]
        assert server.channels == 0


@async_test
async def test_a_lost_link_is_told_to_every_receiver(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        receivers = [Receiver() for _ in range(5)]
        channels = [await link.open_channel("127.0.0.1", port, r, timeout=30) for r in receivers]
        server.cut()
        failure = await link.wait_lost()
        assert (failure.code, failure.message) == (Code.LOST, f"the connection to 127.0.0.1:{server.port} was cut")
        for receiver, channel in zip(receivers, channels, strict=True):
            assert isinstance(await receiver.lost, LinkLost)
            channel.write(b"into the void")
            channel.write_eof()
            channel.pause_reading()
            channel.resume_reading()
            channel.close()
            channel.abort()
        with pytest.raises(LinkLost):
            await link.open_channel("127.0.0.1", port, Receiver(), timeout=30)
        with pytest.raises(LinkLost):
            await link.ping(timeout=30)
        assert (await link.wait_lost()).code is Code.LOST


@async_test
async def test_a_link_that_is_lost_while_channels_open(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        server.hold_channels = asyncio.Event()

        async def expect_loss() -> None:
            with pytest.raises(LinkLost):
                await link.open_channel("127.0.0.1", port, Receiver(), timeout=30)

        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(expect_loss())
            await settle(lambda: server.opened == 10)
            server.cut()
        server.hold_channels.set()


@async_test
async def test_a_retired_link_opens_no_more_and_is_idle_when_its_last_channel_has_gone(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        receiver = Receiver()
        channel = await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        server.hold_channels = asyncio.Event()
        loop = asyncio.get_running_loop()
        opening = loop.create_task(link.open_channel("127.0.0.1", port, Receiver(), timeout=30))
        await settle(lambda: server.opened == 2)
        idle = loop.create_task(link.wait_idle())
        link.retire()
        link.retire()
        with pytest.raises(LinkLost):
            await opening
        with pytest.raises(LinkLost):
            await link.open_channel("127.0.0.1", port, Receiver(), timeout=30)
        server.hold_channels.set()
        channel.write(b"still here")
        await settle(lambda: bytes(receiver.got) == b"still here")
        assert not idle.done()
        channel.abort()
        await idle
        assert link.local_address == "127.0.0.1"
        assert await link.ping(timeout=30) > 0


@async_test
async def test_a_server_that_says_goodbye(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        receiver = Receiver()
        await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        for connection in server.connections:
            connection.disconnect(asyncssh.DISC_BY_APPLICATION, "closed for the night")
        assert (await link.wait_lost()).message == f"127.0.0.1:{server.port} closed the connection"
        assert isinstance(await receiver.lost, LinkLost)


@async_test
async def test_our_own_close_is_told_as_such_and_is_idempotent(tmp_path: Path) -> None:
    async with linked(tmp_path) as (server, link), listening(echo) as port:
        receiver = Receiver()
        await link.open_channel("127.0.0.1", port, receiver, timeout=30)
        async with asyncio.TaskGroup() as group:
            group.create_task(link.close())
            group.create_task(link.close())
        assert isinstance(await receiver.lost, LinkLost)
        assert "closed on this side" in (await link.wait_lost()).message
        await settle(lambda: not server.connections)


@async_test
async def test_a_server_that_is_silent_is_noticed_by_ping_and_keepalive(tmp_path: Path) -> None:
    policy = Policy(connect_timeout=5.0, keepalive_interval=0.1, keepalive_count=2)
    async with linked(tmp_path, policy=policy) as (server, link):
        server.fall_silent()
        with pytest.raises(TimeoutError):
            await link.ping(timeout=0.05)
        failure = await link.wait_lost()
        assert failure.code is Code.KEEPALIVE_TIMEOUT


@async_test
async def test_a_receiver_that_fails_loses_its_channel_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Receiver):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    async with linked(tmp_path) as (server, link), listening(echo) as port:
        good, bad = Receiver(), Failing()
        channel = await link.open_channel("127.0.0.1", port, good, timeout=30)
        (await link.open_channel("127.0.0.1", port, bad, timeout=30)).write(b"x")
        assert isinstance(await bad.lost, ZeroDivisionError)
        await settle(lambda: server.channels == 1)
        assert "ZeroDivisionError" in caplog.text
        channel.write(b"x")
        await settle(lambda: good.got == b"x")
        channel.abort()
        await good.lost
