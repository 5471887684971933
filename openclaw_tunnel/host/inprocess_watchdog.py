"""A watchdog inside the process, for service managers that have none (launchd)."""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable

from openclaw_tunnel.errors import ExitCode

_LOOKS = 6  # so many times it looks until it ends the process


def end_at_once() -> None:
    """Say on stderr where every thread stands, and end without any clean-up: what would do it hangs."""
    sys.stderr.write("error: no sign of life from the event loop; ending, to be started again\n")
    faulthandler.dump_traceback(all_threads=True)
    os._exit(ExitCode.BUG)


class InprocessWatchdog:
    """Ends the process when :meth:`beat` was not called for a while.

    Missed looks are counted, not seconds: a process that was stopped as a whole (a sleeping computer) misses none.
    """

    def __init__(self, *, seconds: float, die: Callable[[], None] = end_at_once) -> None:
        """Do not watch yet; ``seconds``: without a beat until ``die`` is called, from a thread."""
        self._every = seconds / _LOOKS
        self._die = die
        self._missed = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def beat(self) -> None:
        """A sign of life."""
        self._missed = 0

    def stop(self) -> None:
        """Watch no longer; idempotent."""
        self._end.set()

    def _watch(self) -> None:
        while not self._end.wait(self._every):
            self._missed += 1
            if self._missed > _LOOKS:
                self._die()
                return
