"""How many bytes may be under way: a window sized by the delay that it causes. Pure.

A line that is full keeps what it is sent in a queue, and everything that comes later waits behind it: megabytes on a
home's uplink, seconds. Losses show too late that it is full; the round trip time shows it at once, as in LEDBAT
(RFC 6817) and BBR. The smallest round trip seen is the line itself, the base delay; what a round trip takes beyond it
was spent in queues.

A window may be used up and the delay small: it grows, and finds the line's rate. The delay is larger than allowed: what
got through meanwhile is the line's rate, and rate times allowed round trip is the window that fits. A window that is
not used up says nothing, and stays.
"""

import math
from collections import deque
from dataclasses import dataclass

LEAST = 64 << 10
"""Bytes: the smallest window. Lines with losses need some packets under way to recover quickly."""

MOST = 16 << 20
"""Bytes: the largest window, enough for 1 Gbit/s over 130 ms."""

FIRST = 128 << 10
"""Bytes: the window of a line of which nothing is known."""

PINGS = 3

_GROWTH, _MOST_GROWTH = 1.25, 2.0  # by how much a window grows in one step, the first time and after several in a row
_LATER = 10  # round trips until a window that was no use is tried again
_RISING = 1.25  # a rate that has risen so much since the last step has not reached the line's
_REST = 1.0  # seconds after which a window that was not used up is as good as new
_RATES = 4  # round trips: the highest rate of so many counts
_TEST_AFTER = 6  # round trips for which the delay stays too long whatever the window is
_TEST_EVERY = 30.0  # seconds without a round trip near the base delay
_TEST = 2  # round trips that a test takes
_NEAR, _FAR = 1.1, 0.8  # of the base delay


@dataclass(frozen=True, slots=True)
class Sample:
    """What one answered ping shows of one direction.

    Attributes:
        at: seconds, on a clock that only moves forward.
        rtt: seconds that the answer took.
        rate: bytes per second that got through lately, over a round trip or more.
        limited: the window was used up meanwhile: more would have been sent.
        spacing: seconds between two such samples: for so long nobody knows that bytes have arrived.
    """

    at: float
    rtt: float
    rate: float
    limited: bool
    spacing: float = 0.0


@dataclass(frozen=True, slots=True)
class _Test:
    """The window is half of what it was: is the delay a queue of ours, which gets shorter, or is the line so long?"""

    at: float
    window: float
    rate: float
    delay: float


