"""The end of the log, and what is added to it, through rotations."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

Chosen = Callable[[Iterable[str]], Iterable[str]]

_STEP = 0.2


def last_lines(log_file: Path, count: int, chosen: Chosen = iter) -> tuple[list[str], int]:
    """The last lines of the log, the older files ``.1`` and so on included, oldest first.

    Args:
        chosen: the lines of a file that count.

    Returns:
        The lines, and the position in ``log_file``, in bytes, where they end: at the end of a whole line.
    """
    older = sorted(log_file.parent.glob(f"{log_file.name}.[0-9]"), reverse=True)
    kept: deque[str] = deque(maxlen=count)
    position = 0
    for path in [*older, log_file]:
        data = _whole_lines(path)
        kept.extend(chosen(data.decode(errors="replace").splitlines()))
        position = len(data)
    return list(kept), position


def _whole_lines(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


def new_lines(log_file: Path, position: int) -> Iterator[str]:
    """Lines as they are written, from ``position`` on, through every rotation, for ever."""
    file = _successor(log_file, None)
    if file is not None:
        file.seek(position)
    try:
        while True:
            successor = _successor(log_file, file)  # asked for first: once there is one, nobody writes to the old file
            if file is not None:
                yield from _rest(file)
            if successor is None:
                time.sleep(_STEP)
                continue
            if file is not None:
                file.close()
            file = successor
    finally:
        if file is not None:
            file.close()


def _rest(file: BinaryIO) -> Iterator[str]:
    """The whole lines from the file's position on; of a line that is not finished nothing is taken."""
    data = file.read()
    whole = data.rfind(b"\n") + 1
    file.seek(whole - len(data), os.SEEK_CUR)
    yield from data[:whole].decode(errors="replace").splitlines()


def _successor(log_file: Path, file: BinaryIO | None) -> BinaryIO | None:
    """The log file, newly opened, if ``file`` is another one; None while it is the same or there is none."""
    try:
        if file is None or not os.path.samestat(os.fstat(file.fileno()), log_file.stat()):
            return log_file.open("rb")
    except FileNotFoundError:
        pass  # between two names
    return None
