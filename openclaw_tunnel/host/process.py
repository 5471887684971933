"""Whether a process still runs."""

import os
import sys
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
            # state follows the name in parentheses, which may hold anything: proc_pid_stat(5)
            return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
        except (OSError, IndexError):
            return False
    return True
