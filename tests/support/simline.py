"""A line with a bottleneck, TCP over it, and a tunnel's two windows above: simulated, so that minutes take seconds.

Each direction has a rate, a delay, a drop-tail queue, losses and jitter, all of which may change on the way. TCP has
slow start, halves its window when something is lost, repeats it (SACK), and delivers in order; Nagle where asked for.
Above, an upload keeps within ``up`` as ``ssh.datapath.scheduler`` does, a download within ``down`` as
``ssh.datapath.credit`` grants it, and the program's own meter looks at both. Deterministic: chance comes from a seed.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count, pairwise

from openclaw_tunnel.core.flow.window import Sample, Window
from openclaw_tunnel.ssh.datapath.meter import Meter, PingMeter, TcpMeter
from openclaw_tunnel.ssh.datapath.tcp_info import Queue

MSS = 1448
_ACK, _MESSAGE = 52, 60
_UNSENT = 64 << 10
_SEND_BUFFER = 4 << 20
_READ = 128 << 10
_RTO = 0.2
_JITTER_LASTS = 0.010
_SAMPLE_EVERY = 0.005


@dataclass(frozen=True, slots=True)
class Line:
    """One direction.

    Attributes:
        rate: bytes per second; 0: no bottleneck.
        delay: seconds, one way.
        queue: bytes in front of the bottleneck.
        jitter: seconds, the mean of an exponential distribution, another delay every 10 ms; nothing overtakes anything.
        loss: part of the segments.
        pause: the bottleneck stands still now and then (a busy processor): seconds, the shortest and the longest.
        pauses: part of the segments before which it does.
    """

    rate: float = 0.0
    delay: float = 0.0
    queue: float = 256 << 10
    jitter: float = 0.0
    loss: float = 0.0
    pause: tuple[float, float] = (0.0, 0.0)
    pauses: float = 0.0


def mbit(rate: float, round_trip: float, **more: float) -> Line:
    """Either direction of a line of so many Mbit/s, and milliseconds."""
    return Line(rate=rate * 1e6 / 8, delay=round_trip / 2e3, **more)  # type: ignore[arg-type]


class Timer:
    """As ``asyncio.TimerHandle``."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.then: Callable[[], object] | None = then

    def cancel(self) -> None:
        """It does not happen."""
        self.then = None


