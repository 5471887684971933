"""What several events do with a tunnel alike: its data, and the steps that change them. See ``core.rules``."""

from dataclasses import replace
from typing import Any

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core.backoff import Delays
from openclaw_tunnel.core.dials import Dial
from openclaw_tunnel.core.doubt import Doubt, Inquiry, Probing, Shock
from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.pace import Pace
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.retry import Plan
from openclaw_tunnel.core.states import State, Trigger, next_state

Commands = tuple[do.Command, ...]
NOTHING: Commands = ()

STOPPED_GAP = 5.0
"""Seconds between two dials that wake-ups and network changes cause while FAILED: a server may count refused logins."""


class Steps:
    """One tunnel's data, and the steps of its machine.

    Attributes:
        state: where it stands; changed by :meth:`move` only.
        dial: the one that the state is about; number 0 before the first.
        replacement: a second dial, made beside a connection that is in doubt; None while there is none.
        failure: what the present state is about; None while connecting for the first time, verifying or up.
        pace: failed tries in a row, and whether it flaps.
        doubt: what speaks against the connection.
        probing: whether the gateway is being asked; ``misses``: probes in a row that failed.
        connects, losses: counted since the machine was made.
    """

    def __init__(self, policy: Policy, delays: Delays) -> None:
        """Make a stopped machine; ``delays``: seconds before the next dial, by the number of failed tries in a row."""
        self.policy = policy
        self._dials = 0
        self.misses = 0
        self.probing = Probing.IDLE
        self.doubt = Doubt()
        self.state = State.STOPPED
        self.dial = Dial()
        self.replacement: Dial | None = None
        self.failure: Failure | None = None
        self.pace = Pace(policy, delays)
        self.connects = self.losses = 0

    @property
    def attempt(self) -> int:
        """Number of the dial that the state is about, counted from 1; 0 before the first."""
        return self.dial.number

    @property
    def watched(self) -> Plan | None:
        """What may make a difference while it waits for the next dial; None: nothing but time."""
        plan = self.failure.plan if self.failure else None
        waits = self.state is State.FAILED or (self.state is State.BACKOFF and plan and plan.triggers)
        return plan if waits else None

    def move(self, trigger: Trigger) -> None:
        """Change the state as the table says."""
        self.state = next_state(self.state, trigger)

    def begin_dial(self, trigger: Trigger, now: float, **facts: Any) -> Commands:
        """Leave whatever is for a new dial; ``facts`` are those of ``core.dials.Dial``."""
        self.dial = self.next_dial(now, **facts)
        self.probing, self.doubt = Probing.IDLE, Doubt()
        self.move(trigger)
        return (do.CancelTimers(), do.OpenConnection(self.attempt))

    def next_dial(self, now: float, **facts: Any) -> Dial:
        """The next dial, which begins now."""
        self._dials += 1
        self.pace.dialled(now)
        return Dial(self._dials, **facts)

    def limit_dial(self, now: float) -> Commands:
        """Give a dial that may ask the wrong network ``policy.check_timeout`` in all."""
        left = self.policy.check_timeout - self.pace.since_dial(now)
        return (do.StartTimer(do.Timer.RETRY, max(left, 0.0), self.attempt),)

    def redial(self, now: float) -> Commands:
        """Begin the dial again, unless a person is being asked for it: the next one would ask again."""
        if self.dial.asked:
            return NOTHING
        return (do.CloseConnection(self.attempt), *self.begin_dial(Trigger.RETRY, now, again=True))

    def hurry(self, trigger: Trigger, now: float, least: float = 0.0) -> Commands:
        """Dial now, or as soon as the pace allows; ``least``: seconds between two dials, at least."""
        wait = max(self.pace.hurried_delay(now), least - self.pace.since_dial(now))
        if wait <= 0:
            return self.begin_dial(trigger, now, hurried=True)
        return (do.StartTimer(do.Timer.HURRY, wait, self.attempt),)

    def look_again(self, trigger: Trigger, now: float, least: float = 0.0) -> Commands:
        """Leave FAILED because something changed, or somebody waits: now, or once the last dials are long ago."""
        return self.hurry(trigger, now, least=max(least, self.pace.rest))

    def made(self, now: float) -> None:
        """A connection is there, and nothing is known against it."""
        self.connects += 1
        self.pace.connected(now)
        self.dial = Dial(self.attempt)
        self.misses = 0
        self.probing, self.doubt = Probing.IDLE, Doubt()

    def give_up(self, failure: Failure, now: float) -> Commands:
        """Try again only when something has changed, somebody asks, or much later."""
        self.failure = failure
        self.probing, self.doubt = Probing.IDLE, Doubt()
        self.move(Trigger.PERMANENT_FAILURE)
        wait = self.pace.stopped(failure, now)
        retry = NOTHING if wait is None else (do.StartTimer(do.Timer.RETRY, wait, self.attempt),)
        return (do.CancelTimers(), *retry)

    def back_off(self, failure: Failure, trigger: Trigger) -> Commands:
        """Wait for the next try."""
        self.failure = failure
        self.probing, self.doubt = Probing.IDLE, Doubt()
        retry = do.StartTimer(do.Timer.RETRY, self.pace.retry_delay(), self.attempt)
        self.move(trigger)
        return (do.CancelTimers(), retry)

    def check(self) -> Commands:
        """Ask the SSH server for a sign of life, unless it is being asked."""
        if self.doubt.inquiry is not Inquiry.IDLE:
            return NOTHING
        self.doubt = replace(self.doubt, inquiry=Inquiry.ASKED)
        return (do.CheckConnection(self.attempt),)

    def surroundings_changed(self, shock: Shock, now: float, *, moved: bool) -> Commands:
        """The computer slept, or its network changed: is the connection still there?"""
        self.doubt = self.doubt.shaken(shock)
        if self.replacement is not None:
            self.replacement = replace(self.replacement, outdated=True)
        late = self.doubt.inquiry is Inquiry.SLOW
        return (*self.check(), *(self.dial_beside(now) if moved or late else NOTHING))

    def dial_beside(self, now: float) -> Commands:
        """Dial beside the connection that is in doubt: whichever answers first carries the clients."""
        if self.replacement is not None or self.pace.since_dial(now) < self.policy.dial_gap:
            return NOTHING
        self.replacement = self.next_dial(now)
        return (do.OpenConnection(self.replacement.number),)

    def drop_replacement(self) -> Commands:
        """Give the second dial up, where there is one."""
        replacement, self.replacement = self.replacement, None
        return NOTHING if replacement is None else (do.CloseConnection(replacement.number),)

    def probe(self) -> Commands:
        """Ask the gateway, unless it is being asked."""
        if self.probing is not Probing.IDLE:
            return NOTHING
        self.probing = Probing.RUNNING
        return (do.RunProbe(self.attempt),)
