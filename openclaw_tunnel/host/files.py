"""Files that are never half written and never readable by others."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PRIVATE = 0o600


def write_atomic(path: Path, data: bytes, *, mode: int = _PRIVATE, sync: bool = True) -> None:
    """Put ``data`` into ``path`` so that every reader, at any time, sees the old content or the new.

    A temporary file in the same folder is written, synced to the disk and moved over ``path``. A symbolic
    link is followed: its target is replaced, the link stays. A crash leaves the old content.

    Args:
        mode: permission bits of the file, whatever the umask is.
        sync: wait for the disk, which can take seconds; without it a power cut may cost the content.

    Raises:
        OSError: it could not be written; ``path`` is as it was and no temporary file is left.
    """
    path = path.resolve()
    with _beside(path, data, mode, sync) as name:
        os.replace(name, path)
    if sync:
        _sync_folder(path.parent)


def write_new(path: Path, data: bytes, *, mode: int = _PRIVATE) -> None:
    """Make ``path`` with all of ``data`` at once, in no case in place of what is there.

    Args:
        mode: permission bits of the file, whatever the umask is.

    Raises:
        FileExistsError: with ``path`` as its ``filename``.
        OSError: it could not be written, and no temporary file is left.
    """
    with _beside(path, data, mode, sync=True) as name:
        try:
            os.link(name, path)
        except FileExistsError:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    _sync_folder(path.parent)


@contextlib.contextmanager
def _beside(path: Path, data: bytes, mode: int, sync: bool) -> Iterator[str]:
    """The name of a temporary file with all the data, in the folder of ``path``; it is gone at the end."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        yield name
    finally:
        with contextlib.suppress(OSError):  # mostly it has been moved to its place
            os.unlink(name)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
