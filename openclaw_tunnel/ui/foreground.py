"""What ``up`` in the foreground shows: the live view on a terminal, else a line for each change of a state."""

import contextlib
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.ui import output, tunnelrows

if TYPE_CHECKING:
    from openclaw_tunnel.ui.live import LiveView

_OVER = (State.STOPPING, State.STOPPED)


class Foreground:
    """A context manager. What stays on the screen is how it ended; an error that follows stands alone."""

    def __init__(self, notices: Sequence[str] = ()) -> None:
        """Show nothing yet.

        Args:
            notices: stand below the tunnels in the live view; elsewhere they have been said before.
        """
        self._notices = [tunnelrows.Row("note", tunnelrows.clean(notice)) for notice in notices]
        self._seen: tuple[tuple[Snapshot, ...], float] = (), 0.0
        self._told: dict[str, tuple[State, str, str | None]] = {}
        self._closing = self._closed = False
        self._live = self._view() if output.can_redraw(sys.stdout) else None

    def _view(self) -> "LiveView":
        from openclaw_tunnel.ui.live import LiveView  # only for a terminal

        return LiveView(self._tables, self._foot)

    def __enter__(self) -> "Foreground":
        if self._live:
            self._live.begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._live:
            self._live.end(erased=kind is not None and issubclass(kind, TunnelError))

    def show(self, *tunnels: Snapshot) -> None:
        """Take note of all there is; where all is closed the last ones stay on the screen.

        A broken pipe is no reason to close a tunnel.
        """
        self._closed = not tunnels
        if not tunnels:
            return
        self._seen = tunnels, time.monotonic()
        self._closing = all(tunnel.state in _OVER for tunnel in tunnels)
        if self._live is None:
            for tunnel in tunnels:
                self._tell(tunnel)

    def closing(self) -> None:
        """It has been asked to end."""
        self._closing = True

    def _tell(self, tunnel: Snapshot) -> None:
        shown = tunnel.state, tunnel.since, tunnel.asks
        if self._told.get(tunnel.name) == shown:
            return
        self._told[tunnel.name] = shown
        with contextlib.suppress(OSError, TunnelError):
            output.say(tunnelrows.change(tunnel))
            output.note(*(tunnelrows.notes(tunnel) if tunnel.state is State.UP else ()))

    def _tables(self) -> list[list[tunnelrows.Row]]:
        tunnels, at = self._seen
        if self._closed:
            return [[tunnelrows.Row(tunnel.name, "closed", heads=True)] for tunnel in tunnels]
        shown = [output.rows_of(tunnel, time.monotonic() - at) for tunnel in tunnels]
        return [*shown, self._notices] if shown and self._notices else shown

    def _foot(self) -> tunnelrows.Row:
        if self._closing:
            return tunnelrows.Row("closing ...", "Ctrl-C again ends it at once", tunnelrows.Tone.BUSY, heads=True)
        return tunnelrows.Row(
            "Ctrl-C", "closes the tunnel" if len(self._seen[0]) < 2 else "closes them", tunnelrows.Tone.PAST
        )
