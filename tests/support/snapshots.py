"""Snapshots of tunnels that were never opened: for tests of what is made of them."""

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, GatewayStatus, Snapshot, Verdict

SINCE = "2026-11-22T06:00:01Z"


def snapshot(
    state: State, failure: Failure | None = None, *, name: str = "default", verdict: Verdict | None = None
) -> Snapshot:
    """A tunnel in ``state``, about ``failure``; by default the gateway of one that is up is healthy."""
    verdict = verdict or (Verdict.HEALTHY if state is State.UP else Verdict.UNKNOWN)
    gateway = GatewayStatus(verdict, detail=None if verdict is Verdict.HEALTHY else "what it said; and what to do")
    told = FailureStatus(**failure.to_json(SINCE)) if failure else None
    return Snapshot(name, state, SINCE, "me@gw:22", "gw", (), gateway=gateway, failure=told)
