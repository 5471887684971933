"""What a command has to note beside its answer: into the log of the daemon, never onto the terminal."""

import contextlib
import logging
import os
from pathlib import Path

from openclaw_tunnel.host.paths import Paths

_LOGGERS = ("openclaw_tunnel", "asyncssh", "asyncio")


def keep_off_the_terminal() -> None:
    """Send warnings and errors of this process to the log; a daemon that sets up its own takes that place."""
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(_HANDLER)


def note_bug(error: BaseException) -> Path:
    """Note that a command failed, with the traceback; the file.

    Raises:
        OSError: it cannot be written.
    """
    told = {"levelname": "ERROR", "msg": "a command failed", "exc_info": (type(error), error, error.__traceback__)}
    return _append(logging.makeLogRecord(told))


def _append(record: logging.LogRecord) -> Path:
    """Add an entry to the file, which is made where it is missing, and opened anew: the daemon rotates it."""
    from openclaw_tunnel.host.logs import LogFormatter  # slow to load, and mostly there is nothing to note

    path = Paths.from_env(os.environ).log_file
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(LogFormatter().format(record) + "\n")
    return path


class _ToLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a log that cannot be written costs the record, never the answer."""
        with contextlib.suppress(Exception):
            _append(record)


_HANDLER = _ToLog(logging.WARNING)
