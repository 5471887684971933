"""A Link without SSH: channels are plain TCP connections of this machine. For tests of what lies above ssh/."""

import asyncio
from typing import Any, cast

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import (
    Asks,
    ChannelFailed,
    DialFailed,
    Link,
    LinkLost,
    Opened,
    ServerInfo,
    Source,
    nobody_asked,
    nobody_waits,
)
from openclaw_tunnel.host.watch import Fingerprint, fingerprints
from support.aio import settle

LOST = Failure(Code.LOST, "the connection was lost")


class _Channel:
    """The write half, over an asyncio transport."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.full = False
        self.waits: Source | None = None

    def ready(self, source: Source) -> bool:
        if self.full:
            self.waits = source
            return False
        while data := source.read(65536):
            self._transport.write(data)
            if len(data) < 65536:
                break
        return True

    def set_full(self, full: bool) -> None:
        self.full = full
        if self.waits is not None and not full:
            source, self.waits = self.waits, None
            self.ready(source)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def write_eof(self) -> None:
        self._transport.write_eof()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()


class _Receiver(asyncio.Protocol):
    """Hands everything to the receiver, and the loss of the link as an exception."""

    def __init__(self, link: "DirectLink", receiver: Any) -> None:
        self._link = link
        self._receiver = receiver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.channel = _Channel(self.transport)
        self._link.channels.add(self)

    def data_received(self, data: bytes) -> None:
        self._receiver.data_received(data)

    def eof_received(self) -> bool:
        self._receiver.eof_received()
        return True

    def pause_writing(self) -> None:
        self.channel.set_full(True)
        self._receiver.pause_writing()

    def resume_writing(self) -> None:
        self.channel.set_full(False)
        self._receiver.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.channels.discard(self)
        self._receiver.connection_lost(LinkLost() if self._link.lost.done() else exc)


class DirectLink:
    """A live link until :meth:`lose` or :meth:`close`.

    Attributes:
        refuse: a failure every channel is refused with.
        hang: channels do not open until this future is done.
        silent: ping is not answered.
        slow: ping is answered when this future is done.
        pings: how many there were.
        rtt: seconds that an answered one takes.
    """

    def __init__(self) -> None:
        self.channels: set[_Receiver] = set()
        self.lost: asyncio.Future[Failure] = asyncio.get_running_loop().create_future()
        self.retired: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.refuse: Failure | None = None
        self.hang: asyncio.Future[None] | None = None
        self.silent = False
        self.slow: asyncio.Future[None] | None = None
        self.rtt = 0.001
        self.pings = 0
        self.closed = False

    local_address = "192.0.2.7"

    def retire(self) -> None:
        if not self.retired.done():
            self.retired.set_result(None)

    async def wait_idle(self) -> None:
        await settle(lambda: not self.channels, "the last channel to close", deadline=60.0)

    @property
    def server(self) -> ServerInfo:
        return ServerInfo("Fake_1.0", "none")

    async def open_channel(
        self, host: str, port: int, receiver: Any, *, timeout: float, opened: Opened = nobody_waits
    ) -> _Channel:
        if self.hang is not None:
            outcomes: list[asyncio.Future[Any]] = [self.lost, self.hang, self.retired]
            await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
        if self.lost.done() or self.retired.done():
            raise LinkLost
        if self.refuse is not None:
            raise ChannelFailed(self.refuse)
        try:
            _, made = await asyncio.get_running_loop().create_connection(lambda: _Receiver(self, receiver), host, port)
        except OSError:
            failure = Failure(Code.NOT_LISTENING, f"nothing listens on {host}:{port}")
            raise ChannelFailed(failure) from None
        opened(made.channel)
        return made.channel

    async def ping(self, *, timeout: float) -> float:
        self.pings += 1
        if self.silent:
            raise TimeoutError
        if self.slow is not None:
            async with asyncio.timeout(timeout):
                await asyncio.shield(self.slow)
        if self.lost.done():
            raise LinkLost
        return self.rtt

    async def close(self) -> None:
        self.closed = True
        self.lose()

    def lose(self, failure: Failure = LOST) -> None:
        """The connection dies, and all channels with it."""
        if not self.lost.done():
            self.lost.set_result(failure)
        for channel in tuple(self.channels):
            channel.transport.abort()

    async def wait_lost(self) -> Failure:
        return await asyncio.shield(self.lost)


class ScriptedConnector:
    """Each dial takes the next line of the script: a failure, or None for a new DirectLink (also when it is empty).

    Attributes:
        dials: how many there were.
        links: the links that were made.
        gate: while cleared, dials hang.
        files: paths whose change matters.
        agent: the socket of the agent that is asked; empty for none.
        agent_keys: what it holds.
        asks: what the dial that runs was given to show what a person is asked.
    """

    def __init__(self, *script: Failure | None) -> None:
        self._script = list(script)
        self.dials = 0
        self.links: list[DirectLink] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.files: tuple[str, ...] = ()
        self.agent = ""
        self.agent_keys: tuple[bytes, ...] = ()
        self.asks: Asks = nobody_asked
        self._seen: tuple[dict[str, Fingerprint], tuple[bytes, ...]] = ({}, ())

    async def changed(self, *, agent: bool) -> bool:
        files, keys = self._seen
        return fingerprints(self.files) != files or (agent and self.agent_keys != keys)

    async def connect(self, *, asks: Asks = nobody_asked) -> Link:
        self.dials += 1
        self.asks = asks
        self._seen = fingerprints(self.files), self.agent_keys
        await self.gate.wait()
        outcome = self._script.pop(0) if self._script else None
        if outcome is not None:
            raise DialFailed(outcome)
        self.links.append(DirectLink())
        return self.links[-1]
