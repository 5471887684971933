"""Which hooks a tunnel's way through its states asks for."""

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.notify.hook_events import HookEvent, HookEvents
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot, Verdict
from support.snapshots import snapshot

UP, DOWN, FAILURE = HookEvent
CHANGED = Failure(Code.HOST_KEY_CHANGED, "the host key has changed")
DENIED = Failure(Code.AUTH_DENIED, "the login was refused")
LOST = Failure(Code.LOST, "the connection was lost")
SILENT = Failure(Code.NOT_LISTENING, "nothing listens")


class Events:
    """``sees`` a tunnel at a moment, and says which hooks that asks for."""

    def __init__(self) -> None:
        self._events = HookEvents()

    def sees(self, *tunnels: Snapshot | State) -> list[HookEvent]:
        """Of all that it sees, one after the other."""
        taken = [tunnel if isinstance(tunnel, Snapshot) else snapshot(tunnel) for tunnel in tunnels]
        return [event for tunnel in taken for event in self._events.see(tunnel)]


def test_up_lost_up_again_and_closed() -> None:
    events = Events()
    assert events.sees(State.CONNECTING, State.VERIFYING) == []
    assert events.sees(State.UP, State.UP) == [UP]
    assert events.sees(snapshot(State.BACKOFF, LOST), State.CONNECTING, State.VERIFYING) == [DOWN]
    assert events.sees(State.UP, State.STOPPING, State.STOPPED) == [UP, DOWN]


def test_a_gateway_that_is_away_is_no_failure_but_down() -> None:
    events = Events()
    assert events.sees(State.UP, snapshot(State.DEGRADED, SILENT), snapshot(State.DEGRADED, SILENT)) == [UP, DOWN]
    assert events.sees(State.UP) == [UP]


def test_a_restart_is_down_and_up() -> None:
    assert Events().sees(State.UP, State.CONNECTING, State.VERIFYING, State.UP) == [UP, DOWN, UP]


def test_failure_is_told_once_however_often_it_is_tried_again() -> None:
    events = Events()
    assert events.sees(State.CONNECTING, snapshot(State.FAILED, CHANGED), snapshot(State.FAILED, CHANGED)) == [FAILURE]
    assert events.sees(State.CONNECTING, snapshot(State.FAILED, CHANGED)) == []
    assert events.sees(State.CONNECTING, snapshot(State.FAILED, DENIED)) == [FAILURE]
    assert events.sees(State.CONNECTING, State.VERIFYING, State.UP) == [UP]
    assert events.sees(State.CONNECTING, snapshot(State.FAILED, DENIED)) == [DOWN, FAILURE]


def test_a_tunnel_that_was_closed_and_opened_again_tells_of_its_failure_again() -> None:
    events = Events()
    assert events.sees(snapshot(State.FAILED, CHANGED), State.STOPPED, snapshot(State.FAILED, CHANGED)) == [FAILURE] * 2


def test_what_the_gateway_refuses_is_a_failure_of_a_tunnel_that_is_up() -> None:
    events = Events()
    refused = snapshot(State.UP, verdict=Verdict.AUTH_FAILED)
    assert events.sees(State.UP, refused, refused) == [UP, FAILURE]
    assert events.sees(snapshot(State.BACKOFF, LOST), State.VERIFYING, refused) == [DOWN, UP]
    assert events.sees(State.UP, refused) == [FAILURE]


def test_up_and_failure_at_one_moment() -> None:
    assert Events().sees(snapshot(State.UP, verdict=Verdict.PAIRING_REQUIRED)) == [UP, FAILURE]
