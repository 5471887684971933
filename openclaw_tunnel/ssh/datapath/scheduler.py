"""What the clients of one connection send: read in turns, and no more at a time than the line takes.

Nothing is kept here. What has no turn yet stays unread, in the client's own socket.
"""

import asyncio
from typing import Protocol

from openclaw_tunnel.core.flow.turns import Turns
from openclaw_tunnel.core.flow.window import Window
from openclaw_tunnel.ssh.datapath.meter import Meter

PACKET = 32 << 10
"""Bytes: what most servers take in one packet."""

_READ = 4 * PACKET  # bytes read at once from a client that is alone
_RUN = 8 * PACKET  # bytes carried in one round of the event loop
_LEAST_READ = 1 << 10


class Flow(Protocol):
    """One channel, as far as it sends."""

    @property
    def full(self) -> bool:
        """The far end takes no more of this channel for now."""

    @property
    def room(self) -> int:
        """Bytes that are carried at most, where it is not full: more would wait here for the far end to take them."""

    def carry(self, most: int) -> int:
        """Read up to ``most`` bytes and hand them to the connection; how many they were.

        Fewer than ``most``: there are no more for now, and the flow comes back when there are.
        """


class Outflow:
    """Decides whose bytes the connection gets next.

    Attributes:
        meter: knows how much of it has arrived.
        congested: the connection's own transport takes no more for now.
        sent: bytes handed to the connection so far.
        limited_at: when the window was last used up, on the loop's clock.
    """

    def __init__(self, window: Window) -> None:
        """Nothing is under way; ``window`` is how much may be. The meter is given before the first flow comes."""
        self._window = window
        self.meter: Meter
        self._turns: Turns[Flow] = Turns()
        self._parked: set[Flow] = set()
        self.congested = False
        self._scheduled: asyncio.Handle | None = None
        self.sent = 0
        self.limited_at = 0.0

    def look(self) -> None:
        """More has arrived: carry on."""
        self._run()

    def set_congested(self, congested: bool) -> None:
        """The transport takes no more, or takes again."""
        self.congested = congested
        if not congested:
            self._run()

    def ready(self, flow: Flow) -> bool:
        """A flow has bytes to read: it is read, at once where nobody else waits.

        Returns:
            False where it has to wait; ``carry`` is called when it is its turn.
        """
        if flow.full:
            self._parked.add(flow)
            return False
        if not self._turns and (room := self._most(alone=True)) > 0:
            self._serve(flow, room)
            self.meter.moved()
            return True
        self._turns.add(flow)
        self._run()
        return flow not in self._turns and flow not in self._parked

    def not_full(self, flow: Flow) -> None:
        """The far end takes more of a flow again."""
        if flow in self._parked:
            self._parked.discard(flow)
            self._turns.add(flow)
            self._run()

    def forget(self, flow: Flow) -> None:
        """A flow is over."""
        self._parked.discard(flow)
        self._turns.forget(flow)

    def _most(self, *, alone: bool) -> int:
        """Bytes that one may be read now; 0: none. Large pieces cost less, small ones keep the line's queue even."""
        if self.congested:
            return 0
        size = self._window.size
        step = max(size // 8, _LEAST_READ)
        room = size - self.meter.under_way(enough=size // 4)
        if room < step // 2:
            self.limited_at = asyncio.get_running_loop().time()
            return 0
        return min(max(step, room // 2), room, _READ if alone else PACKET)

    def _run(self) -> None:
        """Carry what may be carried, in turns."""
        if not self._turns:
            return
        before = self.sent
        while (flow := self._turns.first()) is not None and self.sent - before < _RUN:
            if flow.full:
                self._turns.take(flow)
                self._parked.add(flow)
            elif not self._turn(flow):
                break
        if self._turns and not self.congested:
            more = self.sent - before >= _RUN
            self._run_soon(0.0 if more else self.meter.look_again, more=more)
        self.meter.moved(urgent=bool(self._turns))

    def _turn(self, flow: Flow) -> bool:
        """The turn of one, who has a little even where the window is used up, if they have sent little so far."""
        most, ahead = self._most(alone=len(self._turns) == 1), self._turns.ahead(flow)
        if ahead and not self.congested and (not most or len(self._turns) > 1):
            most = ahead
        if not most:
            return False
        self._turns.take(flow)
        if self._serve(flow, most):
            self._turns.add(flow)
        return True

    def _serve(self, flow: Flow, most: int) -> bool:
        """Carry up to ``most`` bytes of one; whether there may be more."""
        most = min(most, flow.room)
        size = flow.carry(most)
        self.sent += size
        self._turns.charge(flow, size)
        return size == most

    def _run_soon(self, seconds: float, *, more: bool) -> None:
        """Others of the event loop get their turn as well, and bytes have to arrive."""
        if not seconds and not more:
            return  # the meter reports it
        if self._scheduled is not None:
            if not more:
                return
            self._scheduled.cancel()
        loop = asyncio.get_running_loop()
        self._scheduled = loop.call_soon(self._run_now) if more else loop.call_later(seconds, self._run_now)

    def _run_now(self) -> None:
        self._scheduled = None
        self._run()

    def close(self) -> None:
        """Carry nothing any more."""
        if self._scheduled is not None:
            self._scheduled.cancel()
        self.congested = True
