"""The machine (core/machine.py, with core/rules.py and core/steps.py), as scripts of events and commands.

Nothing here has a clock.
"""

import pytest

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.commands import (
    CancelTimers,
    CheckConnection,
    CloseConnection,
    OpenConnection,
    RetireConnection,
    RunProbe,
    StartTimer,
    Timer,
)
from openclaw_tunnel.core.dials import Dial
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import State
from support.playbook import Playbook

LOST = Failure(Code.LOST, "the connection was lost")
REFUSED = Failure(Code.REFUSED, "gateway.example:22 refused the connection")
TIMEOUT = Failure(Code.TIMEOUT, "gateway.example:22 did not answer")
AGENT_AWAY = Failure(Code.AGENT_UNREACHABLE, "the SSH agent cannot be asked")
UNKNOWN_KEY = Failure(Code.HOST_KEY_UNKNOWN, "the host key is not known")
HUNG_UP = Failure(Code.NOT_SSH, "gateway.example:22 hung up before the login was done")
DENIED = Failure(Code.AUTH_DENIED, "gateway.example:22 refused the login of me")
REFUSED_BY_A_PERSON = Failure(Code.NOT_CONFIRMED, "the SSH agent would not sign")
FORBIDDEN = Failure(Code.FORWARDING_FORBIDDEN, "the server forbids forwarding")
NOT_LISTENING = Failure(Code.NOT_LISTENING, "nothing listens on 127.0.0.1:18789")


def connecting() -> Playbook:
    return Playbook().skip(ev.StartRequested()).at(State.CONNECTING)


def verifying() -> Playbook:
    return connecting().skip(ev.Connected(1)).at(State.VERIFYING)


def up() -> Playbook:
    return verifying().skip(ev.ProbePassed(1)).at(State.UP)


def degraded() -> Playbook:
    book = verifying()
    for _ in range(3):
        book.skip(ev.ProbeFailed(1, NOT_LISTENING))
    return book.at(State.DEGRADED)


def backoff() -> Playbook:
    return connecting().skip(ev.ConnectFailed(1, REFUSED)).at(State.BACKOFF)


def failed() -> Playbook:
    return connecting().skip(ev.ConnectFailed(1, UNKNOWN_KEY)).at(State.FAILED)


def stopping() -> Playbook:
    return up().skip(ev.StopRequested()).at(State.STOPPING)


def test_a_good_day() -> None:
    """Start, connect, one probe, up; then probes go on at their interval."""
    book = Playbook()
    book >> ev.StartRequested() << CancelTimers() << OpenConnection(1)
    book.at(State.CONNECTING)
    book >> ev.Connected(1) << RunProbe(1)
    book.at(State.VERIFYING)
    book >> ev.ProbePassed(1) << StartTimer(Timer.PROBE, 15.0, 1)
    book.at(State.UP)
    book >> ev.ProbeDue(1) << RunProbe(1)
    book >> ev.ProbePassed(1) << StartTimer(Timer.PROBE, 15.0, 1)
    book >> ev.StopRequested() << CancelTimers() << CloseConnection(1)
    book.at(State.STOPPING)
    book >> ev.ConnectionClosed(1)
    book.at(State.STOPPED)
    assert book.machine.connects == 1
    assert book.machine.losses == 0


def test_first_retry_at_once_then_backoff() -> None:
    book = connecting()
    book >> ev.ConnectFailed(1, REFUSED) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 1)
    book >> ev.RetryDue(1) << CancelTimers() << OpenConnection(2)
    book >> ev.ConnectFailed(2, REFUSED) << CancelTimers() << StartTimer(Timer.RETRY, 1.0, 2)
    book >> ev.RetryDue(2) << CancelTimers() << OpenConnection(3)
    book >> ev.ConnectFailed(3, REFUSED) << CancelTimers() << StartTimer(Timer.RETRY, 2.0, 3)
    book.at(State.BACKOFF)
    assert book.machine.failure is REFUSED
    assert book.machine.pace.tries == 3


