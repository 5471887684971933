"""How much of what was sent has arrived, how long it takes, and how much gets through: what windows are sized by.

Where the connection is TCP the system shows it, and knows best: it has a fresh answer with every second packet.
Elsewhere (behind a proxy's process, or a jump host) pings do. The answer to a ping comes when the server has read
everything that was sent before it, and behind everything that the server has sent. It may come late: a server may hold
a small packet back until the one before is acknowledged (Nagle's algorithm), as OpenSSH's does without a terminal.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from openclaw_tunnel.core.flow.window import SHORTEST, Sample, Window
from openclaw_tunnel.ssh.datapath.tcp_info import Queue
from openclaw_tunnel.ssh.deadline import Clock

_FEW = 16 << 10  # bytes that are no load: no look at the system is worth their while
_SHORT, _LONG = 0.001, 0.010  # seconds between looks at the system
_LEAST_SPACING, _MOST_SPACING = 0.005, 0.025  # seconds between pings
_EVERY_BYTES = 64 << 10  # between pings
_MOST_ASKED = 16  # pings without an answer
_HELD = 0.045  # seconds that an answer is held back where nobody acknowledges the one before: no queue
_SHORT_LINE = 0.010  # seconds: on a longer one that is about a round trip, and no such surprise
_SEEDS = 3  # pings at the beginning, one by one: the line is empty
_RATE_OVER = 0.020  # seconds, at least
_PAUSE = 1.0  # seconds without a sample, after which those before say nothing about the rate
_BUSY = 0.3
_FULL = 0.45  # of a window in one round trip: it is used up, as far as the start lets it


class Load(Protocol):
    """What a connection carries at this moment."""

    @property
    def sent(self) -> int:
        """Bytes handed to the connection so far."""

    @property
    def received(self) -> int:
        """Bytes of channels that have come so far."""

    @property
    def granted(self) -> int:
        """Bytes that channels were allowed to receive so far."""

    @property
    def limited_at(self) -> float:
        """When somebody had to wait because the window for sending was used up, the last time, in seconds."""

    @property
    def held_back(self) -> bool:
        """Far ends wait because the window for receiving is used up."""


class _Delivery:
    """How fast bytes of one direction arrive, as BBR measures it (draft-ietf-ccwg-bbr, delivery rate).

    Behind a lost packet everything waits, and comes at once when it was repeated. That is not the line's rate, and the
    time that it took to send those bytes shows it.
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int]] = deque()
        self._arrived: deque[tuple[float, float, int]] = deque()

    def note(self, now: float, sent: int) -> None:
        """So many bytes were sent so far; the more often, the better."""
        if not self._sent or sent > self._sent[-1][1]:
            self._sent.append((now, sent))

    def rate(self, now: float, arrived: int, seconds: float) -> float:
        """Bytes per second, over at least so many ``seconds``, where ``arrived`` is how many have; 0: no telling."""
        while len(self._sent) > 1 and self._sent[1][1] <= arrived:
            self._sent.popleft()
        self._arrived.append((now, self._sent[0][0], arrived))
        while len(self._arrived) > 1 and self._arrived[1][0] <= now - seconds:
            self._arrived.popleft()
        at, sent_at, before = self._arrived[0]
        took = max(now - at, self._sent[0][0] - sent_at)
        return max(0, arrived - before) / took if took > 0 else 0.0

    def forget(self) -> None:
        """What was before says nothing any more."""
        self._sent.clear()
        self._arrived.clear()


class _Feed:
    """Turns measurements into samples for both windows."""

    def __init__(self, load: Load, up: Window, down: Window) -> None:
        self._load = load
        self._up, self._down = up, down
        self._sending, self._receiving = _Delivery(), _Delivery()
        self._at = -math.inf
        self.up_rate = 0.0

    def look(self, now: float) -> None:
        """Something is sent: note how much."""
        self._sending.note(now, self._load.sent)
        self._receiving.note(now, self._load.granted)

    def take(self, now: float, arrived: int, rtt: float, spacing: float) -> None:
        """A measurement: ``arrived`` of the bytes sent, and a round trip in seconds."""
        load, rtt = self._load, max(rtt, SHORTEST)
        if now - self._at > max(_PAUSE, 4 * rtt):
            self._sending.forget()
            self._receiving.forget()
        self._at = now
        self.look(now)
        over = max(rtt, _RATE_OVER)
        self.up_rate = up = self._sending.rate(now, arrived, over)
        down = self._receiving.rate(now, load.received, over)
        shared = up * rtt > _BUSY * self._up.size and down * rtt > _BUSY * self._down.size
        self._up.take(Sample(now, rtt, up, up > 0 and now - load.limited_at < rtt + spacing, shared))
        full = down > 0 and (load.held_back or down * rtt >= _FULL * self._down.size)
        self._down.take(Sample(now, rtt, down, full, shared))


