"""What ``up`` in the foreground says in a pipe; on a terminal: tests/real/test_screens.py."""

from dataclasses import replace

import pytest

from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from openclaw_tunnel.ui.foreground import Foreground

MAIN = ForwardStatus("127.0.0.1:1", "127.0.0.1:2", True, note="[::1]:1 is in use")
UP = Snapshot("dev", State.UP, "2026-11-22T06:00:01Z", "me@h:22", "h", (MAIN,))


def test_a_line_for_each_change_and_what_is_odd_about_its_ports(capsys: pytest.CaptureFixture[str]) -> None:
    with Foreground(["said before"]) as shown:
        shown.show()
        shown.show(UP)
        shown.show(UP, replace(UP, name="two", state=State.CONNECTING))
        shown.show(replace(UP, state=State.STOPPING))
        shown.closing()
        shown.show()
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "dev is up: http://127.0.0.1:1 -> me@h:22",
        "two is connecting to me@h:22",
        "dev is stopping",
    ]
    assert said.err == "note: [::1]:1 is in use\n"
