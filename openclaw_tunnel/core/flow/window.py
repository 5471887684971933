"""How many bytes may be under way: a window sized by the delay that it causes. Pure.

A line that is full keeps what it is sent in a queue, and everything that comes later waits behind it: megabytes on a
home's uplink, seconds. Losses show too late that it is full; the round trip time shows it at once, as in TCP Vegas,
LEDBAT (RFC 6817) and BBR (draft-ietf-ccwg-bbr). The smallest round trip seen is the line itself, the base delay; what
a round trip takes beyond it was spent in queues.

The queue is short: the window is ahead of the rate, and finds the line's. It is longer than allowed: what got through
meanwhile is the line's rate, and rate times wanted round trip is the window that fits. Whatever the size was, that
product is the same; so a delay that shows late, as TCP's smoothed one does, corrects nothing twice.

Is a long delay a queue of ours, or has the line become longer? Half of the window shows it, as BBR's ProbeRTT does: our
queue gets shorter and the rate stays, or less gets through. Others who keep the queue full look like a longer line, and
are treated so: to give way to them would be to starve.
"""

import math
from collections import deque
from dataclasses import dataclass

LEAST = 32 << 10
"""Bytes: the smallest window, one packet of most servers; half of it while the line is probed."""

MOST = 16 << 20
"""Bytes: the largest window, enough for 1 Gbit/s over 130 ms."""

FIRST = 128 << 10
"""Bytes: the window of a line of which nothing is known."""

SHORTEST = 0.0005
"""Seconds: a shorter round trip shows a short line, where the time of programs is what counts."""

