"""Exceptions that nobody foresaw: logged with their traceback, without filling the log, and turned into a failure.

Work that is repeated (a dial, a probe) may fail in the same way every few seconds, for days. One traceback a minute
shows as much as all of them.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure

INTERVAL = 60.0
"""Seconds between two tracebacks of one kind."""

LONGEST = 200
"""Characters of an exception's text that a failure shows."""

_MOST_KINDS = 256
"""Kinds that are remembered: more than the program has places and exception types."""


@dataclass(slots=True)
class _Seen:
    """When a kind was last logged, on the clock, and how often it has come since then."""

    at: float
    dropped: int = 0


class Tracebacks:
    """Logs unforeseen exceptions. A kind is what was being done, and the exception's type; each is logged at most
    once per interval, and the next one of its kind shows how many were left out."""

    def __init__(
        self,
        logger: "logging.LoggerAdapter[Any] | logging.Logger",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Have seen nothing yet.

        Args:
            clock: seconds on a clock that does not go back.
        """
        self._logger = logger
        self._clock = clock
        self._seen: dict[tuple[str, type[BaseException]], _Seen] = {}

    def log(self, doing: str, error: BaseException) -> bool:
        """Log ``error`` with its traceback, unless one of its kind was logged within the interval.

        Args:
            doing: what was being done, such as "asking the gateway"; a fixed text, without number or name.

        Returns:
            Whether it was logged.
        """
        now, kind = self._clock(), (doing, type(error))
        seen = self._seen.get(kind)
        if seen is not None and now - seen.at < INTERVAL:
            seen.dropped += 1
            return False
        more = f" ({seen.dropped} more of these since the last traceback)" if seen is not None and seen.dropped else ""
        self._remember(kind, now)
        self._logger.error("internal error while %s%s", doing, more, exc_info=error)
        return True

    def failure(self, doing: str, error: BaseException) -> Failure:
        """The failure that ``error`` is for the user; it is logged as in :meth:`log`."""
        self.log(doing, error)
        return Failure(Code.BUG, f"internal error while {doing}: {describe(error)}")

    def _remember(self, kind: tuple[str, type[BaseException]], now: float) -> None:
        self._seen.pop(kind, None)
        self._seen[kind] = _Seen(now)
        if len(self._seen) > _MOST_KINDS:
            del self._seen[next(iter(self._seen))]  # the one that was logged longest ago


def describe(error: BaseException) -> str:
    """Type and text of an exception on one printable, short line: the text may be another machine's words."""
    try:
        text = str(error)
    except Exception:  # an exception whose text cannot be had is described by its type
        text = ""
    words = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * LONGEST]).split())
    shown = words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__