def test_loss_is_followed_by_a_dial() -> None:
    book = up()
    book >> ev.ConnectionLost(1, LOST) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 1)
    book.at(State.BACKOFF)
    book >> ev.RetryDue(1) << CancelTimers() << OpenConnection(2)
    book >> ev.Connected(2) << RunProbe(2)
    assert book.machine.failure is None
    assert (book.machine.connects, book.machine.losses) == (2, 1)


def test_a_loss_is_never_the_end_whatever_its_reason() -> None:
    """The next dial finds out whether it is one for which a person must act."""
    book = up()
    book >> ev.ConnectionLost(1, UNKNOWN_KEY) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 1)
    book.at(State.BACKOFF)


def test_tries_are_forgotten_only_with_a_connection_that_lasts() -> None:
    """A server that accepts and drops does not reset the backoff by accepting."""
    book = up()
    for attempt, delay in ((1, 0.0), (2, 1.0), (3, 2.0)):
        book >> ev.ConnectionLost(attempt, LOST) << CancelTimers() << StartTimer(Timer.RETRY, delay, attempt)
        book.skip(ev.RetryDue(attempt)).skip(ev.Connected(attempt + 1)).skip(ev.ProbePassed(attempt + 1))
    book.wait(2.0)
    book >> ev.ConnectionLost(4, LOST) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 4)
    assert book.machine.pace.tries == 1


def test_a_connection_lasts_also_while_the_gateway_is_down() -> None:
    book = up().skip(ev.ConnectionLost(1, LOST)).skip(ev.RetryDue(1)).skip(ev.Connected(2)).wait(3600.0)
    book >> ev.ConnectionLost(2, LOST) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 2)


def test_a_loss_costs_at_most_a_tenth_of_the_life_before_it() -> None:
    """A line that is cut every 12 s: the first three tries wait 0, 1 and 1.2 s at most, whatever was before."""
    book = Playbook(backoff=lambda tries: 0.0 if tries == 1 else 60.0).skip(ev.StartRequested()).skip(ev.Connected(1))
    for attempt in range(1, 40, 4):
        book.wait(12.0)
        book >> ev.ConnectionLost(attempt, LOST) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, attempt)
        for failed, wait in ((attempt + 1, 1.2), (attempt + 2, 1.2), (attempt + 3, 60.0)):
            book.skip(ev.RetryDue(failed - 1))
            book >> ev.ConnectFailed(failed, REFUSED) << CancelTimers() << StartTimer(Timer.RETRY, wait, failed)
        book.skip(ev.RetryDue(attempt + 3)).skip(ev.Connected(attempt + 4))


def test_a_permanent_failure_stops_and_is_tried_again_rarely() -> None:
    book = connecting()
    for attempt, wait in ((1, 15.0), (2, 60.0), (3, 300.0), (4, 300.0)):
        book >> ev.ConnectFailed(attempt, UNKNOWN_KEY) << CancelTimers() << StartTimer(Timer.RETRY, wait, attempt)
        book.at(State.FAILED)
        assert book.machine.failure is UNKNOWN_KEY
        book >> ev.RetryDue(attempt) << CancelTimers() << OpenConnection(attempt + 1)
        book.at(State.CONNECTING)


def test_a_server_that_knew_us_is_asked_again_soon() -> None:
    """It boots and refuses a good key: 5 and 15 s, then 1, 2, 5 minutes."""
    book = up().wait(60.0).skip(ev.ConnectionLost(1, LOST)).skip(ev.RetryDue(1))
    for attempt, wait in ((2, 5.0), (3, 15.0), (4, 60.0), (5, 120.0)):
        book >> ev.ConnectFailed(attempt, DENIED) << CancelTimers() << StartTimer(Timer.RETRY, wait, attempt)
        book.skip(ev.RetryDue(attempt))
    book.skip(ev.Connected(6)).wait(60.0).skip(ev.ConnectionLost(6, LOST)).skip(ev.RetryDue(6))
    book >> ev.ConnectFailed(7, DENIED) << CancelTimers() << StartTimer(Timer.RETRY, 5.0, 7)  # from the beginning


