"""Close tunnels, whoever keeps them, and wait until their ports are free again."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, pick
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.control.orders import Down, Ping
from openclaw_tunnel.errors import DaemonUnreachable, TunnelError
from openclaw_tunnel.host.process import is_running
from openclaw_tunnel.ui import progress

CLOSE_DEADLINE = 15.0
"""Seconds in which a tunnel closes."""

_STEP = 0.02


@dataclass(frozen=True, slots=True)
class Closed:
    """The tunnels that were closed, and notes on others that ended with them."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def close_tunnels(client: ControlClient, name: str | None, *, everything: bool = False) -> Closed:
    """Close the tunnel of that name, the only one, or every one.

    Those that a service keeps are its manager's to stop, or it would open them again.

    Raises:
        DaemonUnreachable: nothing runs.
        TunnelError: no such tunnel runs, or it cannot be closed.
    """
    try:
        about = client.call(Ping())
    except DaemonUnreachable:
        if not everything:
            raise
        return Closed(())
    with progress.working("closing every tunnel" if everything else f"closing {name or 'the tunnel'}"):
        done = _close(client, name, everything, about.services)
        if about.pid is not None:
            _wait_for_end(client, about.pid)
    return done


def _close(client: ControlClient, name: str | None, everything: bool, services: Mapping[str, Any]) -> Closed:
    meant = list(services) if everything else [pick(client.call(Status()).tunnels, name).name]
    stopped: list[str] = []
    notes: list[str] = []
    if any(one in services for one in meant):
        from openclaw_tunnel.actions.service_manager import closes_too, stop_services

        with contextlib.nullcontext(notes) if everything else closes_too(client) as notes:
            stopped = stop_services(services, meant)
    if stopped and not everything:
        return Closed(tuple(stopped), tuple(notes))
    closed: tuple[str, ...] = ()
    try:
        closed = client.call(Down(None if everything else meant[0]), CLOSE_DEADLINE)
    except DaemonUnreachable:
        if not stopped:
            raise  # else it ended with its services
    return Closed((*stopped, *(one for one in closed if one not in stopped)), tuple(notes))


def _wait_for_end(client: ControlClient, pid: int) -> None:
    """Return when the daemon is gone, unless it still has tunnels (or, run by a service, stays without any)."""
    deadline = Deadline(CLOSE_DEADLINE)
    while deadline.left and is_running(pid):
        try:
            if client.call(Status(), timeout=deadline.left + _STEP).tunnels:
                return
        except TunnelError:
            pass  # it is closing its door
        time.sleep(_STEP)