_START_AHEAD = 2.2  # windows' worth of the rate until a queue is seen: more loses packets where a queue is short
_AHEAD, _MOST_AHEAD, _FASTER = 1.25, 1.5, 1.1  # later; more with each step that was of use
_LOSSY_AHEAD = 1.75  # what follows a lost packet waits for a round trip until that was repeated; BBR's cwnd_gain is 2
_RATE_FOR = 1.0  # seconds: the highest rate of so long counts
_SURE, _SURE_FOR = 3, 0.03  # samples, seconds: all of them must be too long, a single late one is no queue
_MEAN_OF = 32  # samples
_IN_USE = 1.0  # seconds after the window was used up
_LAG = 4  # round trips until the delay has followed the window: TCP smooths what it shows
_PROBE_EVERY, _PROBE_SOON = 10.0, 2.0  # seconds without a round trip near the base delay; where that has just changed
_PROBE = 2  # round trips
_NEAR, _SHORTER = 1.1, 0.8  # of the base delay
_LEAST_PART = 0.25  # of the smallest window: with less of ours in the queue, it is not ours
_LONGEST, _FASTEST = 3600.0, 1e12  # seconds, bytes per second: more cannot be


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen of one direction.

    Attributes:
        at: seconds, on a clock that only moves forward.
        rtt: seconds of a round trip; :data:`SHORTEST` where it took less.
        rate: bytes per second that got through lately, over a round trip or more.
        limited: the window was used up meanwhile: more would have been sent.
        shared: much is under way in the other direction as well, and its queue is a part of the round trip.
    """

    at: float
    rtt: float
    rate: float
    limited: bool
    shared: bool = False

    @property
    def possible(self) -> bool:
        """It is not garbage."""
        return math.isfinite(self.at) and 0 < self.rtt < _LONGEST and 0 <= self.rate < _FASTEST


@dataclass(frozen=True, slots=True)
class _Probe:
    """The window is half of what it was.

    Attributes:
        at: since when.
        size: before the first of several.
        rate: before.
    """

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
        """What it is; 0 where there is none."""
        return self._falling[0][1] if self._falling else 0.0


class Window:
    """The window of one direction of one connection.

    Attributes:
        base: seconds: the round trip on the empty line; 0 as long as nothing is known.
    """

    def __init__(self, *, first: int = FIRST, least: int = LEAST) -> None:
        """Begin with ``first`` bytes, never less than ``least`` (half of it in a probe) or more than ``MOST``."""
        self.base = 0.0
        self._size = float(first)
        self._least = least
        self._ahead = _START_AHEAD
        self._rates, self._short = _Largest(), _Largest()
        self._mean = self._mean_rate = 0.0
        self._shared = False
        self._rtts: deque[tuple[float, float]] = deque()  # with the window as it is
        self._at = self._changed_at = self._round_at = self._limited_at = self._near_at = self._fine_at = -math.inf
        self._fine_size = self._size
        self._probe: _Probe | None = None
        self._probed = 0.0  # the base delay after the last one
        self._probe_after = _PROBE_EVERY

    @property
    def size(self) -> int:
        """Bytes that may be under way."""
        return int(self._size)

    @property
    def allowed(self) -> float:
        """Seconds that bytes may wait in queues: a part of the base delay, what scheduling costs, and jitter."""
        return self._room + self._jitter

    @property
    def wanted(self) -> float:
        """Seconds of a round trip with a queue that is short, and never empty."""
        return self.base + 0.75 * self._room + self._jitter

    @property
    def _room(self) -> float:
        room = self.base / 5 + min(max(2 * self.base, 0.001), 0.003)
        return 2 * room if self._shared else room

    @property
    def _jitter(self) -> float:
        """By how much round trips are longer than the shortest of late: what comes and goes is no queue of ours."""
        return min(max(0.0, self._mean + self._short.value), self.base)

    def take(self, sample: Sample) -> None:
        """Learn from a sample; one that cannot be is left out."""
        if not sample.possible or sample.at <= self._at:
            return
        self._at, self._shared = sample.at, sample.shared
        self._rates.add(sample.at, sample.rate, max(_RATE_FOR, _PROBE * sample.rtt))
        self._short.add(sample.at, -sample.rtt, _RATE_FOR)
        self._mean += (sample.rtt - self._mean) / _MEAN_OF if self._mean else sample.rtt
        self._mean_rate += (sample.rate - self._mean_rate) / _MEAN_OF
        self._note_base(sample)
        self._note_use(sample)
        if sample.at - sample.rtt >= self._round_at:
            self._rtts.append((sample.at, sample.rtt))
            while len(self._rtts) > _SURE and sample.at - self._rtts[1][0] > _SURE_FOR:
                self._rtts.popleft()
            self._adapt(sample)

    def _note_base(self, sample: Sample) -> None:
        if not self.base:
            self.base = self._probed = sample.rtt
        if sample.rtt <= self.base * _NEAR + 0.001:
            self._near_at = sample.at
        self.base = min(self.base, sample.rtt)

    def _note_use(self, sample: Sample) -> None:
        """A window that is not used up says nothing of the line: no doubts, and no probe."""
        if sample.limited:
            self._limited_at = sample.at
        elif sample.at - self._limited_at > _IN_USE:
            self._near_at = self._fine_at = sample.at
            self._probed = self.base
            if self._probe is not None:
                self._size, self._probe = self._probe.size, None

    def _adapt(self, sample: Sample) -> None:
        queued = self._delay - self.base
        if queued <= self.allowed and self._probe is None:
            self._fine_at, self._fine_size = sample.at, self._size
        if self._probe is not None:
            self._end_probe(sample, self._probe)
        elif self._doubtful(sample):
            self._begin_probe(sample, self._size)
        elif queued < self.allowed / 2:
            if sample.limited:
                self._follow(sample)
        else:
            if sample.limited:
                self._ahead = _AHEAD
            if queued > self.allowed and self._sure and queued * self._rates.value > self._least * _LEAST_PART:
                self._shrink(sample)

    @property
    def _delay(self) -> float:
        """The round trip with the window as it is."""
        return min(rtt for _, rtt in self._rtts)

    @property
    def _sure(self) -> bool:
        return len(self._rtts) >= _SURE and self._rtts[-1][0] - self._rtts[0][0] >= _SURE_FOR

    def _follow(self, sample: Sample) -> None:
        """Be ahead of the rate. Where losses keep that down it takes more window, as what follows a lost packet waits
        until that was repeated: in small steps, with time between them in which a queue would show.
        """
        ahead = self._rates.value * self.base * self._ahead
        enough = max(self._mean_rate * self.wanted * _LOSSY_AHEAD, FIRST)
        if ahead > self._size:
            self._set(ahead, sample)
            self._ahead = min(self._ahead * _FASTER, max(self._ahead, _MOST_AHEAD))
        elif sample.at - self._changed_at > _LAG * sample.rtt and self._size < enough:
            self._set(min(self._size * self.wanted / sample.rtt, enough), sample)

    def _shrink(self, sample: Sample) -> None:
        fits = max(self._rates.value * self.wanted, self._least)
        if fits < 0.95 * self._size:
            self._set(fits, sample)
            self._begin_round(sample)

    def _doubtful(self, sample: Sample) -> bool:
        """Whether the base delay was not met for long, is exceeded whatever the window, or has just become shorter."""
        return (
            sample.at - self._near_at > self._probe_after
            or (sample.at - self._fine_at > _LAG * sample.rtt and sample.at - self._changed_at > _PROBE * sample.rtt)
            or self.base < self._probed * _SHORTER - 0.001
        )

    def _begin_probe(self, sample: Sample, size: float) -> None:
        self._probe = _Probe(sample.at, size, sample.rate)
        self._size = max(self._size / 2, self._least / 2)
        self._begin_round(sample)

    def _end_probe(self, sample: Sample, probe: _Probe) -> None:
        if sample.at - probe.at < _PROBE * sample.rtt or not self._sure:
            return
        if sample.rate > 0.9 * probe.rate and self._size > self._least / 2:
            self._begin_probe(sample, probe.size)  # half is still enough, and in the queue still
            return
        self._probe = None
        size = min(probe.size, max(probe.rate, sample.rate) * self.wanted)
        if sample.rate < 0.75 * probe.rate and self._delay > self.base + self.allowed:
            self.base, self._ahead = self._delay, _MOST_AHEAD
            size = max(probe.size, self._fine_size)
        self._probe_after = _PROBE_SOON if self.base < self._probed * _SHORTER else _PROBE_EVERY
        self._probed = self.base
        self._near_at = self._fine_at = sample.at
        self._set(size, sample)
        self._begin_round(sample)

    def _set(self, size: float, sample: Sample) -> None:
        self._size = min(max(size, self._least), MOST)
        self._changed_at = sample.at

    def _begin_round(self, sample: Sample) -> None:
        """Only what is sent from now on shows what the window does."""
        self._round_at = sample.at
        self._rtts.clear()
