"""One tunnel as a machine: an event in, commands out.

It holds no clock and awaits nothing: ``now`` comes in as an argument, what shall happen goes out as
commands, and every command that takes time is answered by a later event. The moves are those of
``core.states.TRANSITIONS``; what an event means in a state without such a move is decided here.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.backoff import Delays
from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import LINK_STATES, State, Trigger, next_state

Commands = tuple[do.Command, ...]
NOTHING: Commands = ()


class Machine:
    """The state of one tunnel and the rules that move it.

    Attributes:
        state: where it stands; changed by :meth:`handle` only.
        attempt: number of the current dial, counted from 1; 0 before the first.
        tries: failed or lost connections in a row; forgotten after ``policy.stable_after`` of UP.
        failure: what the present state is about; None while connecting for the first time, verifying or up.
        connects, losses: counted since the machine was made.
        flapping: ``policy.flap_losses`` losses or more within ``policy.flap_window``.
    """

    def __init__(
        self,
        policy: Policy,
        delays: Delays,
        *,
        on_change: Callable[[State, State], None] = lambda old, new: None,
    ) -> None:
        """Make a stopped machine.

        Args:
            delays: seconds before the next dial, by the number of failed tries in a row.
            on_change: called with the old and the new state after each move.
        """
        self._policy = policy
        self._delays = delays
        self._on_change = on_change
        self._recent_losses: deque[float] = deque()
        self._misses = 0
        self._probing = False
        self._doubt = False
        self._last_dial = float("-inf")
        self.state = State.STOPPED
        self.attempt = 0
        self.tries = 0
        self.failure: Failure | None = None
        self.connects = 0
        self.losses = 0
        self.flapping = False

    def handle(self, event: ev.Event, now: float) -> Commands:
        """Take an event, return what shall be done, in order.

        Args:
            now: seconds on any clock that never goes back.
        """
        if getattr(event, "attempt", self.attempt) != self.attempt:
            return NOTHING
        self._note_flapping(now)
        return _HANDLERS[type(event)](self, event, now)

    # What the user asks for

    def _start(self, _: ev.StartRequested, now: float) -> Commands:
        if self.state in (State.STOPPED, State.FAILED):
            return self._dial(Trigger.START, now)
        if self.state is State.BACKOFF:
            return self._dial(Trigger.RETRY, now)
        return NOTHING

    def _stop(self, _: ev.StopRequested, now: float) -> Commands:
        if self.state in (State.STOPPED, State.STOPPING):
            return NOTHING
        if self._move(Trigger.STOP) is State.STOPPED:
            return (do.CancelTimers(),)
        return (do.CancelTimers(), do.CloseConnection(self.attempt))

    def _restart(self, _: ev.RestartRequested, now: float) -> Commands:
        if self.state in LINK_STATES:
            return (do.CloseConnection(self.attempt), *self._dial(Trigger.RESTART, now))
        if self.state in (State.BACKOFF, State.FAILED):
            return self._dial(Trigger.RESTART, now)
        return NOTHING

    # What becomes of a connection

    def _connected(self, event: ev.Connected, now: float) -> Commands:
        if self.state is not State.CONNECTING:
            return NOTHING
        self.connects += 1
        self.failure = None
        self._misses = 0
        self._move(Trigger.CONNECTED)
        return self._probe()

    def _connect_failed(self, event: ev.ConnectFailed, now: float) -> Commands:
        if self.state is not State.CONNECTING:
            return NOTHING
        return self._fall_back(event.failure, Trigger.TRANSIENT_FAILURE)

    def _lost(self, event: ev.ConnectionLost, now: float) -> Commands:
        if self.state not in LINK_STATES:
            return NOTHING
        self.losses += 1
        self._recent_losses.append(now)
        self._note_flapping(now)
        return self._fall_back(event.failure, Trigger.LOST)

    def _closed(self, _: ev.ConnectionClosed, now: float) -> Commands:
        if self.state is State.STOPPING:
            self.failure = None
            self._move(Trigger.CLOSED)
        return NOTHING

    # What the probe says

    def _probe_passed(self, _: ev.ProbePassed, now: float) -> Commands:
        self._probing = False
        if self.state not in LINK_STATES:
            return NOTHING
        self._misses = 0
        self.failure = None
        delay = self._policy.probe_retry if self._doubt else self._policy.probe_interval
        self._doubt = False
        again = do.StartTimer(do.Timer.PROBE, delay, self.attempt)
        if self.state is State.UP:
            return (again,)
        self._move(Trigger.PROBE_PASSED)
        return (do.StartTimer(do.Timer.STABLE, self._policy.stable_after, self.attempt), again)

    def _probe_failed(self, event: ev.ProbeFailed, now: float) -> Commands:
        self._probing = False
        if self.state not in LINK_STATES:
            return NOTHING
        self._misses += 1
        if event.failure.permanent and self.state is State.VERIFYING:
            return (*self._fall_back(event.failure, Trigger.LOST), do.CloseConnection(self.attempt))
        if self._misses >= self._policy.probe_failures:
            self.failure = event.failure
            if self.state is not State.DEGRADED:
                self._move(Trigger.PROBE_FAILED_TOO_OFTEN)
        degraded = self.state is State.DEGRADED
        delay = self._policy.probe_degraded if degraded else self._policy.probe_retry
        return (do.StartTimer(do.Timer.PROBE, delay, self.attempt),)

    def _gateway_in_doubt(self, _: ev.GatewayInDoubt, now: float) -> Commands:
        if self.state is not State.UP:
            return NOTHING
        self._doubt = self._probing  # the probe that runs may have looked before whatever it was happened
        return self._probe()

    # What the clocks and the world say

    def _probe_due(self, _: ev.ProbeDue, now: float) -> Commands:
        return self._probe() if self.state in LINK_STATES else NOTHING

    def _stability_reached(self, _: ev.StabilityReached, now: float) -> Commands:
        if self.state is State.UP:
            self.tries = 0
        return NOTHING

    def _retry_due(self, _: ev.RetryDue, now: float) -> Commands:
        return self._dial(Trigger.RETRY, now) if self.state is State.BACKOFF else NOTHING

    def _client_waiting(self, _: ev.ClientWaiting, now: float) -> Commands:
        return self._hurry(now) if self.state is State.BACKOFF else NOTHING

    def _surroundings_changed(self, _: ev.Woke | ev.NetworkChanged, now: float) -> Commands:
        if self.state is State.BACKOFF:
            return self._hurry(now)
        return self._probe() if self.state in LINK_STATES else NOTHING

    def _files_changed(self, _: ev.FilesChanged, now: float) -> Commands:
        return self._dial(Trigger.FILES_CHANGED, now) if self.state is State.FAILED else NOTHING

    # Steps that several events share

    def _move(self, trigger: Trigger) -> State:
        old, self.state = self.state, next_state(self.state, trigger)
        self._on_change(old, self.state)
        return self.state

    def _dial(self, trigger: Trigger, now: float) -> Commands:
        self.attempt += 1
        self._last_dial = now
        self._probing = False
        self._move(trigger)
        return (do.CancelTimers(), do.OpenConnection(self.attempt))

    def _hurry(self, now: float) -> Commands:
        wait = self._last_dial + self._policy.dial_gap - now
        if wait <= 0:
            return self._dial(Trigger.RETRY, now)
        return (do.StartTimer(do.Timer.RETRY, wait, self.attempt),)

    def _fall_back(self, failure: Failure, trigger: Trigger) -> Commands:
        self.tries += 1
        self.failure = failure
        self._probing = False
        if failure.permanent:
            self._move(Trigger.PERMANENT_FAILURE)
            return (do.CancelTimers(),)
        retry = do.StartTimer(do.Timer.RETRY, self._delays(self.tries), self.attempt)
        self._move(trigger)
        return (do.CancelTimers(), retry)

    def _probe(self) -> Commands:
        if self._probing:
            return NOTHING
        self._probing = True
        return (do.RunProbe(self.attempt),)

    def _note_flapping(self, now: float) -> None:
        while self._recent_losses and self._recent_losses[0] <= now - self._policy.flap_window:
            self._recent_losses.popleft()
        self.flapping = len(self._recent_losses) >= self._policy.flap_losses


_HANDLERS: dict[type, Callable[[Machine, Any, float], Commands]] = {
    ev.StartRequested: Machine._start,
    ev.StopRequested: Machine._stop,
    ev.RestartRequested: Machine._restart,
    ev.Connected: Machine._connected,
    ev.ConnectFailed: Machine._connect_failed,
    ev.ConnectionLost: Machine._lost,
    ev.ConnectionClosed: Machine._closed,
    ev.ProbePassed: Machine._probe_passed,
    ev.ProbeFailed: Machine._probe_failed,
    ev.GatewayInDoubt: Machine._gateway_in_doubt,
    ev.ProbeDue: Machine._probe_due,
    ev.StabilityReached: Machine._stability_reached,
    ev.RetryDue: Machine._retry_due,
    ev.ClientWaiting: Machine._client_waiting,
    ev.Woke: Machine._surroundings_changed,
    ev.NetworkChanged: Machine._surroundings_changed,
    ev.FilesChanged: Machine._files_changed,
}