class Window:
    """The window of one direction of one connection.

    Attributes:
        base: seconds: the round trip on the empty line; 0 as long as nothing is known.
    """

    def __init__(self, *, first: int = FIRST, least: int = LEAST, most: int = MOST, pings: int = PINGS) -> None:
        """Begin with ``first`` bytes, never less than ``least`` or more than ``most``.

        Args:
            pings: the smallest of so many round trips counts: a single late answer is no queue.
        """
        self.base = 0.0
        self._size = float(first)
        self._least, self._most = least, most
        self._rtts: deque[float] = deque(maxlen=pings)
        self._rates: deque[tuple[float, float]] = deque()
        self._growth = _MOST_GROWTH
        self._changed_at = -math.inf
        self._last_rate = 0.0
        self._try_at = -math.inf
        self._limited_at = -math.inf
        self._near_at = -math.inf
        self._fine_at = -math.inf
        self._fine_size = self._size
        self._test: _Test | None = None

    @property
    def size(self) -> int:
        """Bytes that may be under way."""
        return int(self._size)

    @property
    def allowed(self) -> float:
        """Seconds that bytes may wait in queues: a quarter of the base delay, and what scheduling costs."""
        return self.base / 4 + min(max(2 * self.base, 0.001), 0.005)

    def take(self, sample: Sample) -> None:
        """Learn from a sample."""
        if sample.limited:
            if sample.at - self._limited_at > _REST:
                self._near_at = self._fine_at = sample.at
            self._limited_at = sample.at
        if not self.base or (sample.at - self._limited_at > _REST and self._test is None):
            self._begin_again(sample)
            return
        self._note_rate(sample)
        if sample.at - sample.rtt < self._changed_at + self.base:
            return  # was asked before the window was in use as it is
        self._rtts.append(sample.rtt)
        self._note_delay(sample)
        if self._test is not None:
            self._end_test(sample, self._test)
        elif len(self._rtts) == self._rtts.maxlen:
            self._adapt(sample)

    @property
    def _delay(self) -> float:
        """The round trip with the window as it is."""
        return min(self._rtts)

    @property
    def _queued(self) -> float:
        """Seconds of it beyond the base delay."""
        return self._delay - self.base

    def _begin_again(self, sample: Sample) -> None:
        """The window is not used up: nothing is known of what it does."""
        self.base = min(self.base or sample.rtt, sample.rtt)
        self._near_at = self._fine_at = self._changed_at = sample.at
        self._last_rate = 0.0
        self._rtts.clear()
        self._rates.clear()

    def _note_rate(self, sample: Sample) -> None:
        self._rates.append((sample.at, sample.rate))
        while sample.at - self._rates[0][0] > _RATES * max(sample.rtt, self.base):
            self._rates.popleft()

    def _note_delay(self, sample: Sample) -> None:
        if sample.rtt < self.base * _FAR:
            self._near_at = -math.inf  # shorter than ever seen, and with a queue: a test shows how short the line is
        elif sample.rtt <= self.base * _NEAR + 0.001 and self._near_at > -math.inf:
            self._near_at = sample.at
        self.base = min(self.base, sample.rtt)
        if self._queued <= self.allowed + sample.spacing:
            self._fine_at, self._fine_size = sample.at, self._size

    def _adapt(self, sample: Sample) -> None:
        if sample.at - self._near_at > _TEST_EVERY or sample.at - self._fine_at > _TEST_AFTER * self._delay:
            self._test = _Test(sample.at, self._size, sample.rate, self._delay)
            self._size, self._changed_at = self._size / 2, sample.at
            self._rtts.clear()
        elif self._queued > self.allowed + sample.spacing:
            self._shrink(sample)
        elif self._queued < self.allowed / 2:
            if sample.limited:
                self._grow(sample)
        else:
            self._growth = _GROWTH

    def _grow(self, sample: Sample) -> None:
        """Unless the last step was no use: then the line's rate is reached, and more would only stand in its queue."""
        if sample.rate > self._last_rate * (1 + (self._growth - 1) / 3) or sample.at > self._try_at:
            self._try_at = sample.at + _LATER * self._delay
            self._set(self._size * self._growth, sample)
            self._growth = min(self._growth * _GROWTH, _MOST_GROWTH)
        else:
            self._growth = _GROWTH

    def _shrink(self, sample: Sample) -> None:
        """Unless the rate rises still: then it is TCP that starts slowly, and what waits will not wait for long."""
        rate = max(rate for _, rate in self._rates)
        fits = rate * (self.base + 0.75 * self.allowed + sample.spacing)
        if sample.rate > _RISING * self._last_rate:
            self._set(self._size, sample)
        elif fits < self._size:
            self._growth = _GROWTH
            self._set(fits, sample)

    def _end_test(self, sample: Sample, test: _Test) -> None:
        """With half the window, half of the rate got through: there was no queue, the line has become so long.

        Or others fill its queue, which is as good as longer. With another outcome the base delay is what it was.
        """
        if sample.at - test.at < _TEST * test.delay:
            return
        self._test = None
        size = test.window
        if sample.rate < 0.75 * test.rate and self._delay > 0.75 * test.delay:
            self.base, self._growth = self._delay, _MOST_GROWTH
            size = max(size, self._fine_size)
        self._near_at = self._fine_at = sample.at
        self._set(size, sample)

    def _set(self, size: float, sample: Sample) -> None:
        self._size = min(max(size, self._least), self._most)
        self._changed_at, self._last_rate = sample.at, sample.rate
        self._rtts.clear()
