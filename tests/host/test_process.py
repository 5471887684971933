"""Other processes: whether one runs (a zombie does not), what one prints, and its end."""

import os
import signal
import subprocess
import sys

from openclaw_tunnel.host.process import is_running, kill_group, printed_by, user_name
from support.waiting import wait_until


def test_running_dead_and_in_between() -> None:
    assert is_running(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert is_running(child.pid)
        child.send_signal(signal.SIGKILL)
        if sys.platform == "linux":  # killed and not yet reaped
            wait_until(lambda: not is_running(child.pid))
            os.kill(child.pid, 0)
        child.wait(10)
        assert not is_running(child.pid)


def test_what_a_program_prints() -> None:
    program = ["sh", "-c", "echo one; exit 3"]
    assert printed_by(program) == "one\n"
    assert printed_by(program, must_succeed=True) == ""
    assert printed_by(["/nowhere/program"]) == ""


def test_the_end_of_a_group() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as leader:
        kill_group(leader.pid)
        assert leader.wait(10) == -signal.SIGKILL
    kill_group(leader.pid)  # nobody is left of it: nothing happens


def test_the_name_of_a_user() -> None:
    assert user_name(0) == "root"
    assert user_name(2_000_000_001) == "2000000001"
