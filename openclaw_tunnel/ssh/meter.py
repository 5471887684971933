"""How much of what was sent has arrived, how long it takes, and how much gets through: what windows are sized by.

Where the connection is TCP the system shows it, and knows best: it has a fresh answer with every second packet.
Elsewhere (behind a proxy's process, or a jump host) pings do. The answer to a ping comes when the server has read
everything that was sent before it, and behind everything that the server has sent. It may come late: a server may hold
a small packet back until the one before is acknowledged (Nagle's algorithm), as OpenSSH's does without a terminal.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from openclaw_tunnel.core.window import Sample, Window
from openclaw_tunnel.ssh.traffic import Queue

_FEW = 16 << 10  # bytes that are no load: no look at the system is worth their while
_SHORT, _LONG = 0.001, 0.010  # seconds between looks at the system
_LEAST_SPACING, _MOST_SPACING = 0.005, 0.050  # seconds between pings
_EVERY_BYTES = 64 << 10  # between pings
_SEEDS = 3  # pings at the beginning, one by one: the line is empty
_RATE_OVER = 0.020  # seconds, at least
_PAUSE = 1.0  # seconds without a sample, after which those before say nothing about the rate
_FULL = 0.6  # of a window in one round trip: it was used up


class Load(Protocol):
    """What a connection carries at this moment."""

    @property
    def sent(self) -> int:
        """Bytes handed to the connection so far."""

    @property
    def received(self) -> int:
        """Bytes of channels that have come so far."""

    @property
    def limited_at(self) -> float:
        """When somebody had to wait because the window for sending was used up, the last time, in seconds."""

    @property
    def held_back(self) -> bool:
        """Far ends wait because the window for receiving is used up."""


class Meter(Protocol):
    """One of the two ways to measure."""

    @property
    def look_again(self) -> float:
        """Seconds after which a look at :meth:`under_way` shows more; 0 where the meter reports it by itself."""

    def under_way(self, enough: int) -> int:
        """Bytes that were sent and are not known to have arrived, or anything up to ``enough`` where it is less."""

    def begin(self) -> None:
        """The connection is up, and nothing is under way."""

    def moved(self, *, urgent: bool = False) -> None:
        """Something was carried; with ``urgent``, somebody waits until it has arrived."""

    def close(self) -> None:
        """Measure no more."""


class _Feed:
    """Turns measurements into samples for both windows."""

    def __init__(self, load: Load, up: Window, down: Window) -> None:
        self._load = load
        self._up, self._down = up, down
        self._history: deque[tuple[float, int, int]] = deque()

    def take(self, now: float, arrived: int, up_rtt: float, down_rtt: float, spacing: float) -> None:
        """A measurement: ``arrived`` of the bytes sent, and the round trips of either direction in seconds."""
        load = self._load
        if self._history and now - self._history[-1][0] > max(_PAUSE, 4 * up_rtt):
            self._history.clear()
        self._history.append((now, arrived, load.received))
        up, down = self._rates(now, arrived, max(up_rtt, down_rtt, _RATE_OVER))
        limited = up > 0 and now - load.limited_at < up_rtt + spacing
        self._up.take(Sample(now, up_rtt, up, limited, spacing))
        full = down > 0 and (load.held_back or down * down_rtt >= _FULL * self._down.size)
        self._down.take(Sample(now, down_rtt, down, full))

    def _rates(self, now: float, arrived: int, seconds: float) -> tuple[float, float]:
        """Bytes per second of either direction, over at least so many ``seconds``; 0 where there is no telling."""
        while len(self._history) > 1 and self._history[1][0] <= now - seconds:
            self._history.popleft()
        then, arrived_then, received_then = self._history[0]
        if now <= then:
            return 0.0, 0.0
        return max(0, arrived - arrived_then) / (now - then), (self._load.received - received_then) / (now - then)


class TcpMeter:
    """Asks the system.

    Args:
        load: what is carried.
        queue: what the system has.
        kept: bytes that it has not taken yet.
        up, down: the windows.
    """

    def __init__(
        self, load: Load, queue: Callable[[], Queue | None], kept: Callable[[], int], up: Window, down: Window
    ) -> None:
        self._load = load
        self._queue = queue
        self._kept = kept
        self._feed = _Feed(load, up, down)
        self._clock = asyncio.get_running_loop().time
        self._rtt = _SHORT
        self._took_at = 0.0
        self._arrived = 0
        self._mark = 0

    @property
    def look_again(self) -> float:
        """As ``Meter``."""
        return min(max(self._rtt / 16, _SHORT), _LONG)

    def under_way(self, enough: int) -> int:
        """As ``Meter``."""
        at_most = self._load.sent - self._arrived
        return at_most if at_most <= enough else self._look()

    def begin(self) -> None:
        """As ``Meter``."""
        self._look()

    def moved(self, *, urgent: bool = False) -> None:
        """As ``Meter``."""
        moved = self._load.sent + self._load.received
        if moved - self._mark >= _FEW and self._clock() - self._took_at >= self._rtt / 4:
            self._mark = moved
            self._look()

    def _look(self) -> int:
        queue = self._queue()
        if queue is None:
            return 0
        under_way = self._kept() + queue.under_way
        self._arrived = self._load.sent - under_way
        self._sample(queue, under_way)
        return under_way

    def close(self) -> None:
        """As ``Meter``: the socket is closed, and says nothing any more."""

    def _sample(self, queue: Queue, under_way: int) -> None:
        now, self._rtt = self._clock(), queue.rtt
        if now - self._took_at < queue.rtt / 4:
            return
        self._took_at = now
        waits = (under_way - queue.in_flight) * queue.rtt / queue.in_flight if queue.in_flight else 0.0
        self._feed.take(now, self._load.sent - under_way, queue.rtt + waits, queue.rtt, self.look_again)


class PingMeter:
    """Sends pings among the bytes, while there are many.

    Args:
        load: what is carried.
        ask: sends a ping; calls its argument when the answer is there, or never.
        up, down: the windows.
        on_arrival: called when more is known to have arrived.
    """

    look_again = 0.0

    def __init__(
        self,
        load: Load,
        ask: Callable[[Callable[[], None]], None],
        up: Window,
        down: Window,
        on_arrival: Callable[[], None],
    ) -> None:
        self._load = load
        self._ask = ask
        self._feed = _Feed(load, up, down)
        self._on_arrival = on_arrival
        self._loop = asyncio.get_running_loop()
        self._arrived: int | None = None
        self._asked = False
        self._closed = False
        self._asked_at = 0.0
        self._mark = 0
        self._seeds = 0
        self._spacing = _LEAST_SPACING
        self._timer: asyncio.TimerHandle | None = None

    def under_way(self, enough: int) -> int:
        """As ``Meter``; nothing before the first answer, as not every server answers."""
        return 0 if self._arrived is None else self._load.sent - self._arrived

    def begin(self) -> None:
        """As ``Meter``."""
        self._seeds = _SEEDS
        self._ping()

    def moved(self, *, urgent: bool = False) -> None:
        """As ``Meter``."""
        fresh = self._load.sent + self._load.received - self._mark
        if self._timer is not None or self._asked or self._closed or not fresh:
            return
        if fresh < _EVERY_BYTES and not urgent:
            return
        wait = self._asked_at + self._spacing - self._loop.time()
        if wait <= 0:
            self._ping()
        else:
            self._timer = self._loop.call_later(wait, self._timed)

    def close(self) -> None:
        """As ``Meter``."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _ping(self) -> None:
        sent, began = self._load.sent, self._loop.time()
        self._asked_at, self._mark = began, sent + self._load.received
        self._asked = True  # one at a time: each answer could have to wait for the one before
        self._ask(lambda: self._answer(began, sent))

    def _timed(self) -> None:
        self._timer = None
        if not self._closed:
            self._ping()

    def _answer(self, began: float, sent: int) -> None:
        self._asked = False
        now = self._loop.time()
        rtt = max(now - began, 1e-6)
        self._spacing = min(max(rtt / 6, _LEAST_SPACING), _MOST_SPACING)
        self._arrived = sent
        self._feed.take(now, sent, rtt, rtt, rtt + self._spacing)
        self._on_arrival()
        self._seeds -= 1
        if self._seeds > 0:
            self._ping()
        self.moved()
