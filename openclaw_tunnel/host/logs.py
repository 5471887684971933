"""The log: one file for the daemon and all its tunnels, rotated by us.

What each level holds:

* ERROR: something of ours is broken; a traceback follows.
* WARNING: something the user should know that changed no tunnel's state; and what asyncssh says from WARNING up.
* INFO: the start and the end of the daemon, every change of a tunnel's state, and what hooks print. A quiet week is a
  few lines.
* DEBUG: every attempt, probe and client.

A line is ``2026-11-22T06:00:01Z INFO dev: up -> backoff after 3h 12m (the connection was lost), retry in 4.2s``;
the time is UTC, the word after the level names the tunnel. Lines of a traceback begin with a blank.
"""

import contextlib
import logging
import os
import sys
import time
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Any

ROOT = "openclaw_tunnel"
MAX_BYTES = 1 << 20
OLD_FILES = 3
_FOREIGN = ("asyncssh", "asyncio")


def setup_logging(log_file: Path | None, *, level: int | str = logging.INFO, to_stderr: bool = False) -> None:
    """Send this process's log to ``log_file``, to stderr, to both, or nowhere.

    May be called again: what an earlier call set up is closed first. The file is created with mode 0600 and
    rotated at 1 MiB; three older ones are kept as ``.1`` to ``.3``. The folder must exist. A disk that is full
    costs log lines, never the program.

    Raises:
        OSError: the file cannot be opened.
    """
    handlers: list[logging.Handler] = []
    if log_file is not None:
        handlers.append(_PrivateFile(log_file, maxBytes=MAX_BYTES, backupCount=OLD_FILES, encoding="utf-8"))
    if to_stderr:
        handlers.append(_Stderr(sys.stderr))
    for handler in handlers:
        handler.setFormatter(LogFormatter())
    for name in (ROOT, *_FOREIGN):
        logger = logging.getLogger(name)
        for old in logger.handlers[:]:
            logger.removeHandler(old)
            old.close()
        logger.handlers = handlers[:] or [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(level if name == ROOT else logging.WARNING)


def close_logging() -> None:
    """Undo :func:`setup_logging`: close the file, log nowhere."""
    setup_logging(None)


def tunnel_logger(name: str) -> logging.LoggerAdapter[logging.Logger]:
    """A logger whose lines begin with the tunnel's name (which, by its rules, holds no ``%``)."""
    return _Named(logging.getLogger(f"{ROOT}.tunnel"), {"tunnel": name})


class _Named(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"{(self.extra or {}).get('tunnel')}: {msg}", kwargs


class LogFormatter(logging.Formatter):
    """UTC to the second; one record is one line, and what follows it (a traceback) is indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).splitlines() or [""]
        return "\n  ".join("".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in lines)


class _PrivateFile(RotatingFileHandler):
    def _open(self) -> IO[Any]:  # type: ignore[override]  # typeshed names a class that open() only promises
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:
        """Keep quiet: nobody can be told, and a tunnel must outlive a full disk."""

    def close(self) -> None:
        """Close, even if what could not be written before cannot be written now."""
        with contextlib.suppress(OSError, ValueError):
            super().close()


class _Stderr(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Keep quiet: a terminal that was closed must not end a tunnel."""
