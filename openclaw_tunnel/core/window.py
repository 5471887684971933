"""How many bytes may be under way: a window sized by the delay that it causes. Pure.

A line that is full keeps what it is sent in a queue, and everything that comes later waits behind it: megabytes on a
home's uplink, seconds. Losses show too late that it is full; the round trip time shows it at once, as in TCP Vegas,
LEDBAT (RFC 6817) and BBR. The smallest round trip seen is the line itself, the base delay; what a round trip takes
beyond it was spent in queues.

The window is used up and the queue short: it grows, and finds the line's rate. The queue is longer than allowed: what
got through meanwhile is the line's rate, and rate times allowed round trip is the window that fits.

Is a long delay a queue of ours, or has the line become longer? Half of the window for two round trips shows it, as BBR's
ProbeRTT does: our queue gets shorter; on a longer line less gets through. Others who keep the queue full look like a
longer line, and are treated so: to give way to them would be to starve.
"""

import math
from collections import deque
from dataclasses import dataclass

LEAST = 32 << 10
"""Bytes: the smallest window. Lines with losses need some packets under way to recover quickly."""

MOST = 16 << 20
"""Bytes: the largest window, enough for 1 Gbit/s over 130 ms."""

FIRST = 128 << 10
"""Bytes: the window of a line of which nothing is known."""

