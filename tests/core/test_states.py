"""The table of moves, and what must hold whatever happens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenacity import wait_fixed

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.backoff import delays
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.machine import _HANDLERS, Machine
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import TRANSITIONS, IllegalMove, State, Trigger, next_state


def test_every_state_has_a_row_and_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {to for row in TRANSITIONS.values() for to in row.values()} == set(State)
    assert all(row for row in TRANSITIONS.values())


def test_every_trigger_is_used() -> None:
    assert {trigger for row in TRANSITIONS.values() for trigger in row} == set(Trigger)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_cell(state: State, trigger: Trigger) -> None:
    """A filled cell gives its state; an empty one raises, with both names in the message."""
    if trigger in TRANSITIONS[state]:
        assert next_state(state, trigger) is TRANSITIONS[state][trigger]
    else:
        with pytest.raises(IllegalMove, match=f"no move from {state} on {trigger}"):
            next_state(state, trigger)


def test_stop_leads_out_of_every_state_that_does_something() -> None:
    for state in set(State) - {State.STOPPED, State.STOPPING}:
        assert TRANSITIONS[state][Trigger.STOP] in (State.STOPPED, State.STOPPING)


def test_every_event_has_a_handler() -> None:
    events = {cls for cls in vars(ev).values() if isinstance(cls, type) and cls.__module__ == ev.__name__}
    assert set(_HANDLERS) == events


TRANSIENT = Failure(Code.LOST, "lost")
PERMANENT = Failure(Code.AUTH_DENIED, "denied")


def _events(attempt: int) -> list[ev.Event]:
    fixed: list[ev.Event] = [
        ev.StartRequested(),
        ev.StopRequested(),
        ev.RestartRequested(),
        ev.ClientWaiting(),
        ev.Woke(),
        ev.NetworkChanged(),
        ev.NetworkChanged(moved=True),
        ev.FilesChanged(),
    ]
    for n in (attempt, attempt - 1, attempt + 1):
        fixed += [
            ev.Connected(n),
            ev.ConnectionClosed(n),
            ev.TrafficStalled(n),
            ev.ConnectionSlow(n),
            ev.ConnectionAnswered(n),
            ev.ConnectionSilent(n, TRANSIENT),
            ev.ProbePassed(n),
            ev.GatewayInDoubt(n),
            ev.RetryDue(n),
            ev.ProbeDue(n),
            ev.StabilityReached(n),
        ]
        for failure in (TRANSIENT, PERMANENT):
            fixed += [ev.ConnectFailed(n, failure), ev.ConnectionLost(n, failure), ev.ProbeFailed(n, failure)]
    return fixed


class World:
    """Remembers what the machine waits for, as the supervisor would."""

    def __init__(self) -> None:
        self.machine = Machine(Policy(), delays(Policy()))
        self.now = 0.0
        self.timers: dict[do.Timer, do.StartTimer] = {}
        self.open: set[int] = set()
        self.dialled: set[int] = set()
        self.closing: set[int] = set()
        self.probing: int | None = None
        self.checking: int | None = None

    def give(self, event: ev.Event) -> None:
        if isinstance(event, ev.ConnectFailed | ev.ConnectionLost):
            self.open.discard(event.attempt)
        for command in self.machine.handle(event, self.now):
            match command:
                case do.OpenConnection(attempt):
                    self.open.add(attempt)
                    self.dialled.add(attempt)
                case do.CloseConnection(attempt):
                    self.closing.add(attempt)
                    self.open.discard(attempt)
                case do.RetireConnection(attempt):
                    self.open.discard(attempt)
                case do.StartTimer(timer, delay, _):
                    assert 0.0 <= delay <= 60.0
                    self.timers[timer] = command
                case do.CancelTimers():
                    self.timers.clear()
                case do.RunProbe(attempt):
                    self.probing = attempt
                case do.CheckConnection(attempt):
                    self.checking = attempt

    def forgotten(self) -> set[int]:
        """Dials and connections that nobody will ever close."""
        return self.open - {self.machine.attempt, self.machine.replacement}

    def waits_for_something(self) -> bool:
        m = self.machine
        match m.state:
            case State.STOPPED | State.FAILED:
                return True
            case State.CONNECTING:
                return m.attempt in self.dialled
            case State.STOPPING:
                return m.attempt in self.closing
            case State.BACKOFF:
                return self.timers.get(do.Timer.RETRY) is not None
            case _:
                return self.probing == m.attempt or self.checking == m.attempt or do.Timer.PROBE in self.timers


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 100)), max_size=80))
def test_no_state_is_stuck_and_stop_always_ends_in_stopped(script: list[tuple[int, float]]) -> None:
    """From any sequence of events: something is under way, and a stop request ends in STOPPED."""
    world = World()
    for choice, passed in script:
        world.now += passed
        events = _events(world.machine.attempt)
        world.give(events[choice % len(events)])
        assert world.waits_for_something()
        assert world.forgotten() == set()
    world.give(ev.StopRequested())
    world.give(ev.ConnectionClosed(world.machine.attempt))
    assert world.machine.state is State.STOPPED


@given(st.integers(1, 5000))
def test_delays_stay_within_bounds(tries: int) -> None:
    """Full jitter under the ceiling, safe past the 1,100th attempt."""
    policy = Policy(backoff_first=1.0, backoff_max=60.0)
    delay = delays(policy)(tries)
    assert 0.0 <= delay <= min(60.0, 2.0 ** min(tries - 2, 10)) if tries > 1 else delay == 0.0


def test_a_given_wait_strategy_is_used_and_clamped() -> None:
    policy = Policy(backoff_max=5.0)
    assert [delays(policy, wait_fixed(3))(n) for n in (1, 2, 3)] == [0.0, 3.0, 3.0]
    assert delays(policy, wait_fixed(90))(2) == 5.0
