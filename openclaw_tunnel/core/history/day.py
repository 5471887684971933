"""What became of one tunnel: the states it entered, and how its last day went, in bounded space.

A history is read from records, oldest first. As only what a record vouches for counts, a daemon that was killed or a
laptop that slept is never taken for a tunnel that was up.

An entry is kept for each change of state, the newest ``KEPT`` of them; tries that fail one after the other for the
same reason are one entry. A bad hour has more changes than that, so the day is not read from the entries: time is
added up as it is recorded, in slots of half an hour, and the slots outlive the entries.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from openclaw_tunnel.core.history.entries import BEAT, SLOT, Entry, Record, Slot, Slots, stamp
from openclaw_tunnel.core.states import State

KEPT = 500
"""Entries that are kept at most."""

KEPT_FOR = 8 * 86400.0
"""Seconds for which an entry is kept at most."""

SLOTS = 48
"""The slots of the last day, the present one included."""

_OVER = (State.STOPPED, State.STOPPING, None)
_TROUBLE = (State.BACKOFF, State.FAILED, State.DEGRADED)
_NEXT_TRY = ((State.BACKOFF, State.CONNECTING), (State.FAILED, State.CONNECTING))
_COUNTS_AS: Mapping[State | None, str] = {
    State.UP: "up",
    State.VERIFYING: "degraded",
    State.DEGRADED: "degraded",
    State.CONNECTING: "down",
    State.BACKOFF: "down",
    State.FAILED: "down",
}


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the line: when it begins, in seconds since 1970, how many seconds long it is, and what was in it."""

    start: float
    length: float
    slot: Slot


@dataclass(frozen=True, slots=True)
class Day:
    """The last day: its blocks, the oldest first, and all of them together."""

    blocks: tuple[Block, ...]
    total: Slot

    def to_json(self) -> dict[str, Any]:
        """The object ``day`` of ``status --history --json``."""
        total = self.total
        return {
            "uptime": round(total.up / total.known, 5) if total.known else None,
            **_seconds(total),
            "losses": total.losses,
            "longest_outage_s": round(total.longest, 1),
            "blocks": [
                {
                    "start": stamp(block.start),
                    "length_s": block.length,
                    "look": block.slot.level,
                    **_seconds(block.slot),
                    "losses": block.slot.losses,
                }
                for block in self.blocks
            ],
        }


def _seconds(slot: Slot) -> dict[str, float]:
    return {
        "up_s": round(slot.up, 1),
        "degraded_s": round(slot.degraded, 1),
        "down_s": round(slot.down, 1),
    }


@dataclass(frozen=True, slots=True)
class History:
    """What is known of one tunnel.

    Attributes:
        entries: the oldest first.
        slots: by number: that of a moment is its seconds since 1970, divided by ``SLOT``.
        at, state: of the last record.
        outage_at: since when it has not been up though it should be; None where it is up, or was never in trouble.
    """

    entries: tuple[Entry, ...] = ()
    slots: Mapping[int, Slot] = field(default_factory=dict)
    at: float | None = None
    state: State | None = None
    outage_at: float | None = None

    def day(self, now: float, running: State | None = None, count: int = SLOTS) -> Day:
        """The day that ends at ``now``.

        Args:
            running: the state of the tunnel now; None where it does not run.
            count: how many blocks; a divisor of ``SLOTS``.
        """
        slots, longest = self._until(now, running)
        each = SLOTS // count
        last = math.floor(now / (SLOT * each))
        blocks = []
        for number in range(last - count + 1, last + 1):
            of_block = (slots.get(number * each + more, Slot()) for more in range(each))
            blocks.append(Block(number * each * SLOT, each * SLOT, sum(of_block, Slot())))
        return Day(tuple(blocks), sum((b.slot for b in blocks), Slot(longest=longest)))

    def _until(self, now: float, running: State | None) -> tuple[Mapping[int, Slot], float]:
        """The slots, continued to ``now`` where the last record is fresh enough; the length of the present outage."""
        same = running is not None and _COUNTS_AS.get(running) == _COUNTS_AS.get(self.state)
        if self.at is None or not same or now - self.at > 2 * BEAT:
            return self.slots, 0.0
        adding = _Adding(self.slots)
        adding.time(self.state, self.at, now)
        return adding.slots, max(0.0, now - self.outage_at) if self.outage_at is not None else 0.0

    def ended(self) -> Self:
        """The same, where nobody holds the tunnel any more: a last state that was not its end is not known to go on."""
        if self.at is None or self.state is None or self.state in _OVER:
            return self
        return replace(self, entries=(*self.entries, Entry(self.at, None, self.state)), state=None, outage_at=None)

    def records(self, most_bytes: int) -> list[Record]:
        """As few records as say the same, with fewer of the older entries where they would be too long."""
        if self.at is None:
            return []
        now = self.at
        present = math.floor(now / SLOT)
        slots = Slots(now, {number: slot for number, slot in self.slots.items() if abs(number - present) <= SLOTS})
        room = most_bytes - len(slots.line()) - 1
        kept: list[Record] = []
        for entry in reversed(self.entries):
            room -= len(entry.line()) + 1
            if kept and (room < 0 or entry.at < now - KEPT_FOR):
                break
            kept.append(entry)
        return [*reversed(kept), slots]


