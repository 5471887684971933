"""Megabytes both ways through real servers, several clients at once: unchanged, whatever way and windows are."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward
from openclaw_tunnel.relay.gate import Gate
from openclaw_tunnel.relay.listener import Listener
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.datapath.meter import Meter, PingMeter, TcpMeter
from openclaw_tunnel.ssh.link import SshLink
from support.aio import async_test
from support.linked import echo, listening
from support.process import program
from support.servers import Dropbear, Sshd, SshServer
from support.sshtargets import make_spec
from support.waiting import free_port

MIB = 1 << 20
SIZE = 10 * MIB
REKEY = "RekeyLimit 4M"

Way = Callable[[], AbstractContextManager[Path]]
"""Starts a server; the ssh_config that leads to it."""


@contextmanager
def plain(server: SshServer, *extra: str) -> Iterator[Path]:
    with server:
        yield server.ssh_config(extra=extra)


@contextmanager
def by_command(server: SshServer, *extra: str) -> Iterator[Path]:
    with server:
        yield server.ssh_config(extra=[f"ProxyCommand {program('socat')} - TCP:127.0.0.1:{server.port}", *extra])


@contextmanager
def by_jump(server: SshServer) -> Iterator[Path]:
    with server:
        jump = server.ssh_config("jump").read_text()
        config = server.ssh_config(extra=["ProxyJump jump"])
        config.write_text(config.read_text() + jump)
        yield config


WAYS: dict[str, tuple[Way, type[Meter]]] = {
    "sshd": (lambda: plain(Sshd()), TcpMeter),
    "sshd with new keys by it": (lambda: plain(Sshd([REKEY])), TcpMeter),
    "sshd with new keys by us": (lambda: plain(Sshd(), REKEY), TcpMeter),
    "sshd with new keys by both": (lambda: plain(Sshd([REKEY]), REKEY), TcpMeter),
    "dropbear": (lambda: plain(Dropbear()), TcpMeter),
    "dropbear with tiny windows": (lambda: plain(Dropbear(["-W", "8192"])), TcpMeter),
    "a proxy's process": (lambda: by_command(Sshd()), PingMeter),
    "a proxy's process with new keys": (lambda: by_command(Sshd([REKEY]), REKEY), PingMeter),
    "a jump host": (lambda: by_jump(Sshd()), PingMeter),
}


@asynccontextmanager
async def forwarded(link: SshLink, port: int) -> AsyncIterator[int]:
    """A local port that leads to ``port`` at the far end."""
    gate = Gate(lambda: None)
    forward = Forward(Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", port))
    listener = Listener(forward, gate, Policy())
    await listener.bind()
    gate.open(link)
    try:
        yield forward.listen.port
    finally:
        await listener.close()


DATA = os.urandom(SIZE)
DIGEST = hashlib.sha256(DATA).digest()


async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read up to the end of file, then say what it was."""
    digest = hashlib.sha256()
    while data := await reader.read(1 << 16):
        digest.update(data)
    writer.write(digest.digest())
    writer.close()


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything, and close."""
    writer.write(DATA)
    await writer.drain()
    writer.close()


async def finish(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def upload(port: int) -> None:
    """Send everything and the end of file; the answer comes after that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(DATA)
    writer.write_eof()
    assert await reader.read() == DIGEST
    await finish(writer)


async def download(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    digest = hashlib.sha256()
    while data := await reader.read(1 << 16):
        digest.update(data)
    assert digest.digest() == DIGEST
    await finish(writer)


async def both_ways(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(DATA)
    writer.write_eof()
    digest = hashlib.sha256()
    while data := await reader.read(1 << 16):
        digest.update(data)
    assert digest.digest() == DIGEST
    await finish(writer)


async def chat(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(100):
        message = b"%d" % number * 100
        writer.write(message)
        assert await reader.readexactly(len(message)) == message
    await finish(writer)


@pytest.mark.parametrize("way", WAYS)
@async_test
async def test_everything_arrives_unchanged_and_in_order(way: str) -> None:
    start, meter = WAYS[way]
    with start() as config:
        spec = make_spec(ssh_config=str(config))
        link = await SshConnector(spec, env={"PATH": os.environ["PATH"]}).connect()
        assert isinstance(link, SshLink)
        assert isinstance(link.data._meter, meter)
        async with (
            listening(receive) as receiver,
            listening(send) as sender,
            listening(echo) as echoing,
            forwarded(link, receiver) as up,
            forwarded(link, sender) as down,
            forwarded(link, echoing) as both,
            asyncio.TaskGroup() as group,
        ):
            for job in (upload(up), upload(up), download(down), download(down), both_ways(both), chat(both)):
                group.create_task(job)
        if "new keys" in way:
            assert link._connection._rekey_bytes_sent < SIZE, "counted from the last key exchange on"
        assert await link.ping(timeout=30) > 0
        await link.close()
