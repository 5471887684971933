"""One tunnel as a machine: an event in, commands out.

It holds no clock and awaits nothing: ``now`` comes in as an argument, what shall happen goes out as
commands, and every command that takes time is answered by a later event. The moves are those of
``core.states.TRANSITIONS``; what an event means in a state without such a move is decided here.
"""

from collections.abc import Callable
from typing import Any

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.backoff import Delays
from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.pace import Pace
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import LINK_STATES, State, Trigger, next_state

Commands = tuple[do.Command, ...]
NOTHING: Commands = ()


class Machine:
    """The state of one tunnel and the rules that move it.

    Attributes:
        state: where it stands; changed by :meth:`handle` only.
        attempt: number of the dial that the state is about, counted from 1; 0 before the first.
        replacement: number of a second dial, made beside a connection that is in doubt; None while there is none.
        failure: what the present state is about; None while connecting for the first time, verifying or up.
        pace: failed tries in a row, and whether it flaps.
        connects, losses: counted since the machine was made.
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
        self._on_change = on_change
        self._dials = 0
        self._misses = 0
        self._probing = self._doubt = False
        self._checking = self._is_slow = self._shaken = self._slept = False
        self._probe_again: float | None = None
        self._redialled = self._outdated = False
        self.state = State.STOPPED
        self.attempt = 0
        self.replacement: int | None = None
        self.failure: Failure | None = None
        self.pace = Pace(policy, delays)
        self.connects = self.losses = 0

    def handle(self, event: ev.Event, now: float) -> Commands:
        """Take an event, return what shall be done, in order.

        Args:
            now: seconds on any clock that never goes back.
        """
        self.pace.look(now)
        attempt = getattr(event, "attempt", self.attempt)
        if attempt == self.attempt:
            return _HANDLERS[type(event)](self, event, now)
        if attempt == self.replacement:
            return self._about_replacement(event)
        return NOTHING

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
        self.failure = None
        if self._move(Trigger.STOP) is State.STOPPED:
            return (do.CancelTimers(),)
        return (do.CancelTimers(), *self._drop_replacement(), do.CloseConnection(self.attempt))

    def _restart(self, _: ev.RestartRequested, now: float) -> Commands:
        if self.state in LINK_STATES:
            return (*self._drop_replacement(), do.CloseConnection(self.attempt), *self._dial(Trigger.RESTART, now))
        if self.state in (State.BACKOFF, State.FAILED):
            return self._dial(Trigger.RESTART, now)
        return NOTHING

    # What becomes of a connection

    def _connected(self, event: ev.Connected, now: float) -> Commands:
        if self.state is not State.CONNECTING:
            return NOTHING
        self._made()
        self.failure = None
        self._move(Trigger.CONNECTED)
        return self._probe()

    def _connect_failed(self, event: ev.ConnectFailed, now: float) -> Commands:
        if self.state is not State.CONNECTING:
            return NOTHING
        return self._fall_back(event.failure, Trigger.TRANSIENT_FAILURE, now)

    def _lost(self, event: ev.ConnectionLost, now: float) -> Commands:
        if self.state not in LINK_STATES:
            return NOTHING
        self.losses += 1
        commands = self._fall_back(event.failure, Trigger.LOST, now)
        if self.replacement is None or self.state is not State.BACKOFF:
            return (*self._drop_replacement(), *commands)
        self.attempt, self.replacement = self.replacement, None  # its dial is under way already
        self._move(Trigger.RETRY)
        return (do.CancelTimers(), *(self._limit_dial(now) if self._outdated else NOTHING))

    def _closed(self, _: ev.ConnectionClosed, now: float) -> Commands:
        if self.state is State.STOPPING:
            self._move(Trigger.CLOSED)
        return NOTHING

    # Is it still there?

    def _stalled(self, _: ev.TrafficStalled, now: float) -> Commands:
        return self._check() if self.state in LINK_STATES else NOTHING

    def _slow(self, _: ev.ConnectionSlow, now: float) -> Commands:
        """A line may be busy: slowness alone is no reason to dial, after sleep or a network change it is."""
        self._is_slow = self._checking
        return self._replace(now) if self._is_slow and self._shaken else NOTHING

    def _answered(self, _: ev.ConnectionAnswered, now: float) -> Commands:
        if not self._checking:
            return NOTHING
        shaken, again = self._shaken, self._probe_again
        self._forget_check()
        if again is not None:
            return (*self._drop_replacement(), do.StartTimer(do.Timer.PROBE, again, self.attempt))
        return (*self._drop_replacement(), *(self._probe() if shaken else NOTHING))

    def _silent(self, event: ev.ConnectionSilent, now: float) -> Commands:
        """After sleep it is dead. Otherwise the network may come back, and long downloads get their chance."""
        if not self._checking:
            return NOTHING
        dead = do.CloseConnection(self.attempt)
        end = dead if self._slept else do.RetireConnection(self.attempt, self._policy.drain)
        return (end, *self._lost(ev.ConnectionLost(self.attempt, event.failure), now))

    def _about_replacement(self, event: ev.Event) -> Commands:
        """The second dial has ended: its connection takes over, or there is none."""
        if isinstance(event, ev.ConnectFailed):
            self.replacement = None
        if not isinstance(event, ev.Connected):
            return NOTHING
        old, self.attempt, self.replacement = self.attempt, event.attempt, None
        self._made()
        stable = do.StartTimer(do.Timer.STABLE, self._policy.stable_after, self.attempt)
        timers = (stable,) if self.state is State.UP else NOTHING
        return (do.CancelTimers(), do.RetireConnection(old, self._policy.check_timeout), *timers, *self._probe())

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
            commands = self._fall_back(event.failure, Trigger.LOST, now)
            return (*self._drop_replacement(), *commands, do.CloseConnection(self.attempt))
        if self._misses >= self._policy.probe_failures:
            self.failure = event.failure
            if self.state is not State.DEGRADED:
                self._move(Trigger.PROBE_FAILED_TOO_OFTEN)
        degraded = self.state is State.DEGRADED
        self._probe_again = self._policy.probe_degraded if degraded else self._policy.probe_retry
        return self._check()  # is it the gateway, or the line? It is asked again when the line has answered

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
            self.pace.forget()
        return NOTHING

    def _retry_due(self, _: ev.RetryDue, now: float) -> Commands:
        if self.state is State.BACKOFF:
            return self._dial(Trigger.RETRY, now)
        return self._redial(now) if self.state is State.CONNECTING else NOTHING

    def _client_waiting(self, _: ev.ClientWaiting, now: float) -> Commands:
        return self._hurry(now) if self.state is State.BACKOFF else NOTHING

    def _woke(self, _: ev.Woke, now: float) -> Commands:
        self._slept = True
        self.pace.woke()
        return self._redial(now) if self.state is State.CONNECTING else self._surroundings_changed(now, moved=False)

    def _network_changed(self, event: ev.NetworkChanged, now: float) -> Commands:
        """A dial under way may have begun on the old network: it gets its time, once, and is then begun anew."""
        if self.state is not State.CONNECTING:
            return self._surroundings_changed(now, moved=event.moved)
        return NOTHING if self._redialled else self._limit_dial(now)

    def _surroundings_changed(self, now: float, *, moved: bool) -> Commands:
        if self.state not in LINK_STATES:
            return self._client_waiting(ev.ClientWaiting(), now)
        self._shaken = True
        self._outdated = self.replacement is not None
        return (*self._check(), *(self._replace(now) if moved or self._is_slow else NOTHING))

    def _files_changed(self, _: ev.FilesChanged, now: float) -> Commands:
        return self._dial(Trigger.FILES_CHANGED, now) if self.state is State.FAILED else NOTHING

    # Steps that several events share

    def _move(self, trigger: Trigger) -> State:
        old, self.state = self.state, next_state(self.state, trigger)
        self._on_change(old, self.state)
        return self.state

    def _dial(self, trigger: Trigger, now: float) -> Commands:
        self.attempt = self._next_dial(now)
        self._probing = False
        self._move(trigger)
        return (do.CancelTimers(), do.OpenConnection(self.attempt))

    def _next_dial(self, now: float) -> int:
        self._dials += 1
        self._outdated = False
        self.pace.dialled(now)
        return self._dials

    def _limit_dial(self, now: float) -> Commands:
        left = self._policy.check_timeout - self.pace.since_dial(now)
        return (do.StartTimer(do.Timer.RETRY, max(left, 0.0), self.attempt),)

    def _redial(self, now: float) -> Commands:
        self._redialled = True
        return (do.CloseConnection(self.attempt), *self._dial(Trigger.RETRY, now))

    def _hurry(self, now: float) -> Commands:
        wait = self.pace.hurried_delay(now)
        if wait <= 0:
            return self._dial(Trigger.RETRY, now)
        return (do.StartTimer(do.Timer.RETRY, wait, self.attempt),)

    def _made(self) -> None:
        """A connection is there, and nothing is known against it."""
        self.connects += 1
        self._misses = 0
        self._probing = self._doubt = self._redialled = False
        self._forget_check()

    def _fall_back(self, failure: Failure, trigger: Trigger, now: float) -> Commands:
        self.pace.failed(failure, now)
        self.failure = failure
        self._probing = self._redialled = False
        self._forget_check()
        if failure.permanent and self.state in (State.CONNECTING, State.VERIFYING):  # later on, the next dial tells
            self._move(Trigger.PERMANENT_FAILURE)
            return (do.CancelTimers(),)
        retry = do.StartTimer(do.Timer.RETRY, self.pace.retry_delay(), self.attempt)
        self._move(trigger)
        return (do.CancelTimers(), retry)

    def _check(self) -> Commands:
        if self._checking:
            return NOTHING
        self._checking = True
        return (do.CheckConnection(self.attempt),)

    def _forget_check(self) -> None:
        self._checking = self._is_slow = self._shaken = self._slept = False
        self._probe_again = None

    def _replace(self, now: float) -> Commands:
        """Dial beside the connection that is in doubt: whichever answers first carries the clients."""
        if self.replacement is not None or self.pace.since_dial(now) < self._policy.dial_gap:
            return NOTHING
        self.replacement = self._next_dial(now)
        return (do.OpenConnection(self.replacement),)

    def _drop_replacement(self) -> Commands:
        replacement, self.replacement = self.replacement, None
        return NOTHING if replacement is None else (do.CloseConnection(replacement),)

    def _probe(self) -> Commands:
        if self._probing:
            return NOTHING
        self._probing = True
        return (do.RunProbe(self.attempt),)


_HANDLERS: dict[type, Callable[[Machine, Any, float], Commands]] = {
    ev.StartRequested: Machine._start,
    ev.StopRequested: Machine._stop,
    ev.RestartRequested: Machine._restart,
    ev.Connected: Machine._connected,
    ev.ConnectFailed: Machine._connect_failed,
    ev.ConnectionLost: Machine._lost,
    ev.ConnectionClosed: Machine._closed,
    ev.TrafficStalled: Machine._stalled,
    ev.ConnectionSlow: Machine._slow,
    ev.ConnectionAnswered: Machine._answered,
    ev.ConnectionSilent: Machine._silent,
    ev.ProbePassed: Machine._probe_passed,
    ev.ProbeFailed: Machine._probe_failed,
    ev.GatewayInDoubt: Machine._gateway_in_doubt,
    ev.ProbeDue: Machine._probe_due,
    ev.StabilityReached: Machine._stability_reached,
    ev.RetryDue: Machine._retry_due,
    ev.ClientWaiting: Machine._client_waiting,
    ev.Woke: Machine._woke,
    ev.NetworkChanged: Machine._network_changed,
    ev.FilesChanged: Machine._files_changed,
}