def test_another_cause_has_a_plan_of_its_own() -> None:
    book = connecting().skip(ev.ConnectFailed(1, UNKNOWN_KEY)).skip(ev.RetryDue(1))
    book >> ev.ConnectFailed(2, DENIED) << CancelTimers() << StartTimer(Timer.RETRY, 60.0, 2)


@pytest.mark.parametrize("event", [ev.StartRequested(), ev.RestartRequested()])
def test_failed_is_left_by_a_person(event: ev.Event) -> None:
    book = failed()
    book >> event << CancelTimers() << OpenConnection(2)
    book.at(State.CONNECTING)


@pytest.mark.parametrize("event", [ev.DependencyChanged(), ev.PersonWaiting()])
def test_failed_is_left_when_something_changed_or_somebody_waits(event: ev.Event) -> None:
    book = failed().wait(1.0)
    book >> event << CancelTimers() << OpenConnection(2)
    book.at(State.CONNECTING)
    book.skip(ev.ConnectFailed(2, UNKNOWN_KEY)).at(State.FAILED).wait(0.25)
    book >> event << StartTimer(Timer.HURRY, 0.75, 2)  # at most one dial a second
    book >> ev.HurryDue(2) << CancelTimers() << OpenConnection(3)


def test_an_agent_that_is_away_is_watched() -> None:
    """It has been started, or filled, meanwhile: however many dials it failed before, the next one is made at once."""
    book = connecting()
    for attempt in range(1, 9):
        book.skip(ev.ConnectFailed(attempt, AGENT_AWAY)).at(State.BACKOFF).wait(60.0)
        assert book.machine.watched == AGENT_AWAY.plan
        book.skip(ev.RetryDue(attempt))
        assert not book.machine.watched
    book.skip(ev.ConnectFailed(9, AGENT_AWAY)).wait(1.0)
    book >> ev.DependencyChanged() << CancelTimers() << OpenConnection(10)
    book.skip(ev.ConnectFailed(10, TIMEOUT)).at(State.BACKOFF)
    assert not book.machine.watched


def test_an_agent_that_is_started_first_and_filled_later() -> None:
    """Nor does it count that it was away before, once there is an agent and no key in it."""
    for event in (ev.DependencyChanged(), ev.Woke()):
        book = connecting()
        for attempt in range(1, 9):
            book.skip(ev.ConnectFailed(attempt, AGENT_AWAY)).wait(60.0).skip(ev.RetryDue(attempt))
        book.skip(ev.ConnectFailed(9, DENIED)).at(State.FAILED).wait(5.0)
        book >> event << CancelTimers() << OpenConnection(10)


@pytest.mark.parametrize("event", [ev.Woke(), ev.NetworkChanged()])
def test_what_happens_around_a_failed_tunnel_counts_as_its_cause_says(event: ev.Event) -> None:
    for failure, counts in ((UNKNOWN_KEY, True), (DENIED, True), (REFUSED_BY_A_PERSON, False)):
        book = connecting().skip(ev.ConnectFailed(1, failure)).wait(5.0)
        book >> event
        if counts:
            book << CancelTimers() << OpenConnection(2)
        book.at(State.CONNECTING if counts else State.FAILED)
    book = connecting().skip(ev.ConnectFailed(1, DENIED)).wait(1.0)
    book >> event << StartTimer(Timer.HURRY, 4.0, 1)  # a network that flaps is no reason to fail to log in each time


def test_clients_never_hurry_a_failed_tunnel() -> None:
    book = failed().wait(60.0)
    book >> ev.ClientWaiting()
    book.at(State.FAILED)


