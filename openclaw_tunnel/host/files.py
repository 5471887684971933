"""Files that are never half written and never readable by others."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PRIVATE = 0o600


def write_atomic(path: Path, data: bytes, *, mode: int = _PRIVATE) -> None:
    """Put ``data`` into ``path`` so that every reader, at any time, sees the old content or the new.

    A temporary file in the same folder is written, synced to the disk and moved over ``path``. A symbolic
    link is followed: its target is replaced, the link stays. A crash leaves the old content.

    Args:
        mode: permission bits of the file, whatever the umask is.

    Raises:
        OSError: it could not be written; ``path`` is as it was and no temporary file is left.
    """
    path = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def append_json_line(path: Path, record: Mapping[str, Any], *, max_bytes: int = 1 << 20) -> None:
    """Append ``record`` as one line of JSON; the file is created with mode 0600.

    When the file would grow beyond ``max_bytes`` its older half is dropped first, at a line's end, in one
    atomic step. One writer at a time: the holder of the daemon's lock.

    Raises:
        OSError: it could not be written.
        ValueError: ``record`` is not JSON, or alone longer than ``max_bytes``.
    """
    line = json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    if len(line) > max_bytes:
        raise ValueError(f"a record of {len(line)} bytes does not fit into {max_bytes}")
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size + len(line) > max_bytes:
            write_atomic(path, _newer_lines(path.read_bytes(), min(max_bytes // 2, max_bytes - len(line))))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE)
    with os.fdopen(descriptor, "ab") as file:
        file.write(line)


def _newer_lines(data: bytes, keep: int) -> bytes:
    """The whole lines among the last ``keep`` bytes of ``data``."""
    if len(data) <= keep:
        return data
    start = data.find(b"\n", len(data) - keep - 1) + 1
    return data[start:] if start else b""


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
