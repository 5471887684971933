"""What a person would tell of a history, from its entries."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core.history.entries import Entry
from openclaw_tunnel.core.history.incidents import Incident, What, summarise
from openclaw_tunnel.core.states import TRANSITIONS, State

S = State


def entries(*states: State, lasted: float = 1.0, message: str = "") -> list[Entry]:
    """The entries of a way through the states, a second each; those about a failure have the message."""
    about = (S.BACKOFF, S.DEGRADED, S.FAILED)
    return [
        Entry(float(n), state, before, lasted, message=message if state in about else "")
        for n, (before, state) in enumerate(pairwise(states))
    ]


def up(at: float, took: float | None = None) -> Entry:
    return Entry(at, S.UP, S.VERIFYING, 0.1, took_s=took)


START = [Entry(0.0, S.CONNECTING, S.STOPPED), Entry(0.5, S.VERIFYING, S.CONNECTING, 0.5), up(0.6, 0.6)]
STARTED = Incident(0.0, What.STARTED, S.STOPPED, then=What.UP, took_s=0.6)
LOSS = Entry(100.0, S.BACKOFF, S.UP, 99.4, code="lost", message="the connection was lost")
LOST = Incident(100.0, What.LOST, S.UP, 99.4, "the connection was lost")
REFUSED = Entry(101.0, S.BACKOFF, S.CONNECTING, 0.1, code="refused", message="refused", tries=3)


def test_nothing() -> None:
    assert summarise([]) == []


def test_a_start() -> None:
    assert summarise(START) == [STARTED]
    assert summarise(START[:1])[0].goes_on
    assert not STARTED.goes_on


def test_a_loss_and_its_end_are_one() -> None:
    back = [Entry(100.2, S.VERIFYING, S.CONNECTING, 0.2), up(100.4, 0.4)]
    assert summarise([*START, LOSS]) == [STARTED, LOST]
    assert summarise([*START, LOSS])[-1].goes_on
    assert summarise([*START, LOSS, *back]) == [STARTED, replace(LOST, then=What.UP, took_s=0.4)]


def test_tries_are_counted_and_the_last_reason_is_told_where_it_is_another_one() -> None:
    again = replace(REFUSED, at=130.0, code="dns", message="no such name", tries=2)
    assert summarise([*START, LOSS, REFUSED])[-1] == replace(LOST, tries=3, last_reason="refused")
    assert summarise([*START, LOSS, REFUSED, again])[-1] == replace(LOST, tries=5, last_reason="no such name")
    same = replace(REFUSED, message=LOSS.message)
    assert summarise([*START, LOSS, same])[-1] == replace(LOST, tries=3)


def test_a_host_that_accepts_and_drops_is_one_outage_until_the_tunnel_is_up() -> None:
    dropped = [Entry(102.0, S.VERIFYING, S.CONNECTING, 0.1), Entry(103.0, S.BACKOFF, S.VERIFYING, 0.1, message="cut")]
    assert summarise([*START, LOSS, *dropped, *dropped])[1:] == [replace(LOST, tries=2, last_reason="cut")]


def test_a_start_without_a_connection() -> None:
    told = summarise([START[0], REFUSED, up(200.0, 200.0)])
    first = Incident(0.0, What.UNREACHED, S.STOPPED, None, "refused", 3, then=What.UP, took_s=200.0)
    assert told == [first]


def test_a_gateway_that_is_not_well() -> None:
    ill = Entry(50.0, S.DEGRADED, S.UP, 49.4, message="nothing listens")
    told = Incident(50.0, What.DEGRADED, S.UP, 49.4, "nothing listens")
    assert summarise([*START, ill, up(70.0, 20.0)])[1:] == [replace(told, then=What.UP, took_s=20.0)]
    lost = replace(LOSS, before=S.DEGRADED, lasted_s=50.0)
    assert summarise([*START, ill, lost])[1:] == [
        replace(told, then=What.LOST),
        replace(LOST, before=S.DEGRADED, lasted_s=50.0),
    ]


def test_a_loss_after_which_the_gateway_is_gone_too() -> None:
    ill = Entry(105.0, S.DEGRADED, S.VERIFYING, 4.0, message="nothing listens")
    lost, degraded = summarise([*START, LOSS, ill])[1:]
    assert lost == replace(LOST, then=What.DEGRADED)
    assert (degraded.what, degraded.before, degraded.goes_on) == (What.DEGRADED, S.VERIFYING, True)


def test_what_only_a_person_can_mend() -> None:
    failed = Entry(101.0, S.FAILED, S.CONNECTING, 0.3, message="the host key changed")
    told = summarise([*START, LOSS, failed])[1:]
    assert told == [replace(LOST, then=What.FAILED), Incident(101.0, What.FAILED, S.CONNECTING, 0.3, failed.message)]
    mended = [Entry(201.0, S.CONNECTING, S.FAILED, 100.0), up(202.0, 102.0)]
    assert summarise([*START, LOSS, failed, *mended])[-1] == replace(told[-1], then=What.UP, took_s=102.0)
    worse = [Entry(201.0, S.CONNECTING, S.FAILED, 100.0), REFUSED]
    assert [h.what for h in summarise([*START, LOSS, failed, *worse])[2:]] == [What.FAILED, What.UNREACHED]
    assert summarise([*START, LOSS, failed, *worse])[-1].tries == 3
    repeated = replace(failed, tries=12)
    assert [h.tries for h in summarise([*START, LOSS, repeated])] == [0, 0, 12]


def test_a_restart_is_no_loss() -> None:
    again = [Entry(100.0, S.CONNECTING, S.UP, 99.4), up(100.3, 0.3)]
    assert summarise([*START, *again])[1:] == [Incident(100.0, What.RESTARTED, S.UP, 99.4, then=What.UP, took_s=0.3)]


def test_an_end_in_order() -> None:
    end = entries(S.UP, S.STOPPING, S.STOPPED, lasted=60.0)
    assert summarise([*START, *end])[1:] == [Incident(0.0, What.CLOSED, S.UP, 60.0)]
    given_up = Entry(130.0, S.STOPPED, S.BACKOFF, 5.0)
    assert summarise([*START, LOSS, given_up])[1:] == [
        replace(LOST, then=What.CLOSED),
        Incident(130.0, What.CLOSED, S.BACKOFF, 5.0),
    ]


def test_an_end_without_a_word() -> None:
    gone = Entry(160.0, None, S.UP)
    assert summarise([*START, gone])[1:] == [Incident(160.0, What.VANISHED, S.UP)]
    assert summarise([*START, LOSS, replace(gone, before=S.BACKOFF)])[1].then is What.VANISHED


def test_a_sleep_stands_between_and_ends_nothing() -> None:
    slept = Entry(900.0, S.BACKOFF, S.BACKOFF, asleep_s=700.0)
    assert summarise([*START, LOSS, slept, up(901.0, 100.0)])[1:] == [
        replace(LOST, then=What.UP, took_s=100.0),
        Incident(900.0, What.SLEPT, lasted_s=700.0),
    ]


def test_entries_whose_begin_is_forgotten() -> None:
    assert summarise(START[2:]) == [Incident(0.6, What.UP)]
    assert summarise([replace(REFUSED, before=S.VERIFYING)])[0].what is What.LOST
    assert summarise([REFUSED])[0].what is What.UNREACHED


def test_a_loss_is_one_even_if_nobody_wrote_down_that_it_was_up() -> None:
    told = summarise([*START[:1], LOSS, replace(LOSS, at=300.0)])
    assert [incident.what for incident in told] == [What.STARTED, What.LOST, What.LOST]


@given(st.lists(st.integers(0, 5), max_size=60))
def test_at_most_one_thing_goes_on_and_it_is_about_the_present_state(choices: list[int]) -> None:
    way = [S.STOPPED]
    for choice in choices:
        moves = sorted(set(TRANSITIONS[way[-1]].values()))
        way.append(moves[choice % len(moves)])
    open_ones = [incident for incident in summarise(entries(*way, message="why")) if incident.goes_on]
    assert len(open_ones) <= 1
    assert bool(open_ones) is (way[-1] not in (S.UP, S.STOPPED, S.STOPPING))


@pytest.mark.parametrize("what", [What.UP, What.CLOSED, What.VANISHED, What.SLEPT])
def test_what_is_over_at_once_does_not_go_on(what: What) -> None:
    assert not Incident(0.0, what).goes_on
