"""Every change of the state is a line, but a night of failing tries is not thousands of them."""

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State as S
from openclaw_tunnel.core.wording.transition_log import EVERY, FIRST, TransitionLog

REFUSED = Failure(Code.REFUSED, "gw refused the connection")
AWAY = Failure(Code.NO_ROUTE, "no route to gw")


def fail(lines: TransitionLog, failure: Failure = REFUSED, times: int = 1) -> list[str]:
    """The lines of so many tries that fail."""
    told = []
    for _ in range(times):
        told.append(lines.line(S.CONNECTING, S.BACKOFF, failure, 0.02, 1.5))
        told.append(lines.line(S.BACKOFF, S.CONNECTING, failure, 1.5, None))
    return [line for line in told if line]


def test_what_a_line_says() -> None:
    lines = TransitionLog()
    assert lines.line(S.STOPPED, S.CONNECTING, None, 99.0, None) == "stopped -> connecting"
    assert lines.line(S.VERIFYING, S.UP, None, 0.1, None) == "verifying -> up after 0.1s"
    lost = Failure(Code.LOST, "the connection was lost")
    assert (
        lines.line(S.UP, S.BACKOFF, lost, 61.0, 0.0)
        == "up -> backoff after 1m 1s (the connection was lost), retry at once"
    )
    assert fail(lines) == [
        "connecting -> backoff after 20ms (gw refused the connection), retry in 1.5s",
        "backoff -> connecting after 1.5s",
    ]


def test_the_same_again_and_again() -> None:
    lines = TransitionLog()
    told = fail(lines, times=FIRST)
    assert len(told) == 2 * FIRST
    assert "(gw refused the connection; 10 times in a row; from now on one in 50 is logged)" in told[-2]
    assert fail(lines, times=EVERY - FIRST - 1) == []
    assert fail(lines) == [
        "connecting -> backoff after 20ms (gw refused the connection; 50 times in a row), retry in 1.5s",
        "backoff -> connecting after 1.5s",
    ]
    assert len(fail(lines, times=86400)) == 2 * 86400 // EVERY


def test_a_stopped_tunnel_that_tries_now_and_then() -> None:
    """Every 5 min for days: as with the tries of a backoff, not each of them is a line."""
    lines = TransitionLog()
    denied = Failure(Code.AUTH_DENIED, "gw refused the login")
    told = []
    for _ in range(EVERY):
        told.append(lines.line(S.CONNECTING, S.FAILED, denied, 0.1, 300.0))
        told.append(lines.line(S.FAILED, S.CONNECTING, denied, 300.0, None))
    assert [line for line in told if line] == [line for line in (*told[: 2 * FIRST], *told[-2:]) if line]
    assert "(gw refused the login; 50 times in a row), retry in 300.0s" in told[-2]


def test_words_that_change_and_reasons_that_take_turns_do_not_fill_the_log() -> None:
    lines, told = TransitionLog(), 0
    for second in range(1000):
        told += len(fail(lines, Failure(Code.PROXY, f"ProxyCommand did not get through: 12:00:{second} no")))
        told += len(fail(lines, AWAY))
    assert told == 2 * 2 * (FIRST + 1000 // EVERY)


def test_another_reason_and_the_end_are_told_at_once() -> None:
    lines = TransitionLog()
    fail(lines, times=EVERY - 1)
    assert len(fail(lines, AWAY)) == 2
    fail(lines, AWAY, times=EVERY - 2)
    assert lines.line(S.CONNECTING, S.VERIFYING, None, 0.1, None) == "connecting -> verifying after 0.1s"
    assert lines.line(S.UP, S.BACKOFF, AWAY, 5.0, 0.0)
    assert len(fail(lines, AWAY, times=FIRST)) == 2 * FIRST