class Clock:
    """What happens, in its order; as far as a meter uses an event loop, it is one."""

    def __init__(self) -> None:
        self._now = 0.0
        self._events: list[tuple[float, int, Timer]] = []
        self._count = count()

    def time(self) -> float:
        """Seconds since the beginning."""
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Let something happen."""
        return self.at(self._now + delay, callback)

    def at(self, when: float, then: Callable[[], object]) -> Timer:
        """The same, at a time."""
        timer = Timer(then)
        heapq.heappush(self._events, (max(when, self._now), next(self._count), timer))
        return timer

    def run(self, until: float) -> None:
        """Let all happen until then."""
        while self._events and self._events[0][0] <= until:
            self._now, _, timer = heapq.heappop(self._events)
            if timer.then is not None:
                timer.then()
        self._now = until


class Way:
    """One direction of the line, at work."""

    def __init__(self, clock: Clock, line: Line, chance: random.Random) -> None:
        self.line = line
        self._clock = clock
        self._chance = chance
        self._free_at = 0.0
        self._last = 0.0
        self._jitter, self._jitter_until = 0.0, 0.0

    @property
    def waits(self) -> float:
        """Seconds that a packet would stand in the queue now."""
        return max(0.0, self._free_at - self._clock.time())

    def change(self, line: Line) -> None:
        """What waits leaves at the new rate."""
        if self.line.rate and line.rate:
            self._free_at = self._clock.time() + self.waits * self.line.rate / line.rate
        self.line = line

    def send(self, size: int, arrive: Callable[[], object]) -> None:
        """A packet: it arrives, or is lost."""
        line, now = self.line, self._clock.time()
        if line.loss and self._chance.random() < line.loss:
            return
        if line.rate and self.waits * line.rate > line.queue:
            return
        begins = max(now, self._free_at)
        if line.pauses and size > _ACK and self._chance.random() < line.pauses:
            begins += self._chance.uniform(*line.pause)
        self._free_at = begins + (size / line.rate if line.rate else 0.0)
        if line.jitter and now >= self._jitter_until:
            self._jitter, self._jitter_until = self._chance.expovariate(1 / line.jitter), now + _JITTER_LASTS
        self._last = max(self._last, self._free_at + line.delay + self._jitter)
        self._clock.at(self._last, arrive)


@dataclass(slots=True, eq=False)
class _Segment:
    begin: int
    end: int
    sent_at: float = 0.0
    order: int = 0


class Tcp:
    """A sender, with its receiver.

    Args:
        there, back: the way of the segments and that of their acknowledgements.
        mss: bytes in a segment; larger ones make it faster to simulate.
        nagle: a small segment waits until all before it is acknowledged.
        loss_blind: takes no loss for a sign that the line is full, as BBR: knows the line, sends at
            its rate, and has up to twice as much under way as it holds.

    Attributes:
        delivered: bytes that have come to the receiver, in order.
    """

    def __init__(
        self,
        clock: Clock,
        there: Way,
        back: Way,
        *,
        mss: int = MSS,
        nagle: bool = False,
        loss_blind: bool = False,
    ) -> None:
        self._loss_blind = loss_blind
        self._pace_at = 0.0
        self._paced: Timer | None = None
        self._clock, self._there, self._back = clock, there, back
        self._mss, self._nagle = mss, nagle
        self._written = self._next = self._una = 0
        self._flying: dict[int, _Segment] = {}  # by their beginning, in the order they were sent
        self._in_flight = 0
        self._repeat: deque[_Segment] = deque()
        self._sacked: dict[int, int] = {}
        self._early: dict[int, int] = {}
        self._messages: deque[tuple[int, int, Callable[[], object]]] = deque()
        self._order = count()
        self._cwnd, self._threshold = 10.0 * MSS, float("inf")
        self._recover_at = -1.0
        self._heard_at = 0.0
        self._timer: Timer | None = None
        self._watch = False
        self.srtt = 0.0
        self.delivered = 0
        self.on_delivered: Callable[[int], object] = lambda _: None
        self.on_room: Callable[[], object] = lambda: None

    @property
    def unsent(self) -> int:
        """Bytes written and not sent."""
        return self._written - self._next

    @property
    def buffered(self) -> int:
        """Bytes written and not acknowledged."""
        return self._written - self._una

    @property
    def queue(self) -> Queue:
        """As the system shows it."""
        sacked = sum(end - begin for begin, end in self._sacked.items())
        return Queue(self.buffered - sacked, self.srtt)

    def write(self, size: int) -> None:
        """Send; ``on_delivered`` hears of it."""
        self._written += size
        self._push()

    def message(self, then: Callable[[], object] = lambda: None) -> None:
        """Send something small; ``then`` is called when it has arrived, and ``on_delivered`` hears nothing."""
        self._messages.append((self._written + _MESSAGE, _MESSAGE, then))
        self.write(_MESSAGE)

    def _push(self) -> None:
        while self._in_flight < self._cwnd and self._in_pace():
            if self._repeat:
                self._send(self._repeat.popleft())
            elif 0 < (size := min(self._mss, self.unsent)) and not (self._nagle and size < MSS and self._in_flight):
                self._next += size
                self._send(_Segment(self._next - size, self._next))
            else:
                return

    def _in_pace(self) -> bool:
        """One that is blind for losses sends no faster than the line carries, as BBR."""
        now = self._clock.time()
        if self._loss_blind and self._pace_at > now:
            if self._paced is None:
                self._paced = self._clock.at(self._pace_at, self._push_paced)
            return False
        return True

    def _push_paced(self) -> None:
        self._paced = None
        self._push()
        self.on_room()

    def _send(self, segment: _Segment) -> None:
        if self._loss_blind:
            took = (_ACK + segment.end - segment.begin) / self._there.line.rate
            self._pace_at = max(self._pace_at, self._clock.time()) + took
        segment.sent_at, segment.order = self._clock.time(), next(self._order)
        self._flying[segment.begin] = segment
        self._in_flight += segment.end - segment.begin
        order = segment.order
        self._there.send(_ACK + segment.end - segment.begin, lambda: self._arrive(segment.begin, segment.end, order))
        if not self._watch:
            self._watch, self._heard_at = True, self._clock.time()
            self._clock.call_later(self._timeout, self._look)

    @property
    def _timeout(self) -> float:
        return _RTO + 2 * self.srtt

    def _look(self) -> None:
        """Nothing is acknowledged any more: all of it is sent again."""
        self._watch = False
        if not self._flying:
            return
        if self._clock.time() - self._heard_at >= self._timeout:
            self._lose(list(self._flying.values()))
            self._cwnd = 2.0 * MSS
            self._heard_at = self._clock.time()
            self._push()
        if self._flying and not self._watch:
            self._watch = True
            self._clock.call_later(self._timeout, self._look)

    def _arrive(self, begin: int, end: int, order: int) -> None:
        before = self.delivered
        if begin >= self.delivered:
            self._early[begin] = end
        while self.delivered in self._early:
            self.delivered = self._early.pop(self.delivered)
        delivered = self.delivered
        self._back.send(_ACK, lambda: self._acknowledged(begin, end, order, delivered))
        if (came := self.delivered - before) > 0:
            while self._messages and self._messages[0][0] <= self.delivered:
                _, size, then = self._messages.popleft()
                came -= size
                then()
            self.on_delivered(came)

    def _acknowledged(self, begin: int, end: int, order: int, una: int) -> None:
        now = self._clock.time()
        self._heard_at = now
        segment = self._flying.get(begin)
        if segment is not None and segment.order == order:
            rtt = now - segment.sent_at
            self.srtt = rtt if not self.srtt else self.srtt + (rtt - self.srtt) / 8
        if segment is not None:
            del self._flying[begin]
            self._in_flight -= end - begin
            self._sacked[begin] = end
            self._grow(end - begin)
        if una > self._una:
            self._una = una
            self._sacked = {b: e for b, e in self._sacked.items() if e > una}
            for b in [b for b in self._flying if b < una]:  # an acknowledgement was lost
                gone = self._flying.pop(b)
                self._in_flight -= gone.end - gone.begin
        older = []
        for one in self._flying.values():
            if one.order > order:
                break
            older.append(one)
        self._lose(older)
        self._push()
        self.on_room()

    def _grow(self, size: int) -> None:
        if self._in_flight + size < self._cwnd / 2:
            return  # it is not what limits
        self._cwnd += size if self._cwnd < self._threshold else size * MSS / self._cwnd
        if self._loss_blind:
            line = self._there.line
            self._cwnd = min(self._cwnd, 2 * line.rate * (line.delay + self._back.line.delay))

    def _lose(self, segments: list[_Segment]) -> None:
        for segment in segments:
            del self._flying[segment.begin]
            self._in_flight -= segment.end - segment.begin
            self._repeat.append(segment)
        if not self._loss_blind and segments and max(one.sent_at for one in segments) > self._recover_at:
            self._threshold = self._cwnd = max(0.7 * self._cwnd, 2.0 * MSS)
            self._recover_at = self._clock.time()


@dataclass(slots=True)
class Track:
    """What was seen of a direction every 5 ms: time, bytes delivered, seconds in the queue, size of the window."""

    rows: list[tuple[float, int, float, int]] = field(default_factory=list)

    def _between(self, start: float, end: float) -> list[tuple[float, int, float, int]]:
        return [row for row in self.rows if start <= row[0] < end]

    def rate(self, start: float, end: float) -> float:
        """Bytes per second."""
        rows = self._between(start, end)
        return (rows[-1][1] - rows[0][1]) / (rows[-1][0] - rows[0][0])

    def rates(self, start: float, end: float, every: float = 1.0) -> list[float]:
        """The same, of each second."""
        steps = int((end - start) / every + 1e-6)
        return [self.rate(start + n * every, start + (n + 1) * every) for n in range(steps)]

    def delay(self, start: float, end: float, percent: float = 95) -> float:
        """Seconds in the queue, so many percent of the time at most."""
        delays = sorted(row[2] for row in self._between(start, end))
        return delays[min(len(delays) - 1, int(len(delays) * percent / 100))]

    def windows(self, start: float, end: float) -> list[int]:
        """Sizes."""
        return [row[3] for row in self._between(start, end)]

    def changes(self) -> int:
        """How often the window's size has changed."""
        return sum(a[3] != b[3] for a, b in pairwise(self.rows))


