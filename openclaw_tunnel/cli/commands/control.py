"""``status``, ``wait``, ``restart``, ``down``: commands to tunnels that run."""

import contextlib
import time
from typing import Any

import click

from openclaw_tunnel.cli.commands import history
from openclaw_tunnel.cli.commands import status as report
from openclaw_tunnel.control.client import ControlClient, StreamTimeout
from openclaw_tunnel.control.follow import (
    Deadline,
    can_try,
    client_of,
    closed,
    failure_of,
    goes_on,
    our_agent,
    pick,
    settle,
    snapshots,
    waits_for_a_person,
    watch,
)
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, TunnelError
from openclaw_tunnel.host.process import is_running
from openclaw_tunnel.ui import output, progress, tunnelrows

RESTART_DEADLINE = 25.0
CLOSE_DEADLINE = 15.0
_STEP = 0.02


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.option("-w", "--watch", "go_on", is_flag=True, help="Go on showing it until Ctrl-C.")
@click.option(
    "--history", "past", is_flag=True, help="The last day, and what happened; also of tunnels that are closed."
)
def status(name: str | None, as_json: bool, go_on: bool, past: bool) -> int:
    """Show all tunnels, or the one called NAME.

    Exits 0 only if all that is shown is up, 1 if something is not, 3 if nothing runs.
    """
    if past and go_on:
        raise click.UsageError("give --history or --watch, not both")
    if past:
        return history.show(name, as_json)
    return report.watch(name, as_json) if go_on else report.show(name, as_json)


@click.command()
@click.argument("name", required=False)
@click.option("--timeout", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS")
def wait(name: str | None, timeout: float) -> int:
    """Return when the tunnel NAME is up.

    Exits 0 when it is up, 1 if it is not in time or has failed (with the reason), 3 if no such tunnel runs.
    """
    client = client_of()
    deadline = Deadline(timeout)
    tunnel = _until_decided(client, pick(snapshots(client.call("status")), name), deadline)
    if tunnel.state is State.UP:
        output.say(tunnelrows.change(tunnel))
        return ExitCode.OK
    if tunnel.state is State.FAILED:
        show_outcome(tunnel)
        return ExitCode.NO
    if tunnel.asks:
        raise waits_for_a_person(tunnel, ExitCode.NO)
    failure = failure_of(tunnel)
    reason = f": {tunnel.failure.message}" if tunnel.failure else ""
    hint = failure.hint or f"see how it stands: openclaw-tunnel status {tunnel.name}"
    raise TunnelError(f"{tunnel.name} is not up after {timeout:g} s ({tunnel.state}){reason}", hint=hint)


@click.command()
@click.argument("name", required=False)
def restart(name: str | None) -> int:
    """Close the SSH connection of the tunnel NAME and open it again; the local port stays open meanwhile.

    Returns when it is up again, or with the reason and the exit code of the failure.
    """
    client = client_of()
    tunnel = pick(snapshots(client.call("status")), name)
    with progress.working(f"restarting {tunnel.name}"):
        client.call("restart", {"name": tunnel.name, **our_agent()})
    return show_outcome(settle(client, tunnel.name, RESTART_DEADLINE))


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Close every tunnel.")
def down(name: str | None, everything: bool) -> int:
    """Close the tunnel NAME. Returns when its port is free again."""
    if name and everything:
        raise click.UsageError("give a NAME or --all, not both")
    client = client_of()
    try:
        about = client.call("ping")
        pid, services = about.get("pid"), about.get("services") or {}
    except DaemonUnreachable as gone:
        if not everything:
            raise
        output.say(gone.message)
        return ExitCode.OK
    with progress.working("closing every tunnel" if everything else f"closing {name or 'the tunnel'}"):
        names = _close(client, name, everything, services)
        if isinstance(pid, int):
            _wait_for_end(client, pid)
    output.say(f"closed: {', '.join(names)}" if names else "no tunnel is running")
    return ExitCode.OK


def show_outcome(tunnel: Snapshot) -> int:
    """Say how an attempt ended that should have brought ``tunnel`` up; the exit code for it."""
    if tunnel.state is State.UP:
        output.say(tunnelrows.change(tunnel))
        for note in tunnelrows.notes(tunnel):
            output.note(note)
        return ExitCode.OK
    failure = failure_of(tunnel)
    output.print_error(failure)
    output.note(goes_on(tunnel))
    return failure.exit_code


def _close(client: ControlClient, name: str | None, everything: bool, services: dict[str, Any]) -> list[str]:
    """Close them; those that a service keeps are its manager's to stop, or it would open them again."""
    meant = list(services) if everything else [pick(snapshots(client.call("status")), name).name]
    stopped = []
    if any(one in services for one in meant):
        from openclaw_tunnel.actions.service_manager import stop_services, told_what_closes_too

        with contextlib.nullcontext() if everything else told_what_closes_too(client):
            stopped = stop_services(services, meant)
    if stopped and not everything:
        return stopped
    params = {"all": True} if everything else {"name": meant[0]}
    try:
        closed_names = client.call("down", params, CLOSE_DEADLINE).get("closed", [])
    except DaemonUnreachable:
        if not stopped:
            raise
        closed_names = []  # it ended with its services
    return [*stopped, *(str(one) for one in closed_names if one not in stopped)]


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


def _until_decided(client: ControlClient, tunnel: Snapshot, deadline: Deadline) -> Snapshot:
    """The tunnel when it is up or has failed, or as it was when the time was up."""
    last = tunnel
    if last.state is State.UP or (last.state is State.FAILED and not can_try(last)):
        return last
    with contextlib.suppress(StreamTimeout), progress.working(tunnelrows.change(last)) as work:
        for last in watch(client, tunnel.name, deadline.left, waits=True, asks=True):
            if last.state in (State.UP, State.FAILED):
                return last
            work.what = tunnelrows.change(last)
        raise closed(tunnel.name)
    return last
