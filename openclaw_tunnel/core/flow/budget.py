"""How much memory the far ends of channels can make this process use. Pure.

A window that has been granted cannot be taken back: whoever was promised it may send that much, whether the client here
reads or not. So what has been promised and not yet been handed on is counted, for each connection and for all together.
"""

TUNNEL = 32 << 20
"""Bytes that the channels of one connection may have at most."""

ALL = 64 << 20
"""Bytes that the channels of all connections may have at most."""

SMALL = 32 << 10
"""Bytes up to which a channel gets its part of what is kept back for those that have little."""

_PARTS = 512
"""Nobody has more than this part of what is left beyond that: there is some for thousands of channels."""


class Budget:
    """Bytes to give away, and what is left of them.

    Args:
        total: bytes.
        parent: a budget that whatever is given away has to come out of as well.
    """

    def __init__(self, total: int, parent: "Budget | None" = None) -> None:
        self._total = total
        self._left = total
        self._parent = parent

    @property
    def left(self) -> int:
        """Bytes that are not given away."""
        return self._left if self._parent is None else min(self._left, self._parent.left)

    def for_one(self, has: int) -> int:
        """The most that one may get that has so much: a quarter is kept back for those that have little.

        Who has nothing gets one byte at least: nothing would come of them any more that frees some, or asks again.
        """
        small = min(SMALL, self.left // _PARTS) - has
        return max(0 if has else 1, small, self._less_reserve // 2)

    @property
    def _less_reserve(self) -> int:
        own = self._left - self._total // 4
        return own if self._parent is None else min(own, self._parent._less_reserve)

    def take(self, size: int) -> None:
        """Give so many bytes away."""
        self._left -= size
        if self._parent is not None:
            self._parent.take(size)

    def give_back(self, size: int) -> None:
        """So many bytes are free again."""
        self.take(-size)