def read(records: Iterable[Record]) -> History:
    """The history that these records tell, oldest first."""
    reading = _Reading()
    for record in records:
        reading.take(record)
    return History(tuple(reading.entries), reading.slots, reading.at, reading.state, reading.outage_at)


class _Adding:
    """Adds to slots."""

    def __init__(self, slots: Mapping[int, Slot]) -> None:
        self.slots = dict(slots)

    def time(self, state: State | None, start: float, end: float) -> None:
        """The time from ``start`` to ``end`` in ``state``; of a longer one only the last ``KEPT_FOR`` seconds."""
        kind = _COUNTS_AS.get(state)
        start = max(start, end - KEPT_FOR)
        while kind and start < end:
            stop = min(end, (math.floor(start / SLOT) + 1) * SLOT)
            self.one(start, Slot(**{kind: stop - start}))  # type: ignore[arg-type]  # one of its fields of seconds
            start = stop

    def one(self, at: float, more: Slot) -> None:
        """``more`` in the slot of the moment ``at``."""
        number = math.floor(at / SLOT)
        self.slots[number] = self.slots.get(number, Slot()) + more


class _Reading(_Adding):
    """A history that grows by one record after the other."""

    def __init__(self) -> None:
        super().__init__({})
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self.at: float | None = None
        self.state: State | None = None
        self.outage_at: float | None = None
        self._down_at: float | None = None

    def take(self, record: Record) -> None:
        """Go on with the next record."""
        if isinstance(record, Slots):
            self.slots = dict(record.slots)
        else:
            self._take_entry(record)
        self.at = record.at

    def _take_entry(self, entry: Entry) -> None:
        if self.at is not None and self.state and self.state is not State.STOPPED and entry.before is State.STOPPED:
            self._keep(Entry(self.at, None, self.state))  # a new process began, and the old one told no end
        start = entry.at - entry.known_s
        self.time(entry.before, start if self.at is None else max(start, self.at), entry.at)
        if entry.is_loss:
            self.one(entry.at, Slot(losses=1))
        self._follow_outage(entry)
        if entry.state is not entry.before or entry.asleep_s:
            self._keep(entry)
        self.state = entry.state

    def _follow_outage(self, entry: Entry) -> None:
        if entry.state is State.UP or entry.state in _OVER:
            if self.outage_at is not None and entry.took_s is not None:
                self.one(entry.at, Slot(longest=entry.took_s))
            self._down_at = self.outage_at = None
            return
        if self._down_at is None:
            self._down_at = entry.at
        if entry.state in _TROUBLE:
            self.outage_at = self._down_at

    def _keep(self, entry: Entry) -> None:
        if (entry.before, entry.state) in _NEXT_TRY:
            return  # how the next try ends is told by the next entry
        last = self.entries[-1] if self.entries else None
        if last and _is_try(last) and last.state is entry.state and _is_try(entry) and last.code == entry.code:
            self.entries[-1] = replace(last, tries=last.tries + entry.tries, message=entry.message)
        else:
            self.entries.append(entry)


def _is_try(entry: Entry) -> bool:
    """Whether a try to connect failed."""
    return entry.before is State.CONNECTING and entry.state in (State.BACKOFF, State.FAILED)
