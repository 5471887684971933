"""What was read from files, kept for as long as the files are the same."""

import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")

_SETTLED = 2_000_000_000
"""Nanoseconds. File systems count time in steps of up to two seconds: what is written within the step in which a file
was read leaves no trace in its times."""


Version = tuple[int, int, int, int, int]
"""What distinguishes one state of a file from the next: device, inode, size, when it was modified and changed."""


def version_of(status: os.stat_result, now: int) -> Version | None:
    """The version of a file that is about to be read.

    Args:
        now: the time, in nanoseconds since the epoch.

    Returns:
        None where it could change without a trace: it is no regular file, or has only just been written.
    """
    times = (status.st_mtime_ns, status.st_ctime_ns)
    if not stat.S_ISREG(status.st_mode) or now - max(times) < _SETTLED:
        return None
    return status.st_dev, status.st_ino, status.st_size, *times


class FileCache(Generic[V]):
    """The last ``limit`` values that were read from files; safe for several threads.

    Args:
        clock: the time, in nanoseconds since the epoch.
    """

    def __init__(self, limit: int, clock: Callable[[], int] = time.time_ns) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Version, V]] = OrderedDict()

    def version(self, descriptor: int) -> Version | None:
        """The version of an open file, taken before it is read; see :func:`version_of`."""
        return version_of(os.fstat(descriptor), self._clock())

    def get(self, key: Hashable, version: Version | None) -> V | None:
        """What was kept under ``key`` for this version."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept[0] != version:
                return None
            self._kept.move_to_end(key)
            return kept[1]

    def put(self, key: Hashable, version: Version | None, value: V) -> None:
        """Keep a value in place of an older one; without a version nothing is kept."""
        with self._lock:
            self._kept.pop(key, None)
            if version is not None:
                self._kept[key] = version, value
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
