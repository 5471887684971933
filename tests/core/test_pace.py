"""core/pace.py: eager while the network is away, calm with a server that keeps hanging up."""

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.pace import Pace
from openclaw_tunnel.core.policy import Policy

POLICY = Policy(dial_gap=1.0, backoff_max=60.0, flap_losses=5, flap_window=300.0)


def failed(pace: Pace, *codes: Code) -> Pace:
    for code in codes:
        pace.failed(Failure(code, "it failed"), 1000.0)
    return pace


def new_pace() -> Pace:
    return Pace(POLICY, lambda tries: float(tries))


@pytest.mark.parametrize(
    ("codes", "gap"),
    [
        ([], 1.0),
        ([Code.NOT_SSH] * 2, 1.0),
        ([Code.NOT_SSH] * 3, 2.0),
        ([Code.NOT_SSH, Code.LOST, Code.KEEPALIVE_TIMEOUT, Code.LOST], 4.0),
        ([Code.NOT_SSH] * 8, 60.0),
        ([Code.NOT_SSH] * 2000, 60.0),
        ([Code.NOT_SSH] * 8 + [Code.TIMEOUT], 1.0),
        ([Code.NOT_SSH] * 8 + [Code.NO_ROUTE], 1.0),
        ([Code.NOT_SSH] * 8 + [Code.DNS], 1.0),
        ([Code.NOT_SSH] * 8 + [Code.REFUSED], 60.0),
        ([Code.REFUSED, Code.TIMEOUT, Code.PROXY, Code.HELPER] * 5, 1.0),
        ([Code.AGENT_UNREACHABLE] * 8, 60.0),  # a key file's login may have been refused each time
        ([Code.BUG] * 8, 60.0),
    ],
)
def test_how_long_a_waiting_client_has_to_wait(codes: list[Code], gap: float) -> None:
    pace = failed(new_pace(), *codes)
    pace.dialled(1000.0)
    assert pace.hurried_delay(1000.0) == gap
    assert pace.hurried_delay(1000.0 + gap) == 0.0
    assert pace.since_dial(1007.0) == 7.0


def test_where_it_flaps_chance_does_not_make_it_dial_early() -> None:
    never_waits = Pace(POLICY, lambda tries: 0.0)
    assert failed(never_waits, *[Code.LOST] * 4).retry_delay() == 0.0
    assert failed(never_waits, Code.LOST).retry_delay() == 4.0
    assert failed(never_waits, *[Code.LOST] * 20).retry_delay() == 30.0


def test_a_connection_that_lasted_makes_eager_again() -> None:
    pace = failed(new_pace(), *[Code.LOST] * 9)
    assert (pace.tries, pace.retry_delay()) == (9, 30.0)
    pace.connected(1000.0)
    pace.failed(Failure(Code.LOST, "lost"), 1000.0 + POLICY.stable_after)
    pace.dialled(0.0)
    assert (pace.tries, pace.hurried_delay(0.0)) == (1, 1.0)


def test_one_that_died_at_once_does_not() -> None:
    pace = failed(new_pace(), *[Code.LOST] * 9)
    pace.connected(1000.0)
    pace.failed(Failure(Code.LOST, "lost"), 1000.0 + POLICY.stable_after - 0.1)
    assert (pace.tries, pace.retry_delay()) == (10, 30.0)


@pytest.mark.parametrize(("lived", "longest"), [(2.0, 1.0), (10.0, 1.0), (12.0, 1.2), (300.0, 30.0), (6000.0, 60.0)])
def test_a_wait_is_at_most_a_tenth_of_the_life_before_it_for_three_tries(lived: float, longest: float) -> None:
    pace = Pace(POLICY, lambda tries: 60.0)
    pace.connected(1000.0)
    pace.failed(Failure(Code.LOST, "lost"), 1000.0 + lived)
    waits = [pace.retry_delay()]
    for _ in range(3):
        pace.failed(Failure(Code.TIMEOUT, "no answer"), 1000.0 + lived)
        waits.append(pace.retry_delay())
    assert waits == [longest, longest, longest, 60.0]


def test_a_connection_that_takes_over_goes_on_with_the_life_of_the_other() -> None:
    pace = Pace(POLICY, lambda tries: 60.0)
    pace.connected(1000.0)
    pace.connected(1119.0)
    pace.failed(Failure(Code.LOST, "lost"), 1120.0)
    assert pace.retry_delay() == 12.0


def test_hurried_tries_are_shown_and_not_counted() -> None:
    pace = new_pace()
    for hurried in (False, True, True, False):
        pace.failed(Failure(Code.REFUSED, "refused"), 1000.0, hurried=hurried)
    assert (pace.tries, pace.retry_delay()) == (4, 2.0)


def test_stops_are_counted_by_cause() -> None:
    pace = new_pace()
    denied, changed = Failure(Code.AUTH_DENIED, "denied"), Failure(Code.HOST_KEY_CHANGED, "changed")
    assert [pace.stopped(failure, 1000.0) for failure in (denied, denied, changed)] == [60.0, 120.0, 15.0]
    pace.begin_again()
    assert pace.stopped(changed, 2000.0) == 15.0
    pace.connected(3000.0)
    pace.look(3000.0)
    assert [pace.stopped(denied, 3000.0) for _ in range(3)] == [5.0, 15.0, 60.0]


def test_dials_that_keep_ending_in_failed_become_rare_and_the_time_forgives() -> None:
    pace, denied = new_pace(), Failure(Code.AUTH_DENIED, "denied")
    pace.connected(1000.0)
    rests, waits = [], []
    for _ in range(9):
        pace.begin_again()  # a file changed, or somebody waits
        waits.append(pace.stopped(denied, 1000.0))
        rests.append(pace.rest)
    assert rests == [0.0, 0.0, 0.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert waits == [5.0, 5.0, 5.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert pace.stopped(Failure(Code.NOT_CONFIRMED, "no"), 1000.0) is None
    pace.look(1300.0)
    assert pace.rest == 0.0


def test_flapping_comes_and_goes_with_time() -> None:
    pace = new_pace()
    for number in range(5):
        assert not pace.flapping
        pace.failed(Failure(Code.LOST, "lost"), 1000.0 + 10 * number)
    assert pace.flapping
    pace.look(1299.0)
    assert pace.flapping
    pace.look(1300.0)
    assert not pace.flapping


def test_a_very_small_ceiling_does_not_make_the_gap_smaller_than_asked_for() -> None:
    pace = failed(Pace(Policy(dial_gap=2.0, backoff_first=0.1, backoff_max=0.5), lambda tries: 0.0), *[Code.LOST] * 9)
    pace.dialled(0.0)
    assert pace.hurried_delay(0.0) == 2.0
