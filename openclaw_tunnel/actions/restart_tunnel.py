"""Have a tunnel connect anew; its local port stays open meanwhile."""

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import our_agent, settle
from openclaw_tunnel.control.orders import Restart
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.ui import progress

RESTART_DEADLINE = 25.0
"""Seconds in which it is up, or it is known why not."""


def restart_tunnel(client: ControlClient, name: str) -> Snapshot:
    """The tunnel once it is known how that ended.

    Raises:
        TunnelError: there is no such tunnel, or nothing is known in time.
    """
    with progress.working(f"restarting {name}"):
        client.call(Restart(name, our_agent()))
    return settle(client, name, RESTART_DEADLINE)
