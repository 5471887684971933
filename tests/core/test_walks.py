"""Random walks of the machine in a faithful world: each command is answered once, in any order; anything may happen.

What is looked for: a state in which nothing is under way that would move it on, a stop that does not end, a connection
that nobody will ever close.
"""

import random
from collections.abc import Callable, Mapping

import pytest

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.machine import Machine
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.retry import Cause
from openclaw_tunnel.core.rules import HANDLERS, Handlers, _slow
from openclaw_tunnel.core.states import LINK_STATES, State

WALKS = 10_000
STEPS = 60

DIALS = tuple(Failure(code, "the dial failed") for code in (Code.TIMEOUT, Code.NOT_SSH, Code.REFUSED, Code.BUG))
STOPS = tuple(
    Failure(code, "the dial failed")
    for code in (Code.AUTH_DENIED, Code.HOST_KEY_CHANGED, Code.NOT_CONFIRMED, Code.NEGOTIATION, Code.CONFIG)
)
PROBES = tuple(Failure(code, "the probe failed") for code in (Code.NOT_LISTENING, Code.FORWARDING_FORBIDDEN))
LOST = Failure(Code.LOST, "lost")
TIMERS: dict[do.Timer, Callable[[int], ev.Event]] = {
    do.Timer.RETRY: ev.RetryDue,
    do.Timer.HURRY: ev.HurryDue,
    do.Timer.PROBE: ev.ProbeDue,
}


class World:
    """What the machine's commands have begun and not yet answered; ``chance`` decides what comes next."""

    def __init__(self, chance: random.Random, handlers: Mapping[State, Handlers]) -> None:
        self.chance = chance
        self.machine = Machine(Policy(), lambda tries: float(min(tries - 1, 60)))
        self.machine.handlers = handlers
        self.now = 1000.0
        self.dials: list[int] = []
        self.live: list[int] = []
        self.closes: list[int] = []
        self.probes: list[int] = []
        self.checks: list[int] = []
        self.timers: dict[do.Timer, tuple[float, int]] = {}
        self.log: list[ev.Event] = []

    def send(self, event: ev.Event) -> None:
        self.log.append(event)
        for command in self.machine.handle(event, self.now):
            self._do(command)

    def _do(self, command: do.Command) -> None:
        match command:
            case do.OpenConnection(attempt):
                self.dials.append(attempt)
            case do.CloseConnection(attempt):
                self._end(attempt)
                self.closes.append(attempt)
            case do.RetireConnection(attempt):
                self._end(attempt)
            case do.CheckConnection(attempt) if attempt in self.live:
                self.checks.append(attempt)
            case do.RunProbe(attempt) if attempt in self.live:
                self.probes.append(attempt)
            case do.StartTimer(timer, delay, attempt):
                assert delay >= 0.0
                self.timers[timer] = self.now + delay, attempt
            case do.CancelTimers():
                self.timers.clear()

    def _end(self, attempt: int) -> None:
        """What is asked of it goes on, and is answered late."""
        for known in (self.dials, self.live):
            if attempt in known:
                known.remove(attempt)

    def step(self) -> None:
        """One thing happens."""
        self.now += self.chance.choice((0.0, 0.01, 0.3, 2.0, 20.0, 120.0))
        happenings: list[Callable[[], None]] = [self._user, self._world, self._world]
        happenings += [self._dialled] * (3 * len(self.dials))
        happenings += [self._lose] * len(self.live)
        happenings += [self._closed] * (2 * len(self.closes))
        happenings += [self._probed] * (3 * len(self.probes))
        happenings += [self._checked] * (3 * len(self.checks))
        happenings += [self._timer] * (2 * len(self.timers))
        self.chance.choice(happenings)()

    def _take(self, waiting: list[int]) -> int:
        return waiting.pop(self.chance.randrange(len(waiting)))

    def _dialled(self) -> None:
        attempt = self.chance.choice(self.dials)
        outcome = self.chance.choice(("up", "up", "fails", "stops", "asks", "asked"))
        if outcome in ("asks", "asked"):
            self.send(ev.PersonAsked(attempt, "touch the key" if outcome == "asks" else ""))
            return
        self.dials.remove(attempt)
        if outcome == "up":
            self.live.append(attempt)
            self.send(ev.Connected(attempt))
        else:
            self.send(ev.ConnectFailed(attempt, self.chance.choice(DIALS if outcome == "fails" else STOPS)))

    def _lose(self) -> None:
        attempt = self._take(self.live)
        self.checks = [check for check in self.checks if check != attempt]
        self.probes = [probe for probe in self.probes if probe != attempt]
        self.send(ev.ConnectionLost(attempt, LOST))

    def _closed(self) -> None:
        self.send(ev.ConnectionClosed(self._take(self.closes)))

    def _probed(self) -> None:
        attempt = self._take(self.probes)
        passed = self.chance.random() < 0.4
        self.send(ev.ProbePassed(attempt) if passed else ev.ProbeFailed(attempt, self.chance.choice(PROBES)))

    def _checked(self) -> None:
        attempt = self.chance.choice(self.checks)
        answers: tuple[ev.Event, ...] = (ev.ConnectionSlow(attempt), ev.ConnectionSilent(attempt, LOST))
        answer = self.chance.choice((*answers, ev.ConnectionAnswered(attempt), ev.ConnectionAnswered(attempt)))
        if not isinstance(answer, ev.ConnectionSlow):
            self.checks.remove(attempt)
        self.send(answer)

    def _timer(self) -> None:
        timer = self.chance.choice(sorted(self.timers))
        due, attempt = self.timers.pop(timer)
        self.now = max(self.now, due)
        event: ev.Event = TIMERS[timer](attempt)
        self.send(event)

    def _user(self) -> None:
        start, restart, stop = ev.StartRequested(), ev.RestartRequested(), ev.StopRequested()
        self.send(self.chance.choice((start, start, restart, stop, ev.PersonWaiting())))

    def _world(self) -> None:
        attempt = self.machine.attempt
        around: tuple[ev.Event, ...] = (ev.Woke(), ev.NetworkChanged(moved=False), ev.NetworkChanged(moved=True))
        doubts: tuple[ev.Event, ...] = (ev.TrafficStalled(attempt), ev.GatewayInDoubt(attempt))
        self.send(self.chance.choice((*around, *doubts, ev.ClientWaiting(), ev.DependencyChanged())))

    def fault(self) -> str:
        """What is wrong with the state as it is; empty for nothing."""
        machine, state = self.machine, self.machine.state
        replacement = machine.replacement.number if machine.replacement else None
        if state is State.CONNECTING and machine.attempt not in self.dials:
            return "connecting without a dial"
        if state is State.BACKOFF and do.Timer.RETRY not in self.timers:
            return "backoff without a timer"
        if state is State.FAILED and do.Timer.RETRY not in self.timers and self._is_tried_again():
            return "failed without a timer"
        if state is State.STOPPING and machine.attempt not in self.closes:
            return "stopping without a close"
        if state in LINK_STATES and machine.attempt not in self.live:
            return "connected without a connection"
        if state in LINK_STATES and not self._is_looked_at(machine.attempt):
            return "connected, and nobody looks at the gateway or the line"
        if state not in LINK_STATES and replacement is not None:
            return "a second dial without a first connection"
        if {*self.dials, *self.live} - {machine.attempt, replacement}:
            return "a connection that nobody closes"
        return ""

    def _is_tried_again(self) -> bool:
        return self.machine.failure is not None and self.machine.failure.cause is not Cause.PERSON

    def _is_looked_at(self, attempt: int) -> bool:
        probe = self.timers.get(do.Timer.PROBE)
        return attempt in self.probes or attempt in self.checks or (probe is not None and probe[1] == attempt)

    def stop(self) -> str:
        """Stop it while whatever is under way goes on; what keeps it from ending, or empty."""
        self.send(ev.StopRequested())
        for _ in range(200):
            if self.machine.state is State.STOPPED:
                return ""
            if fault := self.fault():
                return fault
            late = [self._closed] * len(self.closes) + [self._checked] * len(self.checks) + [self._world]
            late += [self._probed] * len(self.probes) + [self._dialled] * len(self.dials)
            self.chance.choice(late)()
        return "a stop that does not end"


