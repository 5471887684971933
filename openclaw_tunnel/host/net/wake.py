"""Has the computer been asleep? One of its clocks stands still in sleep and another runs on.

On Linux these are CLOCK_MONOTONIC and CLOCK_BOOTTIME (clock_gettime(2)), on macOS CLOCK_UPTIME_RAW and
CLOCK_MONOTONIC_RAW (clock_gettime(3): "in the same manner as CLOCK_MONOTONIC_RAW, but that does not increment while
the system is asleep"; not tried on a Mac). Both of a pair run at one rate, and neither follows the time of day: who
sets the clock does not wake anybody. ``time.monotonic`` is the first of its pair today, but no promise of Python:
python/cpython#86273 means to change it on macOS. A virtual machine that its host pauses has both clocks stopped, which
does not show here.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

SHORTEST = 1.5
"""Seconds. Less is not taken for sleep: a process can be held up between the readings of the two clocks."""

Clock = Callable[[], float]


class Reading(NamedTuple):
    """What both clocks show at one moment, in seconds."""

    awake: float
    always: float


class Clocks(NamedTuple):
    """Two clocks that give seconds: ``awake`` stands still while the computer sleeps, ``always`` runs on."""

    awake: Clock
    always: Clock

    def read(self) -> Reading:
        """What they show now."""
        return Reading(self.awake(), self.always())


def slept(before: Reading, now: Reading) -> float | None:
    """How many seconds the computer slept between two readings; None if it did not, or for less than ``SHORTEST``."""
    seconds = (now.always - before.always) - (now.awake - before.awake)
    return seconds if seconds >= SHORTEST else None


def system_clocks(platform: str = sys.platform) -> Clocks:
    """The clocks of this computer; where it has no such pair, one clock twice, which never shows any sleep."""
    names = (
        ("CLOCK_UPTIME_RAW", "CLOCK_MONOTONIC_RAW") if platform == "darwin" else ("CLOCK_MONOTONIC", "CLOCK_BOOTTIME")
    )
    try:
        clocks = Clocks(*(_clock(getattr(time, name)) for name in names))
        clocks.read()
    except (AttributeError, OSError):
        return Clocks(time.monotonic, time.monotonic)
    return clocks


def _clock(number: int) -> Clock:
    return lambda: time.clock_gettime(number)


class WakeWatch:
    """Compares the clocks once a second, on the running event loop, and says when the computer has woken up.

    The event loop's own clock stands still in sleep or jumps over it; either way the next comparison comes at most
    ``every`` seconds after the end of the sleep.

    Args:
        on_wake: called with the seconds that the computer slept.
        clocks: None: those of this computer.
        every: seconds between two comparisons.
    """

    def __init__(self, on_wake: Callable[[float], None], *, clocks: Clocks | None = None, every: float = 1.0) -> None:
        self._on_wake = on_wake
        self._clocks = clocks or system_clocks()
        self._every = every
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch, in the running event loop; idempotent."""
        if self._timer is None:
            self._wait(self._clocks.read())

    def close(self) -> None:
        """Watch no longer; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, reading: Reading) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._compare, reading)

    def _compare(self, before: Reading) -> None:
        now = self._clocks.read()
        self._wait(now)
        seconds = slept(before, now)
        if seconds is not None:
            self._on_wake(seconds)
