"""What a command has to note beside its answer: into the log of the daemon, never onto the terminal."""

import logging
import os
import time
import traceback
from pathlib import Path

from openclaw_tunnel.host.paths import Paths

_LOGGERS = ("openclaw_tunnel", "asyncssh", "asyncio")


def keep_off_the_terminal() -> None:
    """Send warnings and errors of this process to the log; a daemon that sets up its own takes that place."""
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(_HANDLER)


def append(level: str, message: str, error: BaseException | None = None) -> Path:
    """Add an entry, with the traceback of ``error``; the file, which is made where it is missing.

    Each entry is opened and closed anew: the daemon rotates the file.

    Raises:
        OSError: it cannot be written.
    """
    path = Paths.from_env(os.environ).log_file
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = "".join(traceback.format_exception(error)) if error else ""
    text = f"{stamp} {level} {message}\n" + "".join(f"  {line}\n" for line in told.splitlines())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    return path


class _ToLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a log that cannot be written costs the record, never the answer."""
        try:
            append(record.levelname, record.getMessage(), record.exc_info[1] if record.exc_info else None)
        except Exception:
            return


_HANDLER = _ToLog(logging.WARNING)
