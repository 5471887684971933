"""A daemon in the background for whoever needs one."""

import contextlib
import os
import time
from pathlib import Path

from openclaw_tunnel.control.follow import Deadline, client_of
from openclaw_tunnel.control.orders import Ping
from openclaw_tunnel.daemon.standby import Standby, is_standing_by, last_words, start, take_early
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, TunnelError
from openclaw_tunnel.host.paths import Paths, ensure_private_dir

START_DEADLINE = 15.0
LOST_RACE = 2.0
"""Seconds that another daemon, to which ours lost the race for the lock, gets to open its socket."""

_DYING = 5.0
"""Seconds that a process which has hung up gets to end."""

_STEP = 0.02
_TAIL = 2000


def ensure_daemon(paths: Paths) -> None:
    """See to it that a daemon of this user answers.

    Raises:
        TunnelError: it does not, with its last words.
    """
    if not is_standing_by() and _answers(paths):
        return
    ensure_private_dir(paths.log_dir)
    standby = take_early() or start(os.environ)
    try:
        if not standby.begin(START_DEADLINE):
            _wait_for_another(paths, standby)
    finally:
        standby.release()


def _wait_for_another(paths: Paths, standby: Standby) -> None:
    """Ours has ended: in order where another one was faster, which will answer in a moment."""
    deadline = Deadline(LOST_RACE if standby.ended(_DYING) == 0 else 0)
    while deadline.left:
        if _answers(paths):
            return
        time.sleep(_STEP)
    words = last_words(paths)
    raise TunnelError(
        f"the background process did not start{_quoted(standby.said, words)}",
        hint=f"see what it said: {words}, and the log: openclaw-tunnel logs",
        exit_code=ExitCode.BUG,
    )


def _answers(paths: Paths) -> bool:
    try:
        client_of(paths).call(Ping(), timeout=5.0)
    except DaemonUnreachable:
        return False
    return True


def _quoted(said: bytes, words: Path) -> str:
    """The error that the daemon died of, else the last line of its traceback."""
    with contextlib.suppress(OSError):
        said = said or words.read_bytes()
    lines = said[-_TAIL:].decode(errors="replace").strip().splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    for line in (*errors, *lines[-1:]):
        return f": {line.strip()}"
    return ""
