"""What a person would tell of a history: a loss and its end are one incident, however many tries lay between."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from openclaw_tunnel.core.history.entries import Entry
from openclaw_tunnel.core.states import LINK_STATES, State


class What(StrEnum):
    """What happened to a tunnel, or to the computer it runs on."""

    STARTED = "started"
    UP = "up"  # and what was before is not known any more
    UNREACHED = "unreached"  # it was started, and no connection could be made
    LOST = "lost"
    DEGRADED = "degraded"
    FAILED = "failed"
    RESTARTED = "restarted"
    CLOSED = "closed"
    VANISHED = "vanished"  # the process that held it ended without a word
    SLEPT = "slept"


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happened.

    Attributes:
        at: when, in seconds since 1970; of SLEPT the end.
        before: the state that it ended.
        lasted_s: how long that was; of SLEPT the sleep. None where not known.
        reason: of a failure; empty elsewhere.
        tries: dials that failed since.
        last_reason: of the last of them, where it is another one.
        then: what ended it; None while it goes on, or where it is over at once (UP, CLOSED, VANISHED, SLEPT).
        took_s: seconds since the tunnel was up last, where ``then`` is UP.
    """

    at: float
    what: What
    before: State | None = None
    lasted_s: float | None = None
    reason: str = ""
    tries: int = 0
    last_reason: str = ""
    then: What | None = None
    took_s: float | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended, if it is the last one of a tunnel that runs."""
        return self.then is None and self.what in _OPEN


_OPEN = (What.STARTED, What.UNREACHED, What.LOST, What.DEGRADED, What.FAILED, What.RESTARTED)
_WITHOUT_LINK = (What.STARTED, What.UNREACHED, What.LOST, What.RESTARTED)


def summarise(entries: Iterable[Entry]) -> list[Incident]:
    """What happened, the oldest first; only the last one, or the last but what is over at once, can still go on."""
    summary = _Summary()
    for entry in entries:
        summary.take(entry)
    return summary.told


class _Summary:
    """Incidents that grow by one entry after the other."""

    def __init__(self) -> None:
        self.told: list[Incident] = []
        self._open: int | None = None

    def take(self, entry: Entry) -> None:
        """Go on with the next entry."""
        if entry.asleep_s:
            self.told.append(Incident(entry.at, What.SLEPT, lasted_s=entry.asleep_s))
            return
        match entry.state:
            case None:
                self._over(entry, What.VANISHED)
            case State.CONNECTING if entry.before is State.STOPPED:
                self._begin(entry, What.STARTED)
            case State.CONNECTING if entry.before in LINK_STATES:
                self._begin(entry, What.RESTARTED)
            case State.UP:
                self._up(entry)
            case State.DEGRADED:
                self._begin(entry, What.DEGRADED)
            case State.FAILED:
                self._begin(entry, What.FAILED)
            case State.BACKOFF:
                self._backoff(entry)
            case State.STOPPING | State.STOPPED if entry.before is not State.STOPPING:
                self._over(entry, What.CLOSED)
            case _:
                pass  # a step on the way to one of these

    def _begin(self, entry: Entry, what: What) -> None:
        self._end(what)
        self._open = len(self.told)
        self.told.append(_of(entry, what))

    def _over(self, entry: Entry, what: What) -> None:
        self._end(what)
        self.told.append(_of(entry, what))

    def _end(self, then: What, took_s: float | None = None) -> None:
        if self._open is not None:
            self.told[self._open] = replace(self.told[self._open], then=then, took_s=took_s)
        self._open = None

    def _up(self, entry: Entry) -> None:
        if self._open is None:
            self.told.append(Incident(entry.at, What.UP))
        self._end(What.UP, entry.took_s)

    def _backoff(self, entry: Entry) -> None:
        was_no_use = entry.before in (State.CONNECTING, State.VERIFYING)
        if self._open is not None and self.told[self._open].what in _WITHOUT_LINK and was_no_use:
            self.told[self._open] = _one_more_try(self.told[self._open], entry)
        else:
            self._begin(entry, What.UNREACHED if entry.before is State.CONNECTING else What.LOST)


def _of(entry: Entry, what: What) -> Incident:
    repeated = what is What.FAILED and entry.tries > 1  # a stopped tunnel tries now and then
    tries = entry.tries if what is What.UNREACHED or repeated else 0
    return Incident(entry.at, what, entry.before, entry.lasted_s, entry.message, tries)


def _one_more_try(present: Incident, entry: Entry) -> Incident:
    tries = present.tries + entry.tries
    if present.what is What.STARTED:
        return replace(present, what=What.UNREACHED, reason=entry.message, tries=tries)
    last = entry.message if entry.message != present.reason else ""
    return replace(present, tries=tries, last_reason=last)
