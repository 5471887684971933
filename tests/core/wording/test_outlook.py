"""When a stopped tunnel tries again, in words."""

from openclaw_tunnel.core.retry import PLANS, Cause
from openclaw_tunnel.core.status import RetryStatus
from openclaw_tunnel.core.wording.outlook import ONLY_ON_REQUEST, outlook


def test_everything_that_counts_is_named() -> None:
    assert outlook(RetryStatus(3, 48.0, on=PLANS[Cause.LOGIN].triggers)) == (
        "in 48s, when a key, known_hosts, ssh_config or a settings file changes, when the keys in the SSH agent "
        "change, when the computer wakes up, when the network changes"
    )


def test_every_trigger_has_words() -> None:
    for plan in PLANS.values():
        for name in plan.triggers:
            assert outlook(RetryStatus(on=(name,))).startswith("when ")


def test_the_countdown_counts() -> None:
    assert outlook(RetryStatus(1, 15.0), 5.0) == "in 10s"
    assert outlook(RetryStatus(1, 15.0), 50.0) == "in 0s"


def test_what_asks_a_person_is_tried_on_request_only() -> None:
    assert outlook(RetryStatus(1)) == ONLY_ON_REQUEST


def test_what_a_newer_daemon_watches_is_passed_over() -> None:
    assert outlook(RetryStatus(1, 3.0, on=("moon",))) == "in 3s"
