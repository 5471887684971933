"""Where local clients wait while there is no link."""

import asyncio
from collections.abc import Callable

from openclaw_tunnel.core.link import Link


class Unavailable(Exception):
    """Waiting is pointless: the tunnel is stopped, or a person must act first."""


class Gate:
    """Hands the live link to clients; makes them wait while there is none.

    Attributes:
        waiting: clients that wait at this moment.
        held: clients that ever had to.
    """

    def __init__(self, on_waiting: Callable[[], None]) -> None:
        """Make a gate that refuses.

        Args:
            on_waiting: called whenever a client begins to wait.
        """
        self._on_waiting = on_waiting
        self._link: Link | None = None
        self._refusing = True
        self._changed = asyncio.Event()
        self.waiting = 0
        self.held = 0

    def open(self, link: Link) -> None:
        """Let everybody through to ``link``."""
        self._set(link, refusing=False)

    def hold(self) -> None:
        """Let clients wait: a link is on its way."""
        self._set(None, refusing=False)

    def refuse(self) -> None:
        """Turn clients away, those that wait included."""
        self._set(None, refusing=True)

    def _set(self, link: Link | None, *, refusing: bool) -> None:
        if (link, refusing) == (self._link, self._refusing):
            return
        self._link, self._refusing = link, refusing
        self._changed.set()
        self._changed = asyncio.Event()

    async def link(self, patience: float, *, but: Link | None = None) -> Link:
        """Return the live link, at once where there is one.

        Args:
            patience: seconds to wait for one.
            but: a link known to be dead: wait for the next one.

        Raises:
            Unavailable: the gate refuses.
            TimeoutError: patience is over.
        """
        if self._link in (None, but) and not self._refusing:
            await self._wait(patience, but)
        if self._link is None:
            raise Unavailable
        return self._link

    async def _wait(self, patience: float, but: Link | None) -> None:
        self.waiting += 1
        self.held += 1
        try:
            self._on_waiting()
            async with asyncio.timeout(patience):
                while self._link in (None, but) and not self._refusing:
                    await self._changed.wait()
        finally:
            self.waiting -= 1
