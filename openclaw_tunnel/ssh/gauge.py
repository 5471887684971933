"""How long bytes are under way, and how many get through: pings among the bytes of a connection that carries much.

The answer to a ping comes when the server has read everything that was sent before it, and behind everything that the
server has sent. So it shows, on any system and behind any proxy, what has arrived and how long the queues are.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from openclaw_tunnel.core.window import Sample, Window

_EVERY_BYTES = 64 << 10
_LEAST_SPACING, _MOST_SPACING = 0.005, 0.050  # seconds between pings
_AT_ONCE = 8
_PAUSE = 1.0  # seconds without a ping, after which what was before says nothing about the rate
_FULL = 0.6  # of a window in one round trip: it was used up


@dataclass(frozen=True, slots=True)
class Counts:
    """Bytes handed to the connection and received from it so far."""

    sent: int
    received: int


class Gauge:
    """Pings while there is something to measure, and feeds the windows.

    Args:
        ask: sends a ping; calls its argument when the answer is there, or never.
        counts: what was carried so far.
        down: the window of what the far ends may send.
        up: that of what may be sent; None where the system shows more of it than pings.
        on_answer: called with the bytes that the server has got for certain.
        limited_at: when sending was last held back by its window, in seconds.
        held_back: whether the far ends are held back by theirs.
    """

    def __init__(
        self,
        ask: Callable[[Callable[[], None]], None],
        counts: Callable[[], Counts],
        down: Window,
        up: Window | None,
        *,
        on_answer: Callable[[int], None],
        limited_at: Callable[[], float],
        held_back: Callable[[], bool],
    ) -> None:
        self._ask = ask
        self._counts = counts
        self._up, self._down = up, down
        self._on_answer = on_answer
        self._limited_at = limited_at
        self._held_back = held_back
        self._loop = asyncio.get_running_loop()
        self._under_way = 0
        self._most = _AT_ONCE if up is None else 1  # sending, each answer would wait for the one before
        self._asked_at = 0.0
        self._mark = 0
        self._spacing = _LEAST_SPACING
        self._history: deque[tuple[float, int, int]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def ping(self) -> None:
        """Ask now."""
        counts, began = self._counts(), self._loop.time()
        if not self._under_way and began - self._asked_at > _PAUSE:
            self._history.clear()
        self._asked_at, self._mark = began, self._total(counts)
        self._under_way += 1
        self._ask(lambda: self._answer(began, counts.sent))

    def moved(self, *, urgent: bool = False) -> None:
        """Something was carried; called often, so it is cheap.

        Args:
            urgent: clients wait for the next answer.
        """
        fresh = self._total(self._counts()) - self._mark
        if self._timer is not None or self._under_way >= self._most or not fresh:
            return
        if fresh < _EVERY_BYTES and not (urgent and not self._under_way):
            return
        wait = self._asked_at + self._spacing - self._loop.time()
        if wait <= 0:
            self.ping()
        else:
            self._timer = self._loop.call_later(wait, self._timed)

    def close(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._most = 0

    def _total(self, counts: Counts) -> int:
        """Bytes whose way pings show."""
        return counts.received + (counts.sent if self._up is not None else 0)

    def _timed(self) -> None:
        self._timer = None
        self.ping()

    def _answer(self, began: float, sent: int) -> None:
        self._under_way -= 1
        now = self._loop.time()
        rtt = max(now - began, 1e-6)
        self._spacing = min(max(rtt / 6, _LEAST_SPACING), _MOST_SPACING)
        received = self._counts().received
        self._history.append((now, sent, received))
        then, sent_then, received_then = self._a_round_trip_ago(now, rtt)
        seconds = now - then
        up, down = ((sent - sent_then) / seconds, (received - received_then) / seconds) if seconds > 0 else (0.0, 0.0)
        if self._up is not None:
            limited = up > 0 and now - self._limited_at() < rtt + self._spacing
            self._up.take(Sample(now, rtt, up, limited, self._spacing))
        full = down > 0 and (self._held_back() or down * rtt >= _FULL * self._down.size)
        self._down.take(Sample(now, rtt, down, full))
        self._on_answer(sent)
        self.moved()

    def _a_round_trip_ago(self, now: float, rtt: float) -> tuple[float, int, int]:
        """The latest entry that is at least as old, and 20 ms."""
        old = now - max(rtt, 0.020)
        while len(self._history) > 1 and self._history[1][0] <= old:
            self._history.popleft()
        return self._history[0]
