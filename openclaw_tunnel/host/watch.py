"""Has a file changed? Asked by those who wait for a person to fix something."""

import hashlib
import os
import stat
from collections.abc import Iterable

_LARGEST = 1 << 22  # bytes; of a larger file the size and the times count instead

Fingerprint = tuple[int, int, bytes | int] | None
Looks = dict[str, Fingerprint]

LOOK_SECONDS = 1.0
"""What a look at all files of one kind may take; a home on a network that is away takes for ever."""


def fingerprint(path: str) -> Fingerprint:
    """What distinguishes one version of a file from the next: mode, owner, and a digest of the content.

    By content, because programs rewrite files with what was in them: ssh its known_hosts, an editor without a change.
    The mode counts, because a key that others can read is not used. None: it is not there, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        whole = stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST
        content = _digest(descriptor) if whole else found.st_ctime_ns
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return found.st_mode, found.st_uid, content


def fingerprints(paths: Iterable[str]) -> Looks:
    """Those of several files, by path."""
    return {path: fingerprint(path) for path in paths}


def _digest(descriptor: int) -> bytes:
    digest = hashlib.sha256()
    while block := os.read(descriptor, 1 << 16):
        digest.update(block)
    return digest.digest()
