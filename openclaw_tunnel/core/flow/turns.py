"""Who goes next where everybody wants to: fair queueing by bytes. Pure.

Start-time fair queueing (Goyal, Vin, Cheng, 1996): everybody has a tag, the bytes they have had; whoever has the
smallest goes next. Who was away does not save anything up: they come back with what the one has that goes now, less a
small advance. So whoever sends little is never behind anybody who sends much, and those who send much get the same.
"""

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")

ADVANCE = 2 << 10
"""Bytes that who was away goes ahead of the others: a message, a request."""


class Turns(Generic[T]):
    """Those who wait, in their order."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._now = 0
        self._had: dict[T, int] = {}
        self._heap: list[tuple[int, int, T]] = []
        self._waiting: dict[T, int] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __contains__(self, who: object) -> bool:
        """Whether one waits."""
        return who in self._waiting

    def add(self, who: T) -> None:
        """One wants a turn; who waits already goes on waiting."""
        if who in self._waiting:
            return
        self._count += 1
        self._waiting[who] = self._count
        heapq.heappush(self._heap, (self._tag(who), self._count, who))

    def first(self) -> T | None:
        """Who goes next; None where nobody waits."""
        while self._heap and not self._waits(self._heap[0]):
            heapq.heappop(self._heap)  # has gone away meanwhile
        return self._heap[0][2] if self._heap else None

    def ahead(self, who: T) -> int:
        """Bytes that one may still have ahead of all who send much; 0 for those."""
        return max(0, self._now - self._tag(who))

    def take(self, who: T) -> None:
        """The turn of one begins: it waits no more."""
        del self._waiting[who]

    def charge(self, who: T, size: int) -> None:
        """One has had ``size`` bytes, in its turn or because nobody waited."""
        tag = self._tag(who)
        self._now = max(self._now, tag)
        self._had[who] = tag + size

    def forget(self, who: T) -> None:
        """One does not come back."""
        self._had.pop(who, None)
        if self._waiting.pop(who, None) is not None and len(self._heap) > 2 * len(self._waiting):
            self._heap = [entry for entry in self._heap if self._waits(entry)]
            heapq.heapify(self._heap)

    def _waits(self, entry: tuple[int, int, T]) -> bool:
        return self._waiting.get(entry[2]) == entry[1]

    def _tag(self, who: T) -> int:
        return max(self._had.get(who, 0), self._now - ADVANCE)