class _Fixed(Window):
    """A window without a controller."""

    def take(self, sample: Sample) -> None:
        """Learn nothing."""


class Tunnel:
    """A connection over a line, and what it carries.

    Args:
        line: either direction.
        pings: the meter sends pings; else it asks TCP.
        mss: see :class:`Tcp`.
        loss_blind: see :class:`Tcp`.
        fixed: bytes: windows that stay as they are, instead of the controller's.

    Attributes:
        up, down: what was seen.
        limited_at, sent, received, held_back: what the meter asks for.
    """

    def __init__(
        self,
        line: Line,
        *,
        pings: bool = False,
        mss: int = MSS,
        loss_blind: bool = False,
        fixed: int = 0,
        seed: int = 1,
    ) -> None:
        self.clock = Clock()
        chance = random.Random(seed)
        self.there = Way(self.clock, line, chance)
        self.back = Way(self.clock, line, chance)
        self._mss = mss
        self._upload = Tcp(self.clock, self.there, self.back, mss=mss, loss_blind=loss_blind)
        self._download = Tcp(self.clock, self.back, self.there, mss=mss, nagle=True, loss_blind=loss_blind)
        self.up_window, self.down_window = (_Fixed(first=fixed) if fixed else Window() for _ in range(2))
        self.up, self.down = Track(), Track()
        self.limited_at = -1.0
        self.sent = self.received = 0
        self.held_back = False
        self.uploads = self.downloads = False
        self._timer: Timer | None = None
        self._limit = _UNSENT
        self._outstanding = 0
        self._granted = 0
        self.meter: Meter
        if pings:
            self.meter = PingMeter(self, self._ping, self.up_window, self.down_window, self._send, self.clock)
        else:
            self.meter = TcpMeter(
                self, lambda: self._upload.queue, lambda: 0, self.up_window, self.down_window, self.clock
            )
        self._upload.on_room = self._send
        self._download.on_delivered = self._took
        self._download.on_room = self._serve
        self._upload.message(self._download.message)
        self.clock.run(1e-6 + 4 * line.delay)
        self.meter.begin()
        self._idle_ping()
        self._watch()

    @property
    def granted(self) -> int:
        """As the meter wants it."""
        return self.received + self._outstanding

    def _watch(self) -> None:
        now = self.clock.time()
        self.up.rows.append((now, self._upload.delivered, self.there.waits, self.up_window.size))
        self.down.rows.append((now, self.received, self.back.waits, self.down_window.size))
        self.clock.call_later(_SAMPLE_EVERY, self._watch)

    def _idle_ping(self) -> None:
        """Somebody types: a small message there and back."""
        self._upload.message(self._download.message)
        self.sent += _MESSAGE
        self.meter.moved()
        self.clock.call_later(0.25, self._idle_ping)

    def _ping(self, then: Callable[[], None]) -> None:
        self._upload.message(lambda: self._download.message(then))

    def run(self, seconds: float, *, up: bool | None = None, down: bool | None = None) -> None:
        """Let time pass, with an upload or a download, or as before."""
        self.uploads = self.uploads if up is None else up
        self.downloads = self.downloads if down is None else down
        self._send()
        self._grant()
        self.clock.run(self.clock.time() + seconds)

    def change(self, line: Line) -> None:
        """Both directions become another one."""
        self.there.change(line)
        self.back.change(line)

    def add_other(self, *, up: bool) -> Track:
        """Somebody else's TCP connection, which fills the same queue."""
        there, back = (self.there, self.back) if up else (self.back, self.there)
        other, track = Tcp(self.clock, there, back, mss=self._mss), Track()

        def fill() -> None:
            if other.unsent < _UNSENT:
                other.write(_SEND_BUFFER)

        def watch() -> None:
            track.rows.append((self.clock.time(), other.delivered, there.waits, 0))
            self.clock.call_later(_SAMPLE_EVERY, watch)

        other.on_room = fill
        fill()
        watch()
        return track

    def _send(self) -> None:
        """As ``ssh.datapath.scheduler`` with one client."""
        while self.uploads and self._upload.unsent < _UNSENT:
            window = self.up_window.size
            step = max(window // 8, 1 << 10)
            room = window - self.meter.under_way(enough=window // 4)
            if room < step // 2:
                self.limited_at = self.clock.time()
                self._send_later()
                break
            size = min(max(step, room // 2), room, _READ)
            self._upload.write(size)
            self.sent += size
        if self.uploads:
            self.meter.moved(urgent=True)

    def _send_later(self) -> None:
        if self._timer is None and self.meter.look_again:
            self._timer = self.clock.call_later(self.meter.look_again, self._send_now)

    def _send_now(self) -> None:
        self._timer = None
        self._send()

    def _took(self, size: int) -> None:
        """As ``ssh.datapath.credit`` with one channel."""
        self._outstanding -= size
        self.received += size
        self._limit = min(self._limit + size, self.down_window.size)
        self._grant()
        self.meter.moved()

    def _grant(self) -> None:
        wanted = self._limit - self._outstanding
        step = self._limit // 8
        if self.downloads and wanted >= max(step, 2 << 10):
            self._outstanding += wanted
            self._upload.message(lambda: self._serve(wanted))

    def _serve(self, granted: int = 0) -> None:
        """The server sends what it was granted, as far as its system takes it."""
        self._granted += granted
        size = min(self._granted, _SEND_BUFFER - self._download.buffered)
        if size >= min(self._granted, self._mss) > 0:
            self._granted -= size
            self._download.write(size)