def test_whoever_was_asked_and_said_no_is_asked_again_only_on_request() -> None:
    book = connecting()
    book >> ev.ConnectFailed(1, REFUSED_BY_A_PERSON) << CancelTimers()  # no timer
    book.at(State.FAILED)
    for event in (ev.ClientWaiting(), ev.Woke(), ev.NetworkChanged(moved=True)):
        book.wait(600.0) >> event
        book.at(State.FAILED)
    book >> ev.PersonWaiting() << CancelTimers() << OpenConnection(2)


def test_a_dial_for_which_a_person_is_asked_is_not_begun_again() -> None:
    """The next one would ask again. Its own deadline ends it."""
    book = connecting().wait(1.0).skip(ev.PersonAsked(1, "touch the key"))
    book >> ev.NetworkChanged(moved=True) << StartTimer(Timer.RETRY, 2.0, 1)
    book >> ev.RetryDue(1)
    book >> ev.Woke()
    book.at(State.CONNECTING)
    book >> ev.PersonAsked(1, "")
    book >> ev.Woke() << CloseConnection(1) << CancelTimers() << OpenConnection(2)


def test_restart_while_connecting_begins_again() -> None:
    book = connecting().skip(ev.PersonAsked(1, "touch the key"))
    book >> ev.RestartRequested() << CloseConnection(1) << CancelTimers() << OpenConnection(2)
    book.at(State.CONNECTING)


def test_tries_that_somebody_hurried_do_not_make_the_next_wait_longer() -> None:
    """sshd is away while a client waits and leaves: the next try comes soon, not a minute later."""
    book = backoff()
    for attempt in range(2, 30):
        book.wait(1.0)
        book >> ev.ClientWaiting() << CancelTimers() << OpenConnection(attempt)
        book >> ev.ConnectFailed(attempt, REFUSED) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, attempt)
    assert book.machine.pace.tries == 29
    book.skip(ev.RetryDue(29))
    book >> ev.ConnectFailed(30, REFUSED) << CancelTimers() << StartTimer(Timer.RETRY, 1.0, 30)


def test_gateway_down_is_degraded_and_keeps_the_link() -> None:
    """Three misses in a row; no command ever closes the connection."""
    book = up()
    for delay in (0.5, 0.5, 2.0):
        book >> ev.ProbeFailed(1, NOT_LISTENING) << CheckConnection(1)
        book >> ev.ConnectionAnswered(1) << StartTimer(Timer.PROBE, delay, 1)
        book.at(State.UP if delay == 0.5 else State.DEGRADED)
        book >> ev.ProbeDue(1) << RunProbe(1)
    assert book.machine.failure is NOT_LISTENING
    book >> ev.ProbeFailed(1, NOT_LISTENING) << CheckConnection(1)
    book >> ev.ConnectionAnswered(1) << StartTimer(Timer.PROBE, 2.0, 1)
    book >> ev.ProbeDue(1) << RunProbe(1)
    book >> ev.ProbePassed(1) << StartTimer(Timer.PROBE, 15.0, 1)
    book.at(State.UP)
    assert book.machine.failure is None
    assert book.machine.losses == 0


def test_one_passed_probe_forgives_earlier_misses() -> None:
    book = up()
    for _ in range(5):
        book.skip(ev.ProbeFailed(1, NOT_LISTENING)).skip(ev.ProbeFailed(1, NOT_LISTENING)).skip(ev.ProbePassed(1))
    book.at(State.UP)


def test_forwarding_forbidden_fails_and_closes() -> None:
    book = verifying()
    book >> ev.ProbeFailed(1, FORBIDDEN) << CancelTimers() << StartTimer(Timer.RETRY, 300.0, 1) << CloseConnection(1)
    book.at(State.FAILED)
    book >> ev.ConnectionClosed(1)
    book.at(State.FAILED)


def test_forbidden_later_on_is_a_gateway_that_does_not_answer() -> None:
    book = up()
    book >> ev.ProbeFailed(1, FORBIDDEN) << CheckConnection(1)
    book.at(State.UP)


def test_a_waiting_client_cuts_the_backoff_short() -> None:
    book = backoff().wait(1.0)
    book >> ev.ClientWaiting() << CancelTimers() << OpenConnection(2)


