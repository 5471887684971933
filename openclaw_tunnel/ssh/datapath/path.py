"""What flows through one connection: whose bytes come next, how many may be under way, and few large writes."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import asyncssh

from openclaw_tunnel.core.flow.budget import ALL, TUNNEL, Budget
from openclaw_tunnel.core.flow.window import Window
from openclaw_tunnel.ssh.asyncssh_seams import bytes_kept, hear_congestion, replace_receiver, without_padding
from openclaw_tunnel.ssh.datapath.credit import Credit
from openclaw_tunnel.ssh.datapath.meter import Meter, PingMeter, TcpMeter
from openclaw_tunnel.ssh.datapath.scheduler import Outflow
from openclaw_tunnel.ssh.datapath.tcp_info import Traffic

_ALL = Budget(ALL)

_SMALL = 4 << 10
"""Bytes that are no bulk."""

_SLICE = 64 << 10
"""Bytes that asyncssh gets at once: it copies all that it has not looked at for each packet."""


class Flow(Protocol):
    """One channel, as far as the connection as a whole matters to it."""

    def flush(self) -> None:
        """Hand on what has come."""

    def set_congested(self, congested: bool) -> None:
        """The connection takes no more, or takes again."""


class DataPath:
    """Between a connection of asyncssh and its channels.

    It stands between asyncssh and its transport, as asyncssh neither waits for a slow network nor says what it keeps.

    Args:
        ended: is done when the connection is gone.

    Attributes:
        outflow: whose turn it is to send.
        credit: what the far ends may send.
        idle: set while no channel is open or being opened.
    """

    def __init__(
        self, connection: asyncssh.SSHClientConnection, traffic: Traffic, ended: asyncio.Future[Exception | None]
    ) -> None:
        """Nothing flows yet; :meth:`measure` comes first."""
        self._connection = connection
        self._traffic = traffic
        self._ended = ended
        self._opening = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._loop = asyncio.get_running_loop()
        self._up, self._down = Window(), Window()
        self.outflow = Outflow(self._up)
        self.credit = Credit(self._down, Budget(TUNNEL, _ALL), self._loop.time)
        self._meter: Meter
        self._flows: set[Flow] = set()
        self._dirty: list[Flow] = []
        self._receiving = False
        self._look: asyncio.TimerHandle | None = None
        self._closed = False
        without_padding(connection)
        self._receive_by_asyncssh = replace_receiver(connection, self._receive)
        hear_congestion(connection, self._pause, self._resume)

    def measure(self, ask: Callable[[Callable[[], None]], None], *, by_pings: bool) -> None:
        """The connection is up: begin to measure the line.

        Args:
            ask: sends a ping; calls its argument when the answer is there, or never.
            by_pings: the line goes on behind the TCP connection, as with a jump host.
        """
        if by_pings or self._traffic.queue() is None:
            self._meter = PingMeter(self, ask, self._up, self._down, self.outflow.look)
        else:
            kept = partial(bytes_kept, self._connection)
            self._meter = TcpMeter(self, self._traffic.queue, kept, self._up, self._down)
        self.outflow.meter = self._meter
        self._meter.begin()

    def close(self) -> None:
        """The connection is gone."""
        self._closed = True
        self._meter.close()
        self.outflow.close()
        if self._look is not None:
            self._look.cancel()

    @property
    def sent(self) -> int:
        """Bytes of clients handed to the connection so far."""
        return self.outflow.sent

    @property
    def received(self) -> int:
        """Bytes for clients that have come so far."""
        return self.credit.received

    @property
    def granted(self) -> int:
        """Bytes for clients that were asked for so far: they have come, or are under way."""
        return self.credit.received + self.credit.under_way

    @property
    def limited_at(self) -> float:
        """When a client had to wait because the line was full, the last time, on the loop's clock."""
        return self.outflow.limited_at

    @property
    def held_back(self) -> bool:
        """Far ends wait until they are granted more."""
        return self.credit.held_back

    @property
    def lost(self) -> bool:
        """The connection is gone."""
        return self._ended.done()

    @contextmanager
    def opening(self) -> Iterator[None]:
        """A channel is being opened."""
        self._opening += 1
        self._note_idle()
        try:
            yield
        finally:
            self._opening -= 1
            self._note_idle()

    def add(self, flow: Flow) -> None:
        """A channel is open."""
        self._flows.add(flow)
        self._note_idle()

    def discard(self, flow: Flow) -> None:
        """A channel is gone."""
        self._flows.discard(flow)
        self._note_idle()

    def _note_idle(self) -> None:
        if self._opening or self._flows:
            self.idle.clear()
        else:
            self.idle.set()

    def flush_soon(self, flow: Flow) -> None:
        """Something has come for a channel: flush it when all that has come with it is there."""
        if self._receiving:
            self._dirty.append(flow)
        else:
            flow.flush()
            self._settle()

    def _receive(self, data: bytes, datatype: int | None = None) -> None:
        """asyncssh's ``data_received``, and then what came for the channels, as few and large writes."""
        self._receiving = True
        try:
            for begin in range(0, len(data), _SLICE):
                self._receive_by_asyncssh(data if len(data) <= _SLICE else data[begin : begin + _SLICE], datatype)
        finally:
            self._receiving = False
            self._flush()
            if len(data) < _SMALL and len(self._flows) > 1:
                self._traffic.acknowledge()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for flow in dict.fromkeys(dirty):
            flow.flush()
        if dirty:
            self._settle()
            self._meter.moved()

    def _settle(self) -> None:
        """Grant what is free; look again soon where somebody waits."""
        self.credit.settle()
        if self.credit.held_back and self._look is None and not self._closed:
            self._look = self._loop.call_later(self.credit.look_every, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._settle()

    def _pause(self) -> None:
        self.outflow.set_congested(True)
        for flow in tuple(self._flows):
            flow.set_congested(True)

    def _resume(self) -> None:
        for flow in tuple(self._flows):
            flow.set_congested(False)
        self.outflow.set_congested(False)
