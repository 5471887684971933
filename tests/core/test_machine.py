"""The machine, as scripts of events and commands. Nothing here has a clock."""

import pytest

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.commands import CancelTimers, CloseConnection, OpenConnection, RunProbe, StartTimer, Timer
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import State
from support.playbook import Playbook

LOST = Failure(Code.LOST, "the connection was lost")
REFUSED = Failure(Code.REFUSED, "gateway.example:22 refused the connection")
UNKNOWN_KEY = Failure(Code.HOST_KEY_UNKNOWN, "the host key is not known")
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
    book >> ev.ProbePassed(1) << StartTimer(Timer.STABLE, 60.0, 1) << StartTimer(Timer.PROBE, 15.0, 1)
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
    assert book.machine.tries == 3


def test_loss_is_followed_by_a_dial() -> None:
    book = up()
    book >> ev.ConnectionLost(1, LOST) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 1)
    book.at(State.BACKOFF)
    book >> ev.RetryDue(1) << CancelTimers() << OpenConnection(2)
    book >> ev.Connected(2) << RunProbe(2)
    assert book.machine.failure is None
    assert (book.machine.connects, book.machine.losses) == (2, 1)


def test_attempts_are_forgotten_only_after_stable_time_up() -> None:
    """A server that accepts and drops does not reset the backoff by accepting."""
    book = up()
    for attempt, delay in ((1, 0.0), (2, 1.0), (3, 2.0)):
        book >> ev.ConnectionLost(attempt, LOST) << CancelTimers() << StartTimer(Timer.RETRY, delay, attempt)
        book.skip(ev.RetryDue(attempt)).skip(ev.Connected(attempt + 1)).skip(ev.ProbePassed(attempt + 1))
    book >> ev.StabilityReached(4)
    assert book.machine.tries == 0
    book >> ev.ConnectionLost(4, LOST) << CancelTimers() << StartTimer(Timer.RETRY, 0.0, 4)


def test_stability_does_not_count_while_the_gateway_is_down() -> None:
    book = up().skip(ev.ConnectionLost(1, LOST)).skip(ev.RetryDue(1)).skip(ev.Connected(2))
    book >> ev.StabilityReached(2)
    assert book.machine.tries == 1


def test_a_permanent_failure_stops() -> None:
    book = connecting()
    book >> ev.ConnectFailed(1, UNKNOWN_KEY) << CancelTimers()
    book.at(State.FAILED)
    assert book.machine.failure is UNKNOWN_KEY


@pytest.mark.parametrize("event", [ev.StartRequested(), ev.FilesChanged(), ev.RestartRequested()])
def test_failed_is_left_by_a_person(event: ev.Event) -> None:
    book = failed()
    book >> event << CancelTimers() << OpenConnection(2)
    book.at(State.CONNECTING)


@pytest.mark.parametrize("event", [ev.ClientWaiting(), ev.Woke(), ev.NetworkChanged(), ev.RetryDue(1)])
def test_failed_is_left_by_nothing_else(event: ev.Event) -> None:
    book = failed()
    book >> event
    book.at(State.FAILED)


def test_gateway_down_is_degraded_and_keeps_the_link() -> None:
    """Three misses in a row; no command ever closes the connection."""
    book = up()
    book >> ev.ProbeFailed(1, NOT_LISTENING) << StartTimer(Timer.PROBE, 0.5, 1)
    book.at(State.UP)
    book >> ev.ProbeDue(1) << RunProbe(1)
    book >> ev.ProbeFailed(1, NOT_LISTENING) << StartTimer(Timer.PROBE, 0.5, 1)
    book >> ev.ProbeDue(1) << RunProbe(1)
    book >> ev.ProbeFailed(1, NOT_LISTENING) << StartTimer(Timer.PROBE, 2.0, 1)
    book.at(State.DEGRADED)
    assert book.machine.failure is NOT_LISTENING
    book >> ev.ProbeDue(1) << RunProbe(1)
    book >> ev.ProbeFailed(1, NOT_LISTENING) << StartTimer(Timer.PROBE, 2.0, 1)
    book >> ev.ProbeDue(1) << RunProbe(1)
    book >> ev.ProbePassed(1) << StartTimer(Timer.STABLE, 60.0, 1) << StartTimer(Timer.PROBE, 15.0, 1)
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
    book >> ev.ProbeFailed(1, FORBIDDEN) << CancelTimers() << CloseConnection(1)
    book.at(State.FAILED)
    book >> ev.ConnectionClosed(1)
    book.at(State.FAILED)


def test_forbidden_later_on_is_a_gateway_that_does_not_answer() -> None:
    book = up()
    book >> ev.ProbeFailed(1, FORBIDDEN) << StartTimer(Timer.PROBE, 0.5, 1)
    book.at(State.UP)


def test_a_waiting_client_cuts_the_backoff_short() -> None:
    book = backoff().wait(1.0)
    book >> ev.ClientWaiting() << CancelTimers() << OpenConnection(2)


@pytest.mark.parametrize("event", [ev.ClientWaiting(), ev.Woke(), ev.NetworkChanged()])
def test_but_never_more_than_one_dial_a_second(event: ev.Event) -> None:
    book = backoff().wait(0.25)
    book >> event << StartTimer(Timer.RETRY, 0.75, 1)
    book.at(State.BACKOFF)


def test_waking_looks_at_a_link_that_seems_to_live() -> None:
    book = up()
    book >> ev.Woke() << RunProbe(1)
    book >> ev.NetworkChanged()  # a probe runs already
    book.at(State.UP)


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
    book >> ev.ConnectionClosed(1)
    book.at(State.STOPPED)
    assert book.machine.failure is None


@pytest.mark.parametrize("make", [backoff, failed])
def test_stop_with_nothing_open_is_immediate(make: object) -> None:
    assert callable(make)
    book: Playbook = make()
    book >> ev.StopRequested() << CancelTimers()
    book.at(State.STOPPED)


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
        assert not book.machine.flapping
        book.skip(ev.ConnectionLost(attempt, LOST)).wait(10.0)
        if attempt < 3:
            book.skip(ev.RetryDue(attempt))
    assert book.machine.flapping
    book.wait(65.0).skip(ev.RetryDue(3)).skip(ev.Connected(4))
    assert book.machine.flapping
    book.wait(10.0).skip(ev.ProbePassed(4))
    assert not book.machine.flapping


def test_every_change_is_reported_once() -> None:
    book = up()
    assert book.moves == [
        (State.STOPPED, State.CONNECTING),
        (State.CONNECTING, State.VERIFYING),
        (State.VERIFYING, State.UP),
    ]
