"""The last trouble is remembered by how it began, once it is over (core/history/past_failure.py)."""

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.history.past_failure import LastTrouble
from openclaw_tunnel.core.states import State as S
from openclaw_tunnel.core.status import PastFailure, Was

LOST = Failure(Code.LOST, "the connection was lost")
REFUSED = Failure(Code.REFUSED, "h:22 refused the connection", {"host": "h:22"})
DEAF = Failure(Code.NOT_LISTENING, "nothing listens")
UNKNOWN = Failure(Code.HOST_KEY_UNKNOWN, "the host key is not known")

Move = tuple[S, S, Failure | None]


def told(*moves: Move) -> PastFailure | None:
    """What is remembered after these changes of the state, one every 10 s."""
    trouble = LastTrouble()
    for number, (before, state, failure) in enumerate(moves):
        trouble.note(before, state, failure, f"at {number}", 10.0 * number)
    return trouble.over


START: list[Move] = [(S.STOPPED, S.CONNECTING, None), (S.CONNECTING, S.VERIFYING, None), (S.VERIFYING, S.UP, None)]
BACK: list[Move] = [(S.BACKOFF, S.CONNECTING, REFUSED), *START[1:]]


def test_all_was_well() -> None:
    assert told(*START) is None
    assert told(*START, (S.UP, S.CONNECTING, None), *START[1:]) is None  # restarted


def test_a_loss_is_told_by_its_own_reason_when_it_is_over() -> None:
    away: list[Move] = [
        (S.UP, S.BACKOFF, LOST),
        (S.BACKOFF, S.CONNECTING, LOST),
        (S.CONNECTING, S.BACKOFF, REFUSED),
    ]
    assert told(*START, *away) is None
    assert told(*START, *away, *BACK) == PastFailure(Was.LOST, "lost", LOST.message, LOST.hint, "at 3", 50.0)


@pytest.mark.parametrize(
    ("move", "was"),
    [
        ((S.CONNECTING, S.BACKOFF, REFUSED), Was.UNREACHED),
        ((S.CONNECTING, S.FAILED, UNKNOWN), Was.UNREACHED),
        ((S.VERIFYING, S.FAILED, UNKNOWN), Was.UNREACHED),
        ((S.UP, S.DEGRADED, DEAF), Was.DEGRADED),
        ((S.DEGRADED, S.BACKOFF, LOST), Was.LOST),
        ((S.UP, S.CONNECTING, LOST), Was.LOST),  # a second dial was under way
    ],
)
def test_what_the_trouble_was(move: Move, was: Was) -> None:
    over = told(move, (S.VERIFYING, S.UP, None))
    assert over is not None
    assert (over.was, over.message, over.lasted_s) == (was, getattr(move[2], "message", ""), 10.0)


def test_one_that_is_closed_meanwhile_is_forgotten() -> None:
    closed: list[Move] = [(S.UP, S.BACKOFF, LOST), (S.BACKOFF, S.STOPPED, None), *START]
    assert told(*closed) is None