_GROWTH, _MOST_GROWTH = 1.25, 2.0
_ENOUGH = 2.0  # base delays' worth of the rate, beyond the allowed queue: BBR's cwnd_gain, room to repeat what was lost
_LATE = 3  # so many round trips must be too long: one late answer is no queue
_FOR = 0.03
_MOST_JITTER = 1.0
_REST = 1.0  # seconds without a window used up, after which nothing is known of what it does
_RATES = 1.0  # seconds: the highest rate of so long counts
_PROBE_EVERY = 5.0  # seconds without a round trip near the base delay
_PATIENCE = 4  # round trips until the delay has followed the window: TCP smooths what it shows
_PROBE = 2  # round trips
_NEAR, _SHORTER = 1.1, 0.8  # of the base delay


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen of one direction.

    Attributes:
        at: seconds, on a clock that only moves forward.
        rtt: seconds of a round trip.
        rate: bytes per second that got through lately, over a round trip or more.
        limited: the window was used up meanwhile: more would have been sent.
    """

    at: float
    rtt: float
    rate: float
    limited: bool


@dataclass(frozen=True, slots=True)
class _Probe:
    """The window is half of what it was."""

    at: float
    size: float
    rate: float


class _Largest:
    """The largest of the numbers of the last so many seconds."""

    def __init__(self) -> None:
        self._falling: deque[tuple[float, float]] = deque()  # each larger than all that came later

    def add(self, at: float, number: float, seconds: float) -> None:
        """One more; those older than ``seconds`` are forgotten."""
        while self._falling and self._falling[-1][1] <= number:
            self._falling.pop()
        self._falling.append((at, number))
        while at - self._falling[0][0] > seconds:
            self._falling.popleft()

    @property
    def value(self) -> float:
        """What it is."""
        return self._falling[0][1]


class Window:
    """The window of one direction of one connection.

    Attributes:
        base: seconds: the round trip on the empty line; 0 as long as nothing is known.
    """

    def __init__(self, *, first: int = FIRST, least: int = LEAST, most: int = MOST) -> None:
        """Begin with ``first`` bytes, never less than ``least`` or more than ``most``."""
        self.base = 0.0
        self._size = float(first)
        self._least, self._most = least, most
        self._rtts: deque[tuple[float, float]] = deque()
        self._rates = _Largest()
        self._shortest = _Largest()
        self._mean = 0.0
        self._at = self._changed_at = self._round_at = self._limited_at = self._near_at = self._fine_at = -math.inf
        self._growth = _MOST_GROWTH
        self._probe: _Probe | None = None
        self._probed = 0.0

    @property
    def size(self) -> int:
        """Bytes that may be under way."""
        return int(self._size)

    @property
    def allowed(self) -> float:
        """Seconds that bytes may wait in queues: a quarter of the base delay, and what scheduling costs."""
        return self._room + self._jitter

    @property
    def wanted(self) -> float:
        """Seconds that a round trip may take."""
        return self.base + 0.75 * self._room + self._jitter

    @property
    def _room(self) -> float:
        return self.base / 4 + min(max(2 * self.base, 0.001), 0.003)

    @property
    def _jitter(self) -> float:
        return min(max(0.0, self._mean + self._shortest.value), self.base * _MOST_JITTER)

    def take(self, sample: Sample) -> None:
        """Learn from a sample; one that cannot be is left out."""
        if not (sample.at > self._at and 0 < sample.rtt < math.inf and 0 <= sample.rate < math.inf):
            return
        self._at = sample.at
        self._rates.add(sample.at, sample.rate, max(_RATES, _PROBE * sample.rtt))
        self._shortest.add(sample.at, -sample.rtt, _RATES)
        self._mean = self._mean + (sample.rtt - self._mean) / 32 if self._mean else sample.rtt
        self._note_use(sample)
        if not self.base:
            self.base = self._probed = sample.rtt
        if sample.rtt <= self.base * _NEAR + 0.001:
            self._near_at = sample.at
        self.base = min(self.base, sample.rtt)
        if sample.at - sample.rtt >= self._round_at:  # was sent when the window was in use as it is
            self._rtts.append((sample.at, sample.rtt))
            while len(self._rtts) > _LATE and sample.at - self._rtts[1][0] > _FOR:
                self._rtts.popleft()
            self._adapt(sample)

    @property
    def _rate(self) -> float:
        return self._rates.value

    @property
    def _sure(self) -> bool:
        return len(self._rtts) >= _LATE and self._rtts[-1][0] - self._rtts[0][0] >= _FOR

    def _note_use(self, sample: Sample) -> None:
        if sample.at - self._limited_at > _REST:
            self._near_at = self._fine_at = sample.at
        if sample.limited:
            self._limited_at = sample.at

    def _adapt(self, sample: Sample) -> None:
        queued = min(rtt for _, rtt in self._rtts) - self.base
        if queued <= self.allowed:
            self._fine_at = sample.at
        if self._probe is not None:
            self._end_probe(sample, self._probe)
        elif self._doubtful(sample):
            self._begin_probe(sample)
        elif queued < self.allowed / 2:
            if sample.limited:
                self._grow(sample)
        else:
            if sample.limited:
                self._growth = _GROWTH
            if queued > self.allowed and self._sure and self._rate * queued > self._least / 4:
                self._shrink(sample)

    def _doubtful(self, sample: Sample) -> bool:
        """Whether the base delay is: never met for long, always exceeded, or shorter than ever, with a queue maybe."""
        return (
            sample.at - self._near_at > _PROBE_EVERY
            or sample.at - max(self._fine_at, self._changed_at) > _PATIENCE * sample.rtt
            or self.base < self._probed * _SHORTER - 0.001
        )

    def _grow(self, sample: Sample) -> None:
        """Ahead of the rate by so much. Losses make it less than the window lets through: then, while round trips stay
        short (TCP shows late that they do not), by more.
        """
        ahead = self._rate * self.base * self._growth
        if ahead > self._size:
            self._set(ahead, sample)
            self._growth = min(self._growth * 1.1, max(self._growth, 1.5))
        elif sample.at - self._changed_at > _PATIENCE * sample.rtt and self._size < self._rate * _ENOUGH * self.wanted:
            self._set(self._size * self.wanted / sample.rtt, sample)

    def _shrink(self, sample: Sample) -> None:
        fits = max(self._rate * self.wanted, self._least)
        if fits < 0.95 * self._size:
            self._set(fits, sample)
            self._begin_round(sample)

    def _begin_probe(self, sample: Sample) -> None:
        self._probe = _Probe(sample.at, self._size, sample.rate)
        self._probed = self.base
        self._size = max(self._size / 2, self._least / 2)
        self._begin_round(sample)

    def _end_probe(self, sample: Sample, probe: _Probe) -> None:
        if sample.at - probe.at < _PROBE * sample.rtt or not self._sure:
            return
        if sample.rate > 0.9 * probe.rate and self._size > self._least / 2:
            self._begin_probe(sample)  # half is still enough: there is a queue still
            return
        self._probe = None
        rtt = min(rtt for _, rtt in self._rtts)
        if sample.rate < 0.75 * probe.rate and rtt > self.base + self.allowed:
            self.base = self._probed = rtt
            self._growth = 1.5
        self._near_at = self._fine_at = sample.at
        self._set(min(probe.size, max(probe.rate, sample.rate) * self.wanted), sample)
        self._begin_round(sample)

    def _set(self, size: float, sample: Sample) -> None:
        self._size = min(max(size, self._least), self._most)
        self._changed_at = sample.at

    def _begin_round(self, sample: Sample) -> None:
        """What is sent from now on shows what the window does."""
        self._round_at = sample.at
        self._rtts.clear()