@pytest.mark.parametrize("event", [ev.ClientWaiting(), ev.PersonWaiting(), ev.Woke(), ev.NetworkChanged()])
def test_but_never_more_than_one_dial_a_second(event: ev.Event) -> None:
    book = backoff().wait(0.25)
    book >> event << StartTimer(Timer.HURRY, 0.75, 1)
    book.at(State.BACKOFF)
    book >> ev.HurryDue(1) << CancelTimers() << OpenConnection(2)


def test_a_refused_channel_looks_at_the_gateway_once() -> None:
    book = up()
    book >> ev.GatewayInDoubt(1) << RunProbe(1)
    book >> ev.GatewayInDoubt(1)
    book.done()
    book = degraded()
    book >> ev.GatewayInDoubt(1)
    book.at(State.DEGRADED)


def test_a_doubt_during_a_probe_is_looked_at_after_it() -> None:
    """The probe that runs may have asked before the gateway went away."""
    book = up()
    book >> ev.ProbeDue(1) << RunProbe(1)
    book >> ev.GatewayInDoubt(1)
    book >> ev.ProbePassed(1) << StartTimer(Timer.PROBE, 0.5, 1)
    book >> ev.ProbeDue(1) << RunProbe(1)
    book >> ev.ProbePassed(1) << StartTimer(Timer.PROBE, 15.0, 1)


@pytest.mark.parametrize("make", [verifying, up, degraded])
def test_restart_closes_the_old_and_dials_anew(make: object) -> None:
    assert callable(make)
    book: Playbook = make()
    book >> ev.RestartRequested() << CloseConnection(1) << CancelTimers() << OpenConnection(2)
    book.at(State.CONNECTING)
    book >> ev.ConnectionClosed(1)
    book >> ev.ConnectionLost(1, LOST)
    book >> ev.ProbePassed(1)
    book.at(State.CONNECTING)
    assert book.machine.losses == 0


@pytest.mark.parametrize("make", [connecting, verifying, up, degraded])
def test_stop_closes_what_is_open(make: object) -> None:
    assert callable(make)
    book: Playbook = make()
    book >> ev.StopRequested() << CancelTimers() << CloseConnection(1)
    book >> ev.Connected(1)
    book >> ev.ConnectFailed(1, LOST)
    book.at(State.STOPPING)
    assert book.machine.failure is None
    book >> ev.ConnectionClosed(1)
    book.at(State.STOPPED)


@pytest.mark.parametrize("make", [backoff, failed])
def test_stop_with_nothing_open_is_immediate(make: object) -> None:
    assert callable(make)
    book: Playbook = make()
    book >> ev.StopRequested() << CancelTimers()
    book.at(State.STOPPED)
    assert book.machine.failure is None


def test_up_again_while_waiting_dials_now() -> None:
    book = backoff()
    book >> ev.StartRequested() << CancelTimers() << OpenConnection(2)


@pytest.mark.parametrize("make", [connecting, up, stopping])
def test_up_again_otherwise_changes_nothing(make: object) -> None:
    assert callable(make)
    book: Playbook = make()
    state = book.machine.state
    book >> ev.StartRequested()
    book.at(state)


def test_answers_of_an_older_attempt_are_dropped() -> None:
    book = backoff().skip(ev.RetryDue(1)).at(State.CONNECTING)
    for late in (ev.Connected(1), ev.ConnectFailed(1, UNKNOWN_KEY), ev.ConnectionLost(1, LOST), ev.RetryDue(1)):
        book >> late
        book.at(State.CONNECTING)
    assert book.machine.connects == 0


def test_flapping_comes_and_goes() -> None:
    book = Playbook(Policy(flap_losses=3, flap_window=100.0)).skip(ev.StartRequested())
    for attempt in (1, 2, 3):
        book.skip(ev.Connected(attempt))
        assert not book.machine.pace.flapping
        book.skip(ev.ConnectionLost(attempt, LOST)).wait(10.0)
        if attempt < 3:
            book.skip(ev.RetryDue(attempt))
    assert book.machine.pace.flapping
    book.wait(65.0).skip(ev.RetryDue(3)).skip(ev.Connected(4))
    assert book.machine.pace.flapping
    book.wait(10.0).skip(ev.ProbePassed(4))
    assert not book.machine.pace.flapping


