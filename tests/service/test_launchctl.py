"""What launchctl's numbers and words mean."""

import pytest

from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.service.launchctl import BOOTOUT_FINE, PASSING, parse_job, refused
from openclaw_tunnel.service.manager import Done

PRINTED = """gui/501/ai.openclaw.ssh-tunnel = {
\tactive count = 1
\tstate = running

\targuments = {
\t\t/x
\t\tpid = 1
\t}

\tminimum runtime = 10
\truns = 3
\tpid = 4242
\tlast exit code = 78: EX_CONFIG

\tresource coalition = {
\t\tstate = active
\t}
}
"""


def test_print_is_read_by_its_outer_lines() -> None:
    job = parse_job(PRINTED)
    assert (job.state, job.pid, job.runs, job.last_exit) == ("running", 4242, 3, "78: EX_CONFIG")
    assert job.words == "running, last exit code 78: EX_CONFIG, started 3 times"
    assert not job.cannot_run  # it does run now
    down = parse_job(PRINTED.replace("\tpid = 4242\n", ""))
    assert down.cannot_run
    fresh = parse_job("x = {\n\tstate = not running\n\truns = 0\n\tlast exit code = (never exited)\n}")
    assert fresh.never_ran
    assert fresh.words == "not running"
    assert parse_job("").state == "unknown"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "does not know"),
        (5, "Login Items"),
        (36, "still working"),
        (37, "still ending"),
        (64, "does not understand"),
        (78, "refuses to start"),
        (112, "no session"),
        (113, "does not know"),
        (119, "Login Items"),
        (125, "this session"),
        (99, "launchctl error 99"),
    ],
)
def test_every_number_has_a_meaning_and_a_next_step(code: int, words: str) -> None:
    error = refused("bootstrap", Done(code, "", f"Bootstrap failed: {code}\nsecond"), "a.b", "/p")
    assert error.exit_code is ExitCode.SERVICE
    assert words in error.message + error.hint
    assert f"(launchctl bootstrap: {code}: Bootstrap failed: {code}; second)" in error.message
    assert error.hint
    assert "{" not in error.message + error.hint


def test_what_is_no_refusal() -> None:
    assert {0, 3, 5, 36, 37, 112, 113, 119, 125} - BOOTOUT_FINE == {5, 37, 119}
    assert {0, 3, 5, 36, 37, 119} & PASSING == {5, 36, 37}
    assert Done(1, "", "").words == "exit code 1"
