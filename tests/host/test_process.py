"""Whether a process runs: a zombie does not."""

import os
import signal
import subprocess
import sys

from openclaw_tunnel.host.process import is_running
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
