"""A settings file of somebody else's, replaced: in one step, with the earlier ones beside it."""

import contextlib
import errno
import os
from pathlib import Path

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.files import write_atomic

MOST_COPIES = 5
"""``openclaw.json.bak``, then ``.bak.1`` to ``.bak.4``, as OpenClaw keeps them."""


def replace_file(path: Path, before: bytes | None, after: bytes) -> Path | None:
    """Put ``after`` into ``path``, 0600; a folder that is missing is made, 0700.

    Args:
        before: what the file held when ``after`` was made from it; None: there was none.

    Returns:
        The copy of what it held; None where there was nothing.

    Raises:
        ConfigError: it was changed meanwhile, or cannot be written; it is as it was.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _content(path) != before:
            raise ConfigError(f"{path} was changed by another program at this moment", hint="call the command again")
        copy = None if before is None else _keep_copy(path, before)
        write_atomic(path, after)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "make room there, and call the command again" if full else "check who owns the file and its folder"
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint=hint) from None
    return copy


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _keep_copy(path: Path, content: bytes) -> Path:
    """The newest copy, after the others have made room: the oldest of ``MOST_COPIES`` goes."""
    copies = [path.with_name(f"{path.name}.bak" + (f".{n}" if n else "")) for n in range(MOST_COPIES)]
    for older, newer in zip(copies[:0:-1], copies[-2::-1], strict=True):
        with contextlib.suppress(FileNotFoundError):
            os.replace(newer, older)
    write_atomic(copies[0], content)
    return copies[0]
