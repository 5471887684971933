"""The credentials are tried often enough to notice, and seldom enough to do no harm."""

import os
from dataclasses import replace

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.handshake import Attempt, Situation, fingerprint, has_restarted, may_try, overall
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.gateway.verdict import Judgement

THEN = Situation("a", connection=1, now=1000.0, version="2026.9.6", uptime=500.0)
HEALTHY = Judgement(Verdict.HEALTHY, "2026.9.6")
WRONG = Judgement(Verdict.AUTH_FAILED, failure=Failure(Code.AUTH_FAILED, "wrong"))
LOCKED = Judgement(Verdict.AUTH_FAILED, failure=Failure(Code.RATE_LIMITED, "locked"), expected_in=90.0)


def later(seconds: float, **changes: object) -> Situation:
    """The same situation some time later, with ``changes``."""
    return replace(THEN, **{"now": THEN.now + seconds, "uptime": 500.0 + seconds, **changes})  # type: ignore[arg-type]


def test_the_first_time_there_is_nothing_against_it() -> None:
    assert may_try(None, THEN)


@pytest.mark.parametrize("seconds", [1, 60, 600, 86_400])
@pytest.mark.parametrize("verdict", [Verdict.AUTH_FAILED, Verdict.PROTOCOL_MISMATCH, Verdict.LIMITED_SCOPE])
def test_what_was_refused_is_never_tried_again_by_itself(seconds: float, verdict: Verdict) -> None:
    last = Attempt(THEN, Judgement(verdict))
    assert not may_try(last, later(seconds))
    assert not may_try(last, later(seconds, connection=7)), "a new SSH connection makes a wrong token no better"
    assert not may_try(last, later(seconds, version=None, uptime=None))


def test_what_was_refused_is_tried_again_after_a_change() -> None:
    last = Attempt(THEN, WRONG)
    assert may_try(last, later(1, credential="b"))
    assert may_try(last, later(1, version="2026.9.7"))
    assert may_try(last, later(30, uptime=3.0))


def test_a_lockout_is_waited_for_and_then_tried_once() -> None:
    last = Attempt(THEN, LOCKED)
    assert not may_try(last, later(89))
    assert may_try(last, later(90))
    assert not may_try(Attempt(later(90), WRONG), later(3600))


def test_a_short_lockout_is_not_a_loop() -> None:
    last = Attempt(THEN, replace(LOCKED, expected_in=0.5))
    assert not may_try(last, later(30))
    assert may_try(last, later(60))


def test_success_is_looked_after_once_a_connection_and_every_ten_minutes() -> None:
    last = Attempt(THEN, HEALTHY)
    assert not may_try(last, later(599))
    assert may_try(last, later(600))
    assert may_try(last, later(1, connection=2))
    assert may_try(last, later(30, uptime=2.0))


@pytest.mark.parametrize("verdict", [Verdict.STARTING, Verdict.UNREACHABLE, Verdict.NOT_LISTENING, Verdict.UNKNOWN])
def test_silence_is_met_with_patience(verdict: Verdict) -> None:
    last = Attempt(THEN, Judgement(verdict))
    assert not may_try(last, later(59))
    assert may_try(last, later(60))


def test_pairing_is_asked_for_seldom() -> None:
    last = Attempt(THEN, Judgement(Verdict.PAIRING_REQUIRED))
    assert not may_try(last, later(599))
    assert may_try(last, later(600))


@pytest.mark.parametrize(
    ("changes", "restarted"),
    [
        ({}, False),
        ({"uptime": 528.0}, False),  # the answer took its time
        ({"uptime": 5000.0}, False),  # this computer slept, its clock with it
        ({"uptime": 4.0}, True),
        ({"uptime": None}, False),
        ({"version": None}, False),
        ({"version": "2026.9.7"}, True),
    ],
)
def test_a_restart_is_seen(changes: dict[str, object], restarted: bool) -> None:
    assert has_restarted(THEN, later(30, **changes)) is restarted


def test_a_refusal_is_shown_for_as_long_as_it_holds() -> None:
    probed = Judgement(Verdict.HEALTHY, "2026.9.6", uptime=530.0)
    last = Attempt(THEN, WRONG)
    shown = overall(probed, last, later(30))
    assert (shown.verdict, shown.version, shown.failure) == (Verdict.AUTH_FAILED, "2026.9.6", WRONG.failure)
    assert overall(probed, last, later(30, credential="b")) == probed
    assert overall(probed, last, later(30, uptime=1.0)) == probed
    assert overall(probed, Attempt(THEN, HEALTHY), later(30)) == probed
    assert overall(probed, Attempt(THEN, Judgement(Verdict.UNREACHABLE)), later(30)) == probed
    assert overall(probed, None, later(30)) == probed


def test_what_http_says_comes_first() -> None:
    starting = Judgement(Verdict.STARTING)
    assert overall(starting, Attempt(THEN, WRONG), later(30)) == starting


def test_a_fingerprint_tells_credentials_apart_and_nothing_else() -> None:
    key = os.urandom(32)
    several = [Credentials("ab"), Credentials("a", "b"), Credentials(None, "ab"), Credentials(), Credentials("\ud800")]
    names = [fingerprint(credentials, key) for credentials in several]
    assert len(set(names)) == len(names)
    assert names == [fingerprint(credentials, key) for credentials in several]
    assert fingerprint(Credentials("ab"), os.urandom(32)) != names[0]
    assert all("ab" != name and len(name) == 64 for name in names)
