"""Unforeseen exceptions are logged with their traceback, at most once a minute per kind."""

import logging

import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.host.loop.tracebacks import LONGEST, Tracebacks, describe


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[Tracebacks, Clock]:
    clock = Clock()
    return Tracebacks(logging.getLogger("test.tracebacks"), clock=clock), clock


def test_a_traceback_is_logged_with_what_was_being_done(caplog: pytest.LogCaptureFixture) -> None:
    tracebacks, _ = make()
    error = ZeroDivisionError("1/0")
    assert tracebacks.log("asking the gateway", error)
    (record,) = caplog.records
    assert record.getMessage() == "internal error while asking the gateway"
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is error


def test_the_same_kind_is_logged_once_a_minute_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    tracebacks, clock = make()
    logged = []
    for _ in range(121):  # one a second, for two minutes
        logged.append(tracebacks.log("dialling", ValueError("again")))
        clock.now += 1
    assert [second for second, was in enumerate(logged) if was] == [0, 60, 120]
    assert [record.getMessage() for record in caplog.records] == [
        "internal error while dialling",
        "internal error while dialling (59 more of these since the last traceback)",
        "internal error while dialling (59 more of these since the last traceback)",
    ]


def test_another_place_or_type_is_another_kind() -> None:
    tracebacks, _ = make()
    assert tracebacks.log("dialling", ValueError())
    assert tracebacks.log("dialling", KeyError())
    assert tracebacks.log("asking the gateway", ValueError())
    assert not tracebacks.log("dialling", ValueError("with other words"))


def test_kinds_without_end_take_no_memory_without_end() -> None:
    tracebacks, _ = make()
    for number in range(10_000):
        tracebacks.log(f"counting to {number}", ValueError())
    assert len(tracebacks._seen) <= 256
    assert not tracebacks.log("counting to 9999", ValueError())


def test_the_failure_shows_what_happened(caplog: pytest.LogCaptureFixture) -> None:
    tracebacks, _ = make()
    failure = tracebacks.failure("asking the gateway", OverflowError("int too large"))
    assert failure.code is Code.BUG
    assert failure.message == "internal error while asking the gateway: OverflowError: int too large"
    tracebacks.failure("asking the gateway", OverflowError("int too large"))
    assert len(caplog.records) == 1


class Unspeakable(Exception):
    """Fails once more when its text is asked for."""

    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\nlines\x1b[31m\u202e and a \x9b"), "ValueError: two lines [31m and a"),
        (ValueError(), "ValueError"),
        (Unspeakable(), "Unspeakable"),
        (ValueError("x" * 10_000_000), "ValueError: " + "x" * (LONGEST - 3) + "..."),
    ],
)
def test_an_exception_is_described_on_one_short_line(error: Exception, text: str) -> None:
    assert describe(error) == text
