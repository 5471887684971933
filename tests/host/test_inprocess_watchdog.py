"""The watchdog inside the process."""

import subprocess
import sys
import threading
from pathlib import Path

from openclaw_tunnel.host.inprocess_watchdog import InprocessWatchdog
from support.cli import environment
from support.waiting import wait_until


def test_it_ends_the_process_only_without_beats() -> None:
    died = threading.Event()
    looks = []

    class Counted(threading.Event):
        """Time that passes at once, one look after another."""

        def wait(self, timeout: float | None = None) -> bool:
            looks.append(timeout)
            if len(looks) <= 20:
                watchdog.beat()
            return self.is_set()

    watchdog = InprocessWatchdog(seconds=6, die=died.set)
    watchdog._end = Counted()
    watchdog.start()
    wait_until(died.is_set, 5, "the end")
    assert looks == [1.0] * 26  # the last beat was in the 20th look


def test_stopped_it_ends_nothing() -> None:
    died = threading.Event()
    watchdog = InprocessWatchdog(seconds=0.01, die=died.set)
    watchdog.stop()
    watchdog.start()
    wait_until(lambda: not watchdog._thread.is_alive(), 5, "its end")
    assert not died.is_set()


def test_a_loop_that_hangs_ends_with_a_traceback(tmp_path: Path) -> None:
    code = (
        "import threading\n"
        "from openclaw_tunnel.host.inprocess_watchdog import InprocessWatchdog\n"
        "InprocessWatchdog(seconds=0.05).start()\n"
    )
    code += "def hangs():\n    threading.Event().wait(60)\nhangs()\n"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 70
    assert "no sign of life" in done.stderr
    assert "in hangs" in done.stderr
