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
        ([Code.REFUSED, Code.TIMEOUT, Code.PROXY, Code.AGENT_UNREACHABLE] * 5, 1.0),
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


def test_forgetting_makes_eager_again() -> None:
    pace = failed(new_pace(), *[Code.LOST] * 9)
    assert (pace.tries, pace.retry_delay()) == (9, 30.0)
    pace.forget()
    pace.dialled(0.0)
    assert (pace.tries, pace.hurried_delay(0.0)) == (0, 1.0)
    assert failed(pace, Code.LOST).retry_delay() == 1.0


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
