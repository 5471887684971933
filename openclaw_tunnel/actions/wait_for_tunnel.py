"""Wait until a tunnel is up, or only a person can make it so."""

import contextlib

from openclaw_tunnel.control.client import ControlClient, StreamTimeout
from openclaw_tunnel.control.follow import Deadline, can_try, closed, failure_of, waits_for_a_person
from openclaw_tunnel.control.messages import Watch
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ui import progress
from openclaw_tunnel.ui.tunnelrows import change


def until_decided(client: ControlClient, tunnel: Snapshot, deadline: Deadline) -> Snapshot:
    """The tunnel when it is up or has failed, or as it was when the time was up.

    Raises:
        TunnelError: it was closed meanwhile.
    """
    last = tunnel
    if last.state is State.UP or (last.state is State.FAILED and not can_try(last)):
        return last
    with contextlib.suppress(StreamTimeout), progress.working(change(last)) as work:
        for last in client.stream(Watch(tunnel.name, waits=True, asks=True), deadline.left):
            if last.state in (State.UP, State.FAILED):
                return last
            work.what = change(last)
        raise closed(tunnel.name)
    return last


def not_up(tunnel: Snapshot, timeout: float) -> TunnelError:
    """The error of a command that waited ``timeout`` seconds for a tunnel that goes on trying."""
    if tunnel.asks:
        return waits_for_a_person(tunnel, ExitCode.NO)
    reason = f": {tunnel.failure.message}" if tunnel.failure else ""
    hint = failure_of(tunnel).hint or f"see how it stands: openclaw-tunnel status {tunnel.name}"
    return TunnelError(f"{tunnel.name} is not up after {timeout:g} s ({tunnel.state}){reason}", hint=hint)
