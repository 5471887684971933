"""Other processes: whether one still runs, what it prints, the end of all that it has started."""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether a process of that id runs; one that has ended and was not yet reaped (a zombie) does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if sys.platform == "linux":
        try:
            return stat_fields(Path(f"/proc/{pid}"))[0] not in (b"Z", b"X")
        except (OSError, IndexError):
            return False
    return True


def stat_fields(folder: Path) -> list[bytes]:
    """What the ``stat`` of a process's folder in /proc holds from the state on: proc_pid_stat(5).

    Raises:
        OSError: the process is gone.
    """
    # they follow the name in parentheses, which may hold anything
    return (folder / "stat").read_bytes().rpartition(b")")[2].split()


def kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the group that a process leads, where there is one left."""
    # macOS answers "not permitted" for a group whose members are all dead
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def printed_by(command: Sequence[str], *, must_succeed: bool = False) -> str:
    """What a program prints on stdout; empty where it cannot be run or takes longer than a second.

    Args:
        must_succeed: empty also where its exit code is not 0.
    """
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=1.0, check=must_succeed)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def user_name(uid: int) -> str:
    """The name of a user; the id where the password database has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
