"""One daemon per user: whoever holds this lock is the daemon."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from openclaw_tunnel.errors import RequestRefused


class DaemonRuns(RequestRefused):
    """Another process holds the lock: it is the daemon."""


class DaemonLock:
    """An exclusive ``flock`` on a file, held from :meth:`acquire` until :meth:`release` or the end of the process.

    A context manager too: held inside the ``with`` block.

    The kernel lets go of it however the process ends, so nothing a dead daemon leaves behind blocks the next.
    The file holds the process id of the last holder, for messages; it says nothing about who holds it now.
    """

    def __init__(self, path: Path) -> None:
        """Args: ``path`` of the lock file; its folder exists and is private."""
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock; does not wait.

        Raises:
            DaemonRuns: another process holds it.
            OSError: the file cannot be opened.
        """
        if self._descriptor is None and not self._take():
            pid = read_pid(self.path)
            raise DaemonRuns(
                "another openclaw-tunnel daemon of this user runs" + (f" (pid {pid})" if pid else ""),
                hint="see what it does: openclaw-tunnel status; end it: openclaw-tunnel down --all",
            )

    def release(self) -> None:
        """Let go; idempotent. The file stays: removing it would let two daemons hold two locks."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def still_ours(self) -> bool:
        """Whether ``path`` is still the file that is locked; if it was removed, it is made and locked again.

        False where that cannot be done: the folder is gone, or another daemon has taken its place.
        """
        if self._descriptor is None:
            return False
        if _same_file(self._descriptor, self.path):
            return True
        old, self._descriptor = self._descriptor, None
        try:
            return self._take()
        except OSError:
            return False
        finally:
            os.close(old)

    def _take(self) -> bool:
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same_file(descriptor, self.path):
                    os.fchmod(descriptor, 0o600)
                    os.ftruncate(descriptor, 0)
                    with contextlib.suppress(OSError):  # a full disk: the lock holds without the number
                        os.write(descriptor, f"{os.getpid()}\n".encode())
                    self._descriptor = descriptor
                    return True
            except BlockingIOError:
                return False
            finally:
                if self._descriptor != descriptor:
                    os.close(descriptor)


def read_pid(path: Path) -> int | None:
    """The process id that the last holder of the lock wrote into ``path``; None where there is none."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(path.read_bytes()[:32])
        return pid if pid > 0 else None
    return None


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False