def test_every_change_is_reported_once() -> None:
    book = up()
    assert book.machine.moves == [
        (State.STOPPED, State.CONNECTING),
        (State.CONNECTING, State.VERIFYING),
        (State.VERIFYING, State.UP),
    ]


# Is it still there?

DRAIN = RetireConnection(1, 10.0)
SILENT = Failure(Code.KEEPALIVE_TIMEOUT, "the host no longer answers")


def test_stalled_traffic_is_a_question_and_a_slow_answer_no_outage() -> None:
    book = up()
    book >> ev.TrafficStalled(1) << CheckConnection(1)
    book >> ev.TrafficStalled(1)  # asked already
    book >> ev.ConnectionSlow(1)
    book >> ev.ConnectionAnswered(1)
    book.at(State.UP)
    book >> ev.TrafficStalled(1) << CheckConnection(1)
    assert book.machine.losses == 0


def test_a_silent_server_is_lost_and_dialled_at_once() -> None:
    book = up()
    book >> ev.TrafficStalled(1) << CheckConnection(1)
    book >> ev.ConnectionSilent(1, SILENT) << DRAIN << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 1)
    book.at(State.BACKOFF)
    assert book.machine.losses == 1
    assert book.machine.failure is SILENT
    book >> ev.ConnectionLost(1, LOST)  # its end is no second loss
    book >> ev.RetryDue(1) << CancelTimers() << OpenConnection(2)
    assert book.machine.losses == 1


def test_a_gateway_and_a_server_that_are_silent_are_one_loss() -> None:
    book = up()
    book >> ev.ProbeFailed(1, NOT_LISTENING) << CheckConnection(1)
    book >> ev.ConnectionSilent(1, SILENT) << DRAIN << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 1)
    book.at(State.BACKOFF)


def test_on_a_busy_line_the_gateway_is_asked_again_when_the_line_has_answered() -> None:
    """Behind a large upload a question takes its time: that is no gateway that is down."""
    book = up()
    book >> ev.TrafficStalled(1) << CheckConnection(1)
    book >> ev.ProbeFailed(1, NOT_LISTENING)  # the check that runs will tell
    book >> ev.ConnectionSlow(1)
    book >> ev.ConnectionAnswered(1) << StartTimer(Timer.PROBE, 0.5, 1)
    book.at(State.UP)


def test_silence_after_a_network_change_may_pass() -> None:
    """The card was off for a moment, and has its old address again: downloads go on."""
    book = up().wait(60.0).skip(ev.NetworkChanged(moved=True)).skip(ev.ConnectFailed(2, REFUSED))
    book >> ev.ConnectionSilent(1, SILENT) << DRAIN << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 1)


def test_silence_after_sleep_is_the_end_of_the_connection() -> None:
    book = up().skip(ev.Woke())
    book >> ev.ConnectionSilent(1, SILENT) << CloseConnection(1) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 1)
    book.at(State.BACKOFF)


@pytest.mark.parametrize("event", [ev.Woke(), ev.NetworkChanged()])
def test_after_sleep_or_a_network_change_slowness_dials_beside(event: ev.Event) -> None:
    book = up().wait(60.0)
    book >> event << CheckConnection(1)
    book >> event  # asked already
    book >> ev.ConnectionSlow(1) << OpenConnection(2)
    book.at(State.UP)
    book >> ev.ConnectionSlow(1)
    book.done()
    assert book.machine.replacement == Dial(2)