def walk(seed: int, handlers: Mapping[State, Handlers], steps: int = STEPS) -> str:
    """One walk, and a stop at its end: what is wrong, with the events before it; empty for nothing."""
    world = World(random.Random(seed), handlers)
    fault = ""
    for _ in range(steps):
        world.step()
        if fault := world.fault():
            break
    if fault := fault or world.stop():
        return f"walk {seed}: {fault} ({world.machine.state}), after {world.log[-12:]}"
    return ""


@pytest.mark.parametrize("part", range(10))
def test_nothing_is_ever_stuck_and_a_stop_ends(part: int) -> None:
    faults = (walk(seed, HANDLERS) for seed in range(part, WALKS, 10))
    assert next(filter(None, faults), "") == ""


def test_the_walks_find_a_handler_that_acts_while_stopping() -> None:
    """A slow answer that arrived after the stop once dialled a second connection, which took the first one's place."""
    wrong = {**HANDLERS, State.STOPPING: {**HANDLERS[State.STOPPING], ev.ConnectionSlow: _slow}}
    assert any(walk(seed, wrong) for seed in range(WALKS))


def test_the_walks_find_a_state_that_nothing_leaves() -> None:
    deaf = {event: handler for event, handler in HANDLERS[State.UP].items() if event is not ev.ProbeFailed}
    assert any(walk(seed, {**HANDLERS, State.UP: deaf}) for seed in range(WALKS))


REASONS = (ev.DependencyChanged(), ev.PersonWaiting(), ev.NetworkChanged(), ev.NetworkChanged(moved=True), ev.Woke())


def dials_within_an_hour(code: Code, happening: tuple[ev.Event, ...]) -> int:
    """How often a server is dialled that always answers with ``code``, where something happens four times a second."""
    world = World(random.Random(1), HANDLERS)
    world.send(ev.StartRequested())
    end, dials = world.now + 3600.0, 0
    while world.now < end:
        world.now += 0.25
        for timer, (due, attempt) in sorted(world.timers.items()):
            if due <= world.now and timer in world.timers:
                del world.timers[timer]
                world.send(TIMERS[timer](attempt))
        for attempt in [*world.dials]:
            dials += 1
            world.dials.remove(attempt)
            world.send(ev.ConnectFailed(attempt, Failure(code, "it failed")))
        world.send(world.chance.choice(happening))
    return dials


@pytest.mark.parametrize("code", [Code.AUTH_DENIED, Code.HOST_KEY_CHANGED, Code.NOT_CONFIRMED])
def test_whatever_happens_around_a_server_that_refuses_us_it_is_left_alone(code: Code) -> None:
    """A file that is rewritten all the time, a network that flaps, a script that waits in a loop."""
    assert 10 < dials_within_an_hour(code, REASONS) < 100


@pytest.mark.parametrize("code", [Code.AGENT_UNREACHABLE, Code.BUG, Code.NOT_SSH, Code.PROXY_DENIED])
def test_clients_cause_few_logins_that_may_be_refused(code: Code) -> None:
    waiting = (ev.ClientWaiting(), ev.PersonWaiting(), ev.NetworkChanged(), ev.DependencyChanged())
    assert 10 < dials_within_an_hour(code, waiting) < 150
