"""How fast a tunnel may dial again: eager while the network is away, calm with a server that keeps hanging up."""

from collections import deque

from openclaw_tunnel.core.backoff import Delays
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.policy import Policy

_HUNG_UP = frozenset({Code.NOT_SSH, Code.LOST, Code.KEEPALIVE_TIMEOUT})
"""Failures of a server that answers and does not keep the connection."""

_AWAY = frozenset({Code.DNS, Code.TIMEOUT, Code.NO_ROUTE})
"""Failures of a network that is not there: dialling again costs the server nothing."""


class Pace:
    """The failed tries of one tunnel, and what follows from them.

    A waiting client may cut the backoff short, which is what brings a tunnel back the moment the network does. With a
    server that accepts and drops, the same haste would be one useless login a second, for ever: there the time between
    two dials doubles, whoever waits.

    Attributes:
        tries: failed or lost connections in a row; forgotten after ``policy.stable_after`` of UP.
        flapping: ``policy.flap_losses`` connections or more that did not last, within ``policy.flap_window``.
    """

    def __init__(self, policy: Policy, delays: Delays) -> None:
        """Nothing has failed yet."""
        self._policy = policy
        self._delays = delays
        self._drops = 0
        self._recent: deque[float] = deque()
        self._last_dial = float("-inf")
        self.tries = 0
        self.flapping = False

    def dialled(self, now: float) -> None:
        """A dial begins."""
        self._last_dial = now

    def failed(self, failure: Failure, now: float) -> None:
        """A dial failed, or a connection was lost."""
        if failure.code in _HUNG_UP:
            self._drops += 1
            self._recent.append(now)
        elif failure.code in _AWAY:
            self._drops = 0
        self.tries += 1
        self.look(now)

    def forget(self) -> None:
        """The tunnel has been up for long enough."""
        self.tries = self._drops = 0

    def woke(self) -> None:
        """The computer was asleep: whatever the server did before, it gets a fresh start."""
        self._drops = 0

    def look(self, now: float) -> None:
        """Let the time that has passed count."""
        while self._recent and self._recent[0] <= now - self._policy.flap_window:
            self._recent.popleft()
        self.flapping = len(self._recent) >= self._policy.flap_losses

    def retry_delay(self) -> float:
        """Seconds until the next dial if nothing hurries it; never less than half the gap where it flaps."""
        least = self._gap() / 2 if self._drops >= self._policy.flap_losses else 0.0
        return max(self._delays(self.tries), least)

    def since_dial(self, now: float) -> float:
        """Seconds since the last dial began."""
        return now - self._last_dial

    def hurried_delay(self, now: float) -> float:
        """Seconds until the next dial if somebody waits for it; 0 or less: now."""
        return self._gap() - self.since_dial(now)

    def _gap(self) -> float:
        """Seconds between the beginnings of two dials: doubled with each connection that did not last, from the third
        on."""
        doublings = min(max(0, self._drops - 2), 32)
        return min(self._policy.dial_gap * 2.0**doublings, max(self._policy.dial_gap, self._policy.backoff_max))
