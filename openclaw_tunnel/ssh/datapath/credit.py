"""What the far ends may send: how much each channel is granted, and when.

asyncssh gives a channel its whole window again when half of it is used, and never changes its size. Here the channels
of a connection share one window that is as large as the line needs. A channel earns what it uses: each byte that its
client has taken lets its share grow by one more, as TCP's slow start does, and where the window is used up, they are
granted in turns.
"""

from collections.abc import Callable
from typing import Protocol

from openclaw_tunnel.core.flow.budget import Budget
from openclaw_tunnel.core.flow.turns import Turns
from openclaw_tunnel.core.flow.window import Window

FIRST_LEAST, FIRST_MOST = 2 << 10, 64 << 10
"""Bytes that a channel may send before its client has taken any: few where many channels are opened at once."""

FIRST_PART = 8
"""They are such a part of what is free."""

_LOOK_LEAST, _LOOK_MOST, _LOOK_RTTS = 0.02, 0.5, 3  # seconds; round trips of the empty line
_USES = 4  # a channel that has sent less than this part of what it may, within that time, does not use it
_STEP_LEAST = 2 << 10


class Flow(Protocol):
    """One channel, as far as it receives."""

    def grant(self, size: int) -> None:
        """Let the far end send so many bytes more."""


class Share:
    """The part of one channel.

    Attributes:
        flow: the channel; None until it is open.
        outstanding: bytes that the far end may still send.
        kept: bytes that have come and that the client has not taken.
        limit: bytes that both may be together; 0 once the far end is gone.
        recent: bytes that have come since the last look.
        active: what is outstanding counts as under way. It is not where a channel does not use what it may.
        fresh: it was opened since the last look.
    """

    __slots__ = ("active", "flow", "fresh", "kept", "limit", "outstanding", "recent")

    def __init__(self, size: int) -> None:
        self.flow: Flow | None = None
        self.outstanding = self.limit = size
        self.kept = self.recent = 0
        self.active = self.fresh = True

    @property
    def in_use(self) -> bool:
        """It sends as much as it may, or may soon."""
        return self.fresh or self.recent * _USES >= self.outstanding

    @property
    def wanted(self) -> int:
        """Bytes that it would be granted if it were alone; 0 where that is not worth a packet."""
        size = self.limit - self.outstanding - self.kept
        step = self.limit // 8  # each is acknowledged, and shows how long a round trip takes
        return size if size >= max(step, _STEP_LEAST) or (not self.outstanding and size > 0) else 0


class Credit:
    """The windows of one connection's channels.

    Attributes:
        received: bytes that have come so far.
        under_way: bytes that were granted and have not come.
    """

    def __init__(self, window: Window, budget: Budget, clock: Callable[[], float]) -> None:
        """No channel is open; ``clock`` gives seconds."""
        self._window = window
        self._budget = budget
        self._clock = clock
        self._shares: set[Share] = set()
        self._turns: Turns[Share] = Turns()
        self.under_way = 0
        self._look_at = 0.0
        self.received = 0

    @property
    def held_back(self) -> bool:
        """A channel waits because the window is used up."""
        return bool(self._turns)

    @property
    def look_every(self) -> float:
        """Seconds between looks at which channels use what they may.

        While one waits, :meth:`settle` is to be called as often: where all others have gone silent, with the whole
        window granted to them, nothing else would let it go on.
        """
        return min(max(_LOOK_RTTS * self._window.base, _LOOK_LEAST), _LOOK_MOST)

    def open(self) -> Share:
        """A channel is about to be opened: its share is its first window."""
        size = min(max(self._free // FIRST_PART, FIRST_LEAST), FIRST_MOST)
        share = Share(max(1, min(size, self._budget.for_one(0))))
        self._shares.add(share)
        self.under_way += share.outstanding
        self._budget.take(share.outstanding)
        return share

    def end(self, share: Share) -> None:
        """The far end of a channel is gone, with what it was granted; what is kept still waits for the client."""
        if share in self._shares:
            self._turns.forget(share)
            self._rest(share)
            self._budget.give_back(share.outstanding)
            share.outstanding = share.limit = 0
            self._run()

    def close(self, share: Share) -> None:
        """A channel is gone, with all that it was granted, and nothing of it is kept."""
        if share in self._shares:
            self.end(share)
            self._shares.discard(share)
            self._budget.give_back(share.kept)
            self._run()

    def came(self, share: Share, size: int) -> None:
        """Bytes of a channel have come; its client has them when :meth:`taken` says so."""
        share.outstanding -= size
        share.kept += size
        share.recent += size
        self.received += size
        if share.active:
            self.under_way -= size

    def taken(self, share: Share, size: int) -> None:
        """The client has taken so many bytes, and would take more."""
        if share not in self._shares:
            return
        share.kept -= size
        self._budget.give_back(size)
        if share.limit:
            share.limit = min(share.limit + size, max(self._window.size, FIRST_LEAST))
        if share.wanted:
            self._turns.add(share)

    def settle(self) -> None:
        """What was freed meanwhile is granted."""
        self._run()

    @property
    def _free(self) -> int:
        return self._window.size - self.under_way

    def _run(self) -> None:
        self._look_for_idle()
        while (share := self._turns.first()) is not None:
            size = self._may(share)
            if size <= 0 and share.wanted:
                break
            self._turns.take(share)
            size = self._affordable(share, size)
            if size > 0:
                self._grant(share, size)
                if share.wanted:
                    self._turns.add(share)

    def _affordable(self, share: Share, size: int) -> int:
        """What the budget leaves of ``size``; 0 where that is not worth a packet.

        Then others get their turn: this one has something, and asks again when its client has taken that.
        """
        least = min(size, _STEP_LEAST) if share.outstanding else 1
        affordable = min(size, self._budget.for_one(share.outstanding + share.kept))
        return affordable if affordable >= least else 0

    def _may(self, share: Share) -> int:
        """Bytes to grant the first of those who wait: all it wants where it is alone, else a packet's worth."""
        free, wanted = self._free, share.wanted
        quantum = wanted if len(self._turns) == 1 else min(wanted, max(self._window.size // 8, _STEP_LEAST), 32 << 10)
        size = min(quantum, free)
        if size < min(quantum, self._window.size // 16):
            size = min(quantum, self._turns.ahead(share))
        return size

    def _grant(self, share: Share, size: int) -> None:
        if share.in_use:
            self._wake(share)
        share.outstanding += size
        if share.active:
            self.under_way += size
        self._budget.take(size)
        self._turns.charge(share, size)
        if share.flow is not None:
            share.flow.grant(size)

    def _look_for_idle(self) -> None:
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + self.look_every
        for share in self._shares:
            if not share.in_use:
                self._rest(share)
                share.limit = min(share.limit, FIRST_MOST)
            share.recent, share.fresh = 0, False

    def _wake(self, share: Share) -> None:
        if not share.active:
            share.active = True
            self.under_way += share.outstanding

    def _rest(self, share: Share) -> None:
        if share.active:
            share.active = False
            self.under_way -= share.outstanding
