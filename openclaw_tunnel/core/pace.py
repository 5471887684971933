"""How fast a tunnel may dial again: eager after a connection that lasted, calm with a server that accepts and drops."""

from collections import deque

from openclaw_tunnel.core.backoff import Delays
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.retry import Cause

_HUNG_UP = frozenset({Code.NOT_SSH, Code.LOST, Code.KEEPALIVE_TIMEOUT})
"""Failures of a server that answers and does not keep the connection."""

_COSTS_A_LOGIN = _HUNG_UP | {Code.AGENT_UNREACHABLE, Code.PROXY_DENIED, Code.BUG}
"""Passing failures behind which there may be a login that the server refused: it may count those."""

_AWAY = frozenset({Code.DNS, Code.TIMEOUT, Code.NO_ROUTE})
"""Failures of a network that is not there: dialling again costs the server nothing."""

_TENTH = 10.0
"""A wait after a loss is at most the life of the connection divided by this ..."""

_LEAST = 1.0
"""... or so many seconds, whichever is more ..."""

_SPARED = 3
"""... for so many tries."""

_STOPS_WINDOW = 300.0
"""Where dials end in FAILED within so many seconds ..."""

_STOPS_FREE = 3
"""... more often than this, the next one has to wait, whatever seems to be a reason for it ..."""

_REST, _LONGEST_REST = 5.0, 60.0
"""... so many seconds, doubled with each, and at most so many."""


class Pace:
    """The failed tries of one tunnel, and what follows from them.

    A waiting client may cut the backoff short, which is what brings a tunnel back the moment the network does. With a
    server that accepts and drops, the same haste would be one useless login a second, for ever: there the time between
    two dials doubles, whoever waits.

    A dial that ended in FAILED is made again when something changes that could make a difference, and when a person
    waits. A file that another program rewrites all the time, a network that flaps and a script that waits in a loop
    look the same; so dials that keep ending there become rare too.

    Attributes:
        tries: failed or lost connections in a row; forgotten with a connection that lasts ``policy.stable_after``.
        stops: dials in a row that ended in FAILED for the same cause.
        flapping: ``policy.flap_losses`` connections or more that did not last, within ``policy.flap_window``.
    """

    def __init__(self, policy: Policy, delays: Delays) -> None:
        """Nothing has failed yet."""
        self._policy = policy
        self._delays = delays
        self._drops = self._steps = 0
        self._longest = float("inf")
        self._recent: deque[float] = deque()
        self._stopped: deque[float] = deque()
        self._changed_after: deque[float] = deque()
        self._last_dial = float("-inf")
        self._connected_at: float | None = None
        self._cause = Cause.PASSING
        self._accepted = False
        self.tries = self.stops = 0
        self.flapping = False

    def dialled(self, now: float) -> None:
        """A dial begins."""
        self._last_dial = now

    def connected(self, now: float) -> None:
        """A connection is there; one that takes over from another goes on with its life."""
        self._accepted = True
        self.stops = 0
        self._stopped.clear()
        if self._connected_at is None:
            self._connected_at = now

    def failed(self, failure: Failure, now: float, *, hurried: bool = False) -> None:
        """A dial failed, or the connection was lost.

        Args:
            hurried: the dial was made because somebody waited: it does not make the next wait longer.
        """
        self._end_life(now)
        if failure.code in _HUNG_UP:
            self._recent.append(now)
        if failure.code in _COSTS_A_LOGIN:
            self._drops += 1
        elif failure.code in _AWAY:
            self._drops = 0
        self.tries += 1
        self._steps += not hurried
        self.look(now)

    def stopped(self, failure: Failure, now: float) -> float | None:
        """A dial has ended in FAILED: seconds until the next one if nothing changes; None: not at all."""
        self._stopped.append(now)
        self.stops = self.stops + 1 if failure.cause is self._cause else 1
        self._cause = failure.cause
        wait = failure.plan.wait(self.stops, accepted=self._accepted)
        return None if wait is None else max(wait, self.rest)

    def begin_again(self) -> None:
        """A person wants another try: what follows from it is as after the first one."""
        self.stops = 0

    def woke(self) -> None:
        """The computer was asleep, or something else has changed: whatever the server did before, it gets a fresh
        start."""
        self._drops = 0

    def changed(self, now: float) -> None:
        """Something that the dial depends on changed: a fresh start, unless that comes after each of the last dials."""
        _forget(self._changed_after, now - _STOPS_WINDOW)
        if self._last_dial not in self._changed_after:
            self._changed_after.append(self._last_dial)
        if len(self._changed_after) <= _STOPS_FREE:
            self._drops = 0

    def look(self, now: float) -> None:
        """Let the time that has passed count."""
        _forget(self._recent, now - self._policy.flap_window)
        _forget(self._stopped, now - _STOPS_WINDOW)
        self.flapping = len(self._recent) >= self._policy.flap_losses

    def retry_delay(self) -> float:
        """Seconds until the next dial if nothing hurries it; never less than half the gap where it flaps."""
        least = self._gap() / 2 if self._drops >= self._policy.flap_losses else 0.0
        delay = max(self._delays(max(self._steps, 1)), least)
        return min(delay, self._longest) if self._steps <= _SPARED else delay

    def since_dial(self, now: float) -> float:
        """Seconds since the last dial began."""
        return now - self._last_dial

    def hurried_delay(self, now: float) -> float:
        """Seconds until the next dial if somebody waits for it; 0 or less: now."""
        return self._gap() - self.since_dial(now)

    @property
    def rest(self) -> float:
        """Seconds between two dials, at least, where the ones before ended in FAILED; 0.0 after the first few."""
        many = len(self._stopped) - _STOPS_FREE
        return min(_REST * 2.0 ** (many - 1), _LONGEST_REST) if many > 0 else 0.0

    def _end_life(self, now: float) -> None:
        """A connection that lasted is forgotten with all that was before it, and bounds the waits that follow."""
        if self._connected_at is None:
            return
        lived, self._connected_at = now - self._connected_at, None
        if lived >= self._policy.stable_after:
            self.tries = self._steps = self._drops = 0
            self._longest = max(_LEAST, lived / _TENTH)
        else:
            self._longest = float("inf")

    def _gap(self) -> float:
        """Seconds between the beginnings of two dials: doubled with each connection that did not last, from the third
        on."""
        doublings = min(max(0, self._drops - 2), 32)
        return min(self._policy.dial_gap * 2.0**doublings, max(self._policy.dial_gap, self._policy.backoff_max))


def _forget(times: deque[float], until: float) -> None:
    while times and times[0] <= until:
        times.popleft()
