"""How an attempt to connect ended: waited for, and shown with its exit code. Quick to import: it opens nothing."""

import contextlib

from openclaw_tunnel.control.client import ControlClient, StreamTimeout
from openclaw_tunnel.control.follow import (
    Deadline,
    can_try,
    closed,
    failure_of,
    goes_on,
    our_agent,
    settle,
    waits_for_a_person,
)
from openclaw_tunnel.control.messages import Watch
from openclaw_tunnel.control.orders import Restart
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ui import output, progress, tunnelrows
from openclaw_tunnel.ui.tunnelrows import change

RESTART_DEADLINE = 25.0
"""Seconds in which a tunnel is up again, or it is known why not."""


def show_outcome(tunnel: Snapshot) -> ExitCode:
    """Show how an attempt ended that should have brought ``tunnel`` up."""
    if tunnel.state is State.UP:
        output.say(change(tunnel))
        for note in tunnelrows.notes(tunnel):
            output.note(note)
        return ExitCode.OK
    failure = failure_of(tunnel)
    output.print_error(failure)
    output.note(goes_on(tunnel))
    return failure.exit_code


def restart_tunnel(client: ControlClient, name: str) -> Snapshot:
    """Have a tunnel connect anew, its local port open meanwhile; the tunnel once it is known how that ended.

    Raises:
        TunnelError: there is no such tunnel, or nothing is known in time.
    """
    with progress.working(f"restarting {name}"):
        client.call(Restart(name, our_agent()))
    return settle(client, name, RESTART_DEADLINE)


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
