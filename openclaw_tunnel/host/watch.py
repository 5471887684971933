"""Has a file changed? Asked by those who wait for a person to mend something."""

import os

Fingerprint = tuple[int, int, int] | None


def fingerprint(path: str) -> Fingerprint:
    """What tells one version of a file from the next: inode, size, time of change in ns; None if unreadable.

    The time is that of the inode (ctime): a corrected mode is a change, too.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_ctime_ns)
