"""The table of moves, and what must hold whatever happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.backoff import delays
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.rules import HANDLERS, REPLACEMENT
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


def test_every_event_means_something_in_some_state() -> None:
    classes = {cls for cls in vars(ev).values() if isinstance(cls, type) and cls.__module__ == ev.__name__}
    events = classes - {ev.Event, ev.OfDial, ev.OfFailedDial}
    assert {event for row in (*HANDLERS.values(), REPLACEMENT) for event in row} == events
    assert set(HANDLERS) == set(State)


def test_nothing_but_the_end_of_the_connection_counts_while_it_stops() -> None:
    assert set(HANDLERS[State.STOPPING]) == {ev.ConnectionClosed}
    assert set(HANDLERS[State.STOPPED]) == {ev.StartRequested}


@given(st.integers(1, 5000))
def test_delays_stay_within_bounds(tries: int) -> None:
    """Full jitter under the ceiling, safe past the 1,100th attempt."""
    policy = Policy(backoff_first=1.0, backoff_max=60.0)
    delay = delays(policy)(tries)
    assert 0.0 <= delay <= min(60.0, 2.0 ** min(tries - 2, 10)) if tries > 1 else delay == 0.0