def test_whoever_answers_first_carries_the_clients() -> None:
    """The old one answers after all: the second dial is given up, and the gateway is looked at."""
    book = up().wait(60.0).skip(ev.Woke()).skip(ev.ConnectionSlow(1))
    book >> ev.ConnectionAnswered(1) << CloseConnection(2) << RunProbe(1)
    book >> ev.Connected(2)
    book.at(State.UP)
    assert (book.machine.attempt, book.machine.replacement, book.machine.connects) == (1, None, 1)


def test_make_before_break() -> None:
    """The new one is there first: it takes over without a moment in which nothing is up."""
    book = up().wait(60.0)
    book >> ev.NetworkChanged(moved=True) << CheckConnection(1) << OpenConnection(2)
    (book >> ev.Connected(2) << CancelTimers() << RetireConnection(1, 3.0) << RunProbe(2))
    book.at(State.UP)
    book >> ev.ConnectionSilent(1, SILENT)  # the old one may die as it likes
    book >> ev.ConnectionLost(1, LOST)
    book >> ev.ProbePassed(2) << StartTimer(Timer.PROBE, 15.0, 2)
    book.at(State.UP)
    assert (book.machine.connects, book.machine.losses) == (2, 0)


def test_a_degraded_tunnel_moves_as_well() -> None:
    book = degraded().wait(60.0)
    for _ in range(3):
        book.skip(ev.ConnectionAnswered(1))
    book >> ev.NetworkChanged(moved=True) << CheckConnection(1) << OpenConnection(2)
    book >> ev.Connected(2) << CancelTimers() << RetireConnection(1, 3.0) << RunProbe(2)
    book.at(State.DEGRADED)


def test_a_loss_while_the_second_dial_runs_waits_for_that_dial() -> None:
    book = up().wait(60.0).skip(ev.NetworkChanged(moved=True))
    book >> ev.ConnectionSilent(1, SILENT) << DRAIN << CancelTimers()
    book.at(State.CONNECTING)
    assert book.machine.moves[-2:] == [(State.UP, State.BACKOFF), (State.BACKOFF, State.CONNECTING)]
    book >> ev.Connected(2) << RunProbe(2)
    book.at(State.VERIFYING)


def test_and_gives_it_its_time_only_where_the_network_has_changed_since() -> None:
    """It may ask a name server of the network that is gone."""
    book = up().wait(60.0).skip(ev.NetworkChanged(moved=True)).wait(1.5)
    book >> ev.NetworkChanged(moved=True)
    book.wait(1.0) >> ev.ConnectionLost(1, LOST) << CancelTimers() << StartTimer(Timer.RETRY, 0.5, 2)
    book.at(State.CONNECTING)
    book.wait(0.5) >> ev.RetryDue(2) << CloseConnection(2) << CancelTimers() << OpenConnection(3)
    book >> ev.NetworkChanged(moved=False)  # once is enough
    book.at(State.CONNECTING)


def test_a_second_dial_that_fails_changes_nothing() -> None:
    """Not even where the reason is one for which a first dial would stop for good."""
    book = up().wait(60.0).skip(ev.NetworkChanged(moved=True))
    book >> ev.ConnectFailed(2, UNKNOWN_KEY)
    book.at(State.UP)
    book >> ev.NetworkChanged(moved=True)  # one dial a second, here as well
    book.wait(1.0)
    book >> ev.NetworkChanged(moved=True) << OpenConnection(3)
    book >> ev.ConnectionLost(1, LOST) << CancelTimers()
    book.at(State.CONNECTING)
    book >> ev.ConnectFailed(3, UNKNOWN_KEY) << CancelTimers() << StartTimer(Timer.RETRY, 15.0, 3)
    book.at(State.FAILED)


@pytest.mark.parametrize("event", [ev.StopRequested(), ev.RestartRequested()])
def test_stop_and_restart_give_the_second_dial_up(event: ev.Event) -> None:
    book = up().wait(60.0).skip(ev.NetworkChanged(moved=True))
    commands = book.machine.handle(event, book.now)
    assert CloseConnection(2) in commands
    assert CloseConnection(1) in commands
    assert book.machine.replacement is None


