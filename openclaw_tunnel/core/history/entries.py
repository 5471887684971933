"""What is written down of a tunnel, a line of JSON each: entries, and slots of time.

Each entry vouches for a stretch of time that ends with it (``known_s``). What no record vouches for is not known, be it
that nothing ran, the computer slept, or its clock was set.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from openclaw_tunnel.core.states import LINK_STATES, State

BEAT = 300.0
"""Seconds after which a tunnel whose state does not change is recorded all the same."""

SLOT = 1800.0
"""Seconds of one slot; they begin at full and half hours of UTC."""

NOTICEABLE = 10.0
"""Seconds not up in a slot below which it still counts as up: as long as a client is held, it noticed nothing."""

_MOST_SECONDS = 1e10
_END_OF_TIME = 2.5e11  # in the year 9892: every zone still has a calendar for it
_MOST_TEXT = 300


class Level(StrEnum):
    """How a stretch of time was, in one word."""

    UP = "up"
    MOSTLY_UP = "mostly_up"
    DEGRADED = "degraded"  # SSH up, the gateway not
    DOWN = "down"
    NONE = "none"  # nothing ran, or nobody knows


@dataclass(frozen=True, slots=True)
class Entry:
    """A state that a tunnel entered, or stayed in.

    Attributes:
        at: when; seconds since 1970.
        state: None where that is not known, as the process that held the tunnel ended without a word.
        before: the state that ended; the same as ``state`` where nothing changed.
        lasted_s: how long ``before`` was the state, without the time the computer slept; None where not known.
        known_s: how long before ``at`` the state is known to have been ``before``.
        took_s: where a tunnel came up, or ended without being up: seconds since it was up last, or was started.
        code, message: the failure that ``state`` is about; empty where there is none.
        tries: how many times in a row this happened.
        asleep_s: how long the computer slept until ``at``; 0 where the entry is about a state.
    """

    at: float
    state: State | None
    before: State
    lasted_s: float | None = None
    known_s: float = 0.0
    took_s: float | None = None
    code: str = ""
    message: str = ""
    tries: int = 1
    asleep_s: float = 0.0

    @property
    def is_loss(self) -> bool:
        """Whether an SSH connection that was there is gone."""
        return self.before in LINK_STATES and self.state in (State.BACKOFF, State.FAILED)

    def to_json(self) -> dict[str, Any]:
        """An element of ``entries`` in ``status --history --json``."""
        return {
            "at": stamp(self.at),
            "state": self.state,
            "before": self.before,
            "lasted_s": self.lasted_s,
            "took_s": self.took_s,
            "code": self.code or None,
            "message": self.message or None,
            "tries": self.tries,
            "asleep_s": self.asleep_s or None,
        }

    def line(self) -> str:
        """The JSON by which :func:`read_record` knows it again, without what need not be said."""
        told = {name: value for name, value in self.to_json().items() if value is not None}
        if self.tries == 1:
            del told["tries"]
        if self.known_s:
            told["known_s"] = self.known_s
        if self.message:
            told["message"] = self.message[:_MOST_TEXT]
        return json.dumps(told, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Slot:
    """Seconds by what the tunnel was, connections lost, and the longest time without being up that ended."""

    up: float = 0.0
    degraded: float = 0.0
    down: float = 0.0
    losses: int = 0
    longest: float = 0.0

    def __add__(self, other: "Slot") -> "Slot":
        return Slot(
            self.up + other.up,
            self.degraded + other.degraded,
            self.down + other.down,
            self.losses + other.losses,
            max(self.longest, other.longest),
        )

    @property
    def known(self) -> float:
        """Seconds of which it is known how they were."""
        return self.up + self.degraded + self.down

    @property
    def level(self) -> Level:
        """Down or degraded where it was not up for more than half of what is known, whichever was longer."""
        bad = self.degraded + self.down
        if self.known < 1.0:
            return Level.NONE
        if bad > self.up:
            return Level.DOWN if self.down >= self.degraded else Level.DEGRADED
        return Level.MOSTLY_UP if bad >= NOTICEABLE else Level.UP


@dataclass(frozen=True, slots=True)
class Slots:
    """A record of all slots up to ``at``; those that came before it are of no account any more."""

    at: float
    slots: Mapping[int, Slot]

    def line(self) -> str:
        """The JSON by which :func:`read_record` knows it again."""
        rows = [
            [number, round(s.up, 1), round(s.degraded, 1), round(s.down, 1), s.losses, round(s.longest, 1)]
            for number, s in sorted(self.slots.items())
        ]
        return json.dumps({"at": stamp(self.at), "slots": rows}, separators=(",", ":"))


Record = Entry | Slots


def read_record(line: str | bytes) -> Record:
    """The record on a line of JSON; what a newer version added to it is passed over.

    Raises:
        ValueError: it is none.
    """
    try:
        data = json.loads(line)
        if "slots" in data:
            return Slots(moment(data["at"]), {_count(row[0], -(10**9)): _slot(row) for row in data["slots"]})
        return _entry(data)
    except (KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no record of a history: {error!r}") from None


def stamp(at: float) -> str:
    """Seconds since 1970 as an RFC 3339 time in UTC, to the millisecond.

    Raises:
        ValueError, OverflowError, OSError: no year has that moment.
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> float:
    """The reverse of :func:`stamp`.

    Raises:
        TypeError, ValueError: it is no time, has no time zone, or is one that no clock of ours can have shown.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None or not 0 <= found.timestamp() < _END_OF_TIME:
        raise ValueError("not a time of day and year")
    return found.timestamp()


def _entry(data: Mapping[str, Any]) -> Entry:
    lasted, took = data.get("lasted_s"), data.get("took_s")
    return Entry(
        at=moment(data["at"]),
        state=None if data.get("state") is None else State(data["state"]),
        before=State(data["before"]),
        lasted_s=None if lasted is None else _seconds(lasted),
        known_s=_seconds(data.get("known_s", 0.0)),
        took_s=None if took is None else _seconds(took),
        code=str(data.get("code", ""))[:_MOST_TEXT],
        message=str(data.get("message", ""))[:_MOST_TEXT],
        tries=_count(data.get("tries", 1), 1),
        asleep_s=_seconds(data.get("asleep_s", 0.0)),
    )


def _slot(row: list[Any]) -> Slot:
    up, degraded, down, losses, longest = row[1:6]
    return Slot(_seconds(up), _seconds(degraded), _seconds(down), _count(losses), _seconds(longest))


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_SECONDS:
        raise ValueError("no number of seconds")
    return float(value)


def _count(value: Any, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST_SECONDS:
        raise ValueError("no number")
    return value
