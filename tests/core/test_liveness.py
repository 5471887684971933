"""When a state machine counts as standing still."""

from dataclasses import replace

import pytest

from openclaw_tunnel.core.link import DIAL_SECONDS, PERSON_SECONDS
from openclaw_tunnel.core.liveness import SLACK, is_stuck
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import RetryStatus, Snapshot

POLICY = Policy()
TUNNEL = Snapshot("a", State.UP, "2026-11-22T06:00:00Z", "me@host:22", "host", ())


@pytest.mark.parametrize("state", [State.CONNECTING, State.STOPPING])
def test_states_that_end_by_themselves(state: State) -> None:
    tunnel = replace(TUNNEL, state=state)
    limit = SLACK + (DIAL_SECONDS + PERSON_SECONDS if state is State.CONNECTING else 0)
    assert not is_stuck(tunnel, POLICY, limit)
    assert is_stuck(tunnel, POLICY, limit + 0.1)


def test_a_retry_that_is_due_and_does_not_come() -> None:
    due = replace(TUNNEL, state=State.BACKOFF, retry=RetryStatus(3, 0.0))
    later = replace(TUNNEL, state=State.BACKOFF, retry=RetryStatus(3, 12.0))
    assert is_stuck(due, POLICY, POLICY.backoff_max + SLACK + 1)
    assert not is_stuck(due, POLICY, 30)
    assert not is_stuck(later, POLICY, 1e9)


def test_a_stopped_tunnel_whose_retry_does_not_come() -> None:
    assert is_stuck(replace(TUNNEL, state=State.FAILED, retry=RetryStatus(3, 0.0)), POLICY, SLACK + 1)
    assert not is_stuck(replace(TUNNEL, state=State.FAILED, retry=RetryStatus(3, 300.0)), POLICY, 1e9)


@pytest.mark.parametrize("state", [State.UP, State.DEGRADED, State.VERIFYING, State.FAILED, State.STOPPED])
def test_states_that_may_last(state: State) -> None:
    assert not is_stuck(replace(TUNNEL, state=state), POLICY, 1e9)
