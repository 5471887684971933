"""Do the clients get answers? What they sent and nobody answered is the first sign of a dead connection."""

import asyncio
import math
from collections.abc import Callable


class StallDetector:
    """Notices when what was sent through a tunnel stays without any answer, of any of its channels.

    One that waits for an answer takes no action itself: a server may think for minutes. It is worth a question to the
    SSH server, no more.
    """

    def __init__(self, patience: float, on_stall: Callable[[], None]) -> None:
        """Nothing was sent yet.

        Args:
            patience: seconds; infinite: nothing is ever noticed.
            on_stall: called each time something has been unanswered for that long.
        """
        self._patience = patience
        self._on_stall = on_stall
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def sent(self) -> None:
        """Something was sent that deserves an answer; called for each piece, so it is cheap."""
        if self._since is None and self._patience < math.inf:
            loop = asyncio.get_running_loop()
            self._since = loop.time()
            if self._timer is None:
                self._timer = loop.call_later(self._patience, self._look)

    def heard(self) -> None:
        """Something came back. The timer that runs finds that out by itself."""
        self._since = None

    def clear(self) -> None:
        """The connection is another one: nothing is waited for."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._since is None:
            return
        loop = asyncio.get_running_loop()
        left = self._since + self._patience - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
            return
        self._since = None
        self._on_stall()
