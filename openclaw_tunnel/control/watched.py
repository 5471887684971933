"""What is known of the tunnels while somebody looks at them."""

import time
from collections.abc import Sequence

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.core.wording.durations import duration
from openclaw_tunnel.errors import DaemonUnreachable, TunnelError
from openclaw_tunnel.ui import output, tunnelrows


class Watched:
    """What is known of the tunnels, also while nobody answers."""

    def __init__(self, name: str | None) -> None:
        """Nothing is known yet. Args: ``name``: only the tunnel of that name."""
        self._name = name
        self._error: TunnelError | None = None
        self._at = 0.0
        self._gone_at: float | None = None
        self.tunnels: Sequence[Snapshot] = ()
        self.was_there = False

    def look(self, client: ControlClient) -> None:
        """Ask the daemon."""
        tunnels: Sequence[Snapshot] = ()
        error = None
        try:
            tunnels = client.call(Status(self._name)).tunnels
        except TunnelError as failed:
            error = failed
        self.take(tunnels, error, time.monotonic())

    def take(self, tunnels: Sequence[Snapshot], error: TunnelError | None, now: float) -> None:
        """Note what the daemon answered, or why it did not, at this time (``time.monotonic``)."""
        if error is None:
            self._gone_at, self.was_there = None, True
        elif self._error is None:
            self._gone_at = now
        self.tunnels, self._error, self._at = tunnels, error, now

    def tables(self, now: float) -> list[list[tunnelrows.Row]]:
        """What there is to show at this time: countdowns count."""
        shown = [output.rows_of(tunnel, now - self._at) for tunnel in self.tunnels]
        return shown or [[tunnelrows.Row("no tunnel", self.nothing(now), tunnelrows.Tone.BAD, heads=True)]]

    def nothing(self, now: float) -> str:
        """Why no tunnel is shown; goes on the words "no tunnel"."""
        which = "is running" if self._name is None else f"named {self._name} is running"
        if self._error is None:
            return which
        if not isinstance(self._error, DaemonUnreachable):
            return f"can be shown: {self._error.message}; to mend it: {self._error.hint}"
        if not self.was_there or self._gone_at is None:
            return f"{which}; start one: openclaw-tunnel up"
        gone = duration(now - self._gone_at)
        return f"{which} any more: the daemon ended {gone} ago. This goes on when it is back (openclaw-tunnel up)"
