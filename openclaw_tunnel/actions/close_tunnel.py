"""Close tunnels, whoever keeps them, and wait until their ports are free again."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, pick, snapshots
from openclaw_tunnel.errors import DaemonUnreachable, TunnelError
from openclaw_tunnel.host.process import is_running
from openclaw_tunnel.ui import progress

CLOSE_DEADLINE = 15.0
"""Seconds in which a tunnel closes."""

_STEP = 0.02


@dataclass(frozen=True, slots=True)
class Closed:
    """The tunnels that were closed, and a note on others that ended with them; empty where none did."""

    names: tuple[str, ...]
    note: str = ""


def close_tunnels(client: ControlClient, name: str | None, *, everything: bool = False) -> Closed:
    """Close the tunnel of that name, the only one, or every one.

    Those that a service keeps are its manager's to stop, or it would open them again.

    Raises:
        DaemonUnreachable: nothing runs.
        TunnelError: no such tunnel runs, or it cannot be closed.
    """
    try:
        about = client.call("ping")
    except DaemonUnreachable:
        if not everything:
            raise
        return Closed(())
    pid, services = about.get("pid"), about.get("services") or {}
    with progress.working("closing every tunnel" if everything else f"closing {name or 'the tunnel'}"):
        done = _close(client, name, everything, services)
        if isinstance(pid, int):
            _wait_for_end(client, pid)
    return done


def _close(client: ControlClient, name: str | None, everything: bool, services: Mapping[str, Any]) -> Closed:
    meant = list(services) if everything else [pick(snapshots(client.call("status")), name).name]
    stopped, note = [], ""
    if any(one in services for one in meant):
        from openclaw_tunnel.actions.service_manager import ClosedToo, closes_too, stop_services

        with contextlib.nullcontext(ClosedToo()) if everything else closes_too(client) as others:
            stopped = stop_services(services, meant)
        note = others.note
    if stopped and not everything:
        return Closed(tuple(stopped), note)
    params = {"all": True} if everything else {"name": meant[0]}
    try:
        closed = client.call("down", params, CLOSE_DEADLINE).get("closed", [])
    except DaemonUnreachable:
        if not stopped:
            raise
        closed = []  # it ended with its services
    return Closed((*stopped, *(str(one) for one in closed if one not in stopped)), note)


def _wait_for_end(client: ControlClient, pid: int) -> None:
    """Return when the daemon is gone, unless it still has tunnels (or, run by a service, stays without any)."""
    deadline = Deadline(CLOSE_DEADLINE)
    while deadline.left and is_running(pid):
        try:
            if client.call("status", timeout=deadline.left + _STEP)["tunnels"]:
                return
        except TunnelError:
            pass  # it is closing its door
        time.sleep(_STEP)
