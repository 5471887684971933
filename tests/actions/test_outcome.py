"""What is shown of a tunnel that was asked for, and the exit code."""

from dataclasses import replace

import pytest

from openclaw_tunnel.actions.outcome import show_outcome
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, Snapshot
from openclaw_tunnel.errors import ExitCode

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True, note="[::1]:18789 is in use")
UP = Snapshot("default", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (FORWARD,))
REFUSED = replace(UP, state=State.BACKOFF, failure=FailureStatus("refused", "it refused", "is it running?", False, 20))


def test_one_that_came_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_outcome(UP) is ExitCode.OK
    said = capsys.readouterr()
    assert said.out == "default is up: http://127.0.0.1:18789 -> me@gateway.example:22\n"
    assert said.err == "note: [::1]:18789 is in use\n"


def test_one_that_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_outcome(REFUSED) is ExitCode.UNREACHABLE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: it refused\n\nhint: is it running?\nnote: default keeps trying")
