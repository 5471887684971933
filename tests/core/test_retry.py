"""core/retry.py: when a tunnel in FAILED tries again although nobody asks."""

from itertools import accumulate

import pytest

from openclaw_tunnel.core.failures import KINDS, Code, Failure
from openclaw_tunnel.core.retry import BACKING_OFF, PLANS, Cause, Plan


def waits(cause: Cause, count: int, *, accepted: bool = False) -> list[float | None]:
    return [PLANS[cause].wait(stops, accepted=accepted) for stops in range(1, count + 1)]


def test_every_cause_has_a_plan_and_every_code_a_cause() -> None:
    assert set(PLANS) == set(Cause)
    assert {kind.cause for kind in KINDS.values()} == set(Cause)


def test_files_decide() -> None:
    assert waits(Cause.LOCAL_FILES, 5) == [15.0, 60.0, 300.0, 300.0, 300.0]


def test_a_login_that_was_never_accepted_is_tried_rarely() -> None:
    """Each try is a failed login that a server may count."""
    assert waits(Cause.LOGIN, 7) == [60.0, 120.0, 300.0, 600.0, 900.0, 900.0, 900.0]


def test_a_server_that_knew_us_is_tried_soon() -> None:
    """It boots: back within a minute of its being well, for the first minutes."""
    assert waits(Cause.LOGIN, 4, accepted=True) == [5.0, 15.0, 60.0, 120.0]
    assert list(accumulate(filter(None, waits(Cause.LOGIN, 3, accepted=True)))) == [5.0, 20.0, 80.0]


def test_nobody_is_asked_again_unless_they_ask() -> None:
    assert waits(Cause.PERSON, 2) == [None, None]
    assert PLANS[Cause.PERSON] == Plan()


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause not in (*BACKING_OFF, Cause.PERSON)])
def test_whatever_else_stops_a_tunnel_is_tried_again(cause: Cause) -> None:
    assert PLANS[cause].wait(1000, accepted=False) is not None


def test_what_depends_on_this_computer_is_watched() -> None:
    watched = {Cause.LOCAL_FILES, Cause.LOGIN, Cause.SERVER_RULES, Cause.AGENT_AWAY}
    assert {cause for cause, plan in PLANS.items() if plan.on_files} == watched
    assert PLANS[Cause.LOGIN].triggers == ("files", "agent", "wake", "network")
    assert PLANS[Cause.SERVER_RULES].triggers == ("files", "network")
    assert {cause for cause, plan in PLANS.items() if plan.on_agent} == {Cause.LOGIN, Cause.AGENT_AWAY}


@pytest.mark.parametrize("code", [Code.HELPER, Code.BUG, Code.AGENT_UNREACHABLE, Code.PROXY, Code.PROXY_DENIED])
def test_helpers_and_bugs_pass(code: Code) -> None:
    assert KINDS[code].cause in BACKING_OFF
    assert not Failure(code, "m").permanent