def test_a_change_that_comes_when_the_answer_is_late_already_dials_at_once() -> None:
    book = up().wait(60.0).skip(ev.TrafficStalled(1)).skip(ev.ConnectionSlow(1))
    book >> ev.NetworkChanged() << OpenConnection(2)


def test_waking_begins_a_dial_anew() -> None:
    book = connecting()
    book >> ev.Woke() << CloseConnection(1) << CancelTimers() << OpenConnection(2)
    book >> ev.ConnectFailed(1, LOST)
    book.at(State.CONNECTING)


def test_a_network_change_begins_a_dial_anew_once_and_after_its_time() -> None:
    """A computer whose networks change all the time still gets through to a slow server."""
    book = connecting().wait(1.0)
    book >> ev.NetworkChanged() << StartTimer(Timer.RETRY, 2.0, 1)
    book.wait(2.0)
    book >> ev.RetryDue(1) << CloseConnection(1) << CancelTimers() << OpenConnection(2)
    book.wait(5.0)
    book >> ev.NetworkChanged()
    book >> ev.Connected(2) << RunProbe(2)
    book >> ev.ConnectionLost(2, LOST) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 2)
    book.skip(ev.RetryDue(2)).wait(5.0)
    book >> ev.NetworkChanged() << StartTimer(Timer.RETRY, 0.0, 3)


# Servers that accept and drop


def test_a_server_that_accepts_and_drops_is_not_hammered_by_a_client_that_waits() -> None:
    """Dials within five minutes while somebody waits all the time, and what is shown."""
    book = connecting()
    dials, began, attempt = 1, book.now, 1
    while book.now - began < 300:
        (cancel, retry) = book.machine.handle(ev.ConnectFailed(attempt, HUNG_UP), book.now)
        assert cancel == CancelTimers()
        assert isinstance(retry, StartTimer)
        hurried = book.machine.handle(ev.ClientWaiting(), book.now)
        if isinstance(hurried[0], StartTimer):
            book.wait(min(retry.delay, hurried[0].delay))
            book.skip(ev.RetryDue(attempt))
        attempt += 1
        dials += 1
        assert book.at(State.CONNECTING).machine.attempt == attempt
    assert dials < 20
    assert book.machine.pace.flapping


def test_a_connection_that_dies_after_login_counts_as_dropped() -> None:
    book = connecting()
    for attempt in range(1, 7):
        book.skip(ev.Connected(attempt)).skip(ev.ConnectionLost(attempt, LOST))
        if attempt < 6:
            book.wait(60.0).skip(ev.RetryDue(attempt))
    assert book.machine.pace.flapping
    book >> ev.ClientWaiting() << StartTimer(Timer.HURRY, 16.0, 6)


def test_after_sleep_haste_is_back() -> None:
    book = connecting()
    for attempt in range(1, 9):
        book.skip(ev.ConnectFailed(attempt, HUNG_UP)).wait(60.0).skip(ev.RetryDue(attempt))
    book.skip(ev.ConnectFailed(9, HUNG_UP)).wait(1.0)
    book >> ev.Woke() << CancelTimers() << OpenConnection(10)


def test_when_the_network_is_gone_haste_is_back() -> None:
    book = connecting()
    for attempt in range(1, 9):
        book.skip(ev.ConnectFailed(attempt, HUNG_UP)).wait(60.0).skip(ev.RetryDue(attempt))
    book.skip(ev.ConnectFailed(9, Failure(Code.TIMEOUT, "no answer"))).wait(1.0)
    book >> ev.ClientWaiting() << CancelTimers() << OpenConnection(10)


def test_refused_connections_are_no_drops() -> None:
    """sshd restarts, somebody waits: a dial a second is what brings the tunnel back at once."""
    book = connecting()
    for attempt in range(1, 20):
        book.skip(ev.ConnectFailed(attempt, REFUSED)).wait(1.0)
        book >> ev.ClientWaiting() << CancelTimers() << OpenConnection(attempt + 1)
    assert not book.machine.pace.flapping