class Meter:
    """One of the two ways to measure.

    Args:
        load: what is carried.
        up, down: the windows.
    """

    def __init__(self, load: Load, up: Window, down: Window, clock: Clock | None) -> None:
        self._load = load
        self._feed = _Feed(load, up, down)
        self._loop = clock or asyncio.get_running_loop()
        self._mark = 0
        self._rtt = _SHORT

    @property
    def look_again(self) -> float:
        """Seconds after which a look at :meth:`under_way` shows more; 0 where the meter reports it by itself."""
        return min(max(self._rtt / 16, _SHORT), _LONG)

    def under_way(self, enough: int) -> int:
        """Bytes that were sent and are not known to have arrived, or anything up to ``enough`` where it is less."""
        raise NotImplementedError

    def begin(self) -> None:
        """The connection is up, and nothing is under way."""
        raise NotImplementedError

    def moved(self, *, urgent: bool = False) -> None:
        """Something was carried; with ``urgent``, somebody waits until it has arrived."""
        raise NotImplementedError

    def close(self) -> None:
        """Measure no more."""


class TcpMeter(Meter):
    """Asks the system; once the socket is closed, that says nothing any more.

    Args:
        queue: what the system has.
        kept: bytes that it has not taken yet.
    """

    def __init__(
        self,
        load: Load,
        queue: Callable[[], Queue | None],
        kept: Callable[[], int],
        up: Window,
        down: Window,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(load, up, down, clock)
        self._queue = queue
        self._kept = kept
        self._took_at = 0.0
        self._arrived = 0

    def under_way(self, enough: int) -> int:
        at_most = self._load.sent - self._arrived
        return at_most if at_most <= enough else self._look()

    def begin(self) -> None:
        self._look()

    def moved(self, *, urgent: bool = False) -> None:
        moved = self._load.sent + self._load.received
        if moved - self._mark >= _FEW and self._loop.time() - self._took_at >= self._rtt / 4:
            self._mark = moved
            self._look()

    def _look(self) -> int:
        queue = self._queue()
        if queue is None:
            return 0
        under_way = self._kept() + queue.under_way
        self._arrived = self._load.sent - under_way
        self._feed.look(self._loop.time())
        self._sample(queue, under_way)
        return under_way

    def _sample(self, queue: Queue, under_way: int) -> None:
        now, self._rtt = self._loop.time(), queue.rtt
        if now - self._took_at < queue.rtt / 4:
            return
        self._took_at = now
        self._feed.take(now, self._load.sent - under_way, queue.rtt, self.look_again)


class PingMeter(Meter):
    """Sends pings among the bytes, while there are many.

    Between two answers bytes are taken to arrive as fast as before: sent in bursts, one per answer, they would stand in
    the line's queue.

    Args:
        ask: sends a ping; calls its argument when the answer is there, or never.
        on_arrival: called when more is known to have arrived.
    """

    def __init__(
        self,
        load: Load,
        ask: Callable[[Callable[[], None]], None],
        up: Window,
        down: Window,
        on_arrival: Callable[[], None],
        clock: Clock | None = None,
    ) -> None:
        super().__init__(load, up, down, clock)
        self._ask = ask
        self._up = up
        self._on_arrival = on_arrival
        self._arrived: int | None = None
        self._answered = (0.0, 0)
        self._answered_at = 0.0
        self._taking: Any = None
        self._asked = 0
        self._closed = False
        self._asked_at = 0.0
        self._seeds = 0
        self._rtt = _LEAST_SPACING
        self._shortest = math.inf
        self._timer: Any = None

    def under_way(self, enough: int) -> int:
        if self._arrived is None:
            return 0  # nothing before the first answer, as not every server answers
        self._feed.look(self._loop.time())
        since = min(self._loop.time() - self._answered_at, self._up.base + self._spacing)
        return max(0, self._load.sent - self._arrived - int(since * self._feed.up_rate))

    def begin(self) -> None:
        self._seeds = _SEEDS
        self._ping()

    def moved(self, *, urgent: bool = False) -> None:
        fresh = self._load.sent + self._load.received - self._mark
        if self._timer is not None or self._asked >= _MOST_ASKED or self._closed or not fresh:
            return
        if fresh < _EVERY_BYTES and not urgent:
            return
        wait = self._asked_at + self._spacing - self._loop.time()
        if wait <= 0:
            self._ping()
        else:
            self._timer = self._loop.call_later(wait, self._timed)

    def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    @property
    def _spacing(self) -> float:
        return min(max(self._rtt / 8, _LEAST_SPACING), _MOST_SPACING)

    def _ping(self) -> None:
        sent, began = self._load.sent, self._loop.time()
        self._asked_at, self._mark = began, sent + self._load.received
        self._feed.look(began)
        self._asked += 1
        self._ask(lambda: self._answer(began, sent))

    def _timed(self) -> None:
        self._timer = None
        if not self._closed:
            self._ping()

    def _answer(self, began: float, sent: int) -> None:
        """Answers that a server has held back come together; the last one says most."""
        self._asked -= 1
        self._answered = began, sent
        if self._taking is None:
            self._taking = self._loop.call_later(0, self._take)

    def _take(self) -> None:
        self._taking = None
        if self._closed:
            return
        began, self._arrived = self._answered
        self._answered_at = now = self._loop.time()
        self._rtt = max(now - began, 1e-6)
        self._shortest = min(self._shortest, self._rtt)
        held = _HELD if self._shortest < _SHORT_LINE else 0.0
        self._feed.take(now, self._arrived, max(self._shortest, self._rtt - held), self._spacing)
        self._on_arrival()
        self._seeds -= 1
        if self._seeds > 0:
            self._ping()
        self.moved()
