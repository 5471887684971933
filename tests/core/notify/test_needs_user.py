"""What wants a person, and what may pass by itself."""

from dataclasses import replace

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.notify.needs_user import Trouble, needs_person
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, RetryStatus, Snapshot, Verdict
from support.snapshots import SINCE, snapshot

CHANGED = Failure(Code.HOST_KEY_CHANGED, "the host key of gw has changed", {"trust": "openclaw-tunnel trust gw"})
SILENT = Failure(Code.NOT_LISTENING, "nothing listens on 127.0.0.1:18789")
OTHER = Failure(Code.NOT_A_GATEWAY, "a web server answers on 127.0.0.1:18789", {"to": "127.0.0.1:18789"})
REFUSED = Failure(Code.REFUSED, "gw refused the connection")


def test_what_failed_for_good_comes_with_its_message_and_the_next_step() -> None:
    trouble = needs_person(snapshot(State.FAILED, CHANGED))
    assert trouble == Trouble("host_key_changed 22", CHANGED.message, CHANGED.hint)


def test_a_tunnel_that_cannot_begin_has_a_trouble_for_each_reason() -> None:
    def cannot_begin(exit_code: int) -> Snapshot:
        failure = FailureStatus("cannot_begin", "no", "mend it", True, exit_code, SINCE)
        return Snapshot("a", State.FAILED, SINCE, "gw", "gw", (), failure=failure)

    keys = {trouble.key for code in (10, 23) if (trouble := needs_person(cannot_begin(code)))}
    assert keys == {"cannot_begin 10", "cannot_begin 23"}


def test_a_server_that_knew_us_may_be_booting() -> None:
    denied = Failure(Code.AUTH_DENIED, "gw refused the login of me")
    for left, bothers in ((5.0, False), (15.0, False), (60.0, True), (None, True)):
        shown = replace(snapshot(State.FAILED, denied), retry=RetryStatus(1, left))
        assert bool(needs_person(shown)) is bothers


def test_what_a_person_is_asked_is_shown_at_once() -> None:
    asks = replace(snapshot(State.CONNECTING), asks="open https://login.example/abc")
    trouble = needs_person(asks)
    assert trouble
    assert trouble.message == "waits for you: open https://login.example/abc"


@pytest.mark.parametrize("verdict", [Verdict.AUTH_FAILED, Verdict.PAIRING_REQUIRED, Verdict.PROTOCOL_MISMATCH])
def test_what_the_gateway_refuses_wants_a_person_though_the_tunnel_is_up(verdict: Verdict) -> None:
    trouble = needs_person(snapshot(State.UP, verdict=verdict))
    assert trouble
    assert (trouble.key, trouble.hint, trouble.by_gateway) == (verdict, "what it said; and what to do", True)
    assert trouble.message.startswith("the gateway ")


@pytest.mark.parametrize("failure", [OTHER, Failure(Code.LOOP, "it leads back", {"to": "127.0.0.1:18789"})])
def test_what_is_no_gateway_does_not_become_one(failure: Failure) -> None:
    trouble = needs_person(snapshot(State.DEGRADED, failure, verdict=Verdict.NOT_A_GATEWAY))
    assert trouble == Trouble(f"{failure.code} 32", failure.message, failure.hint)


@pytest.mark.parametrize(
    "passing",
    [
        snapshot(State.UP),
        snapshot(State.UP, verdict=Verdict.LIMITED_SCOPE),
        snapshot(State.DEGRADED, SILENT, verdict=Verdict.NOT_LISTENING),
        snapshot(State.BACKOFF, REFUSED),
        snapshot(State.CONNECTING, CHANGED),
        snapshot(State.BACKOFF, REFUSED, verdict=Verdict.AUTH_FAILED),
        snapshot(State.FAILED),
        snapshot(State.STOPPED),
    ],
)
def test_what_may_pass_by_itself(passing: Snapshot) -> None:
    assert needs_person(passing) is None
