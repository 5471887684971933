"""``status``, ``wait``, ``restart``, ``down``: commands to tunnels that run."""

import click

from openclaw_tunnel.actions.close_tunnel import close_tunnels
from openclaw_tunnel.actions.outcome import show_outcome
from openclaw_tunnel.actions.wait_for_tunnel import until_decided
from openclaw_tunnel.cli import historyview, statusview
from openclaw_tunnel.control.follow import (
    Deadline,
    client_of,
    failure_of,
    our_agent,
    pick,
    settle,
    waits_for_a_person,
)
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.control.orders import Restart
from openclaw_tunnel.core.states import State
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ui import output, progress, tunnelrows

RESTART_DEADLINE = 25.0
"""Seconds in which a tunnel that connects anew is up, or it is known why not."""


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
        return historyview.show(name, as_json)
    return statusview.watch(name, as_json) if go_on else statusview.show(name, as_json)


@click.command()
@click.argument("name", required=False)
@click.option("--timeout", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS")
def wait(name: str | None, timeout: float) -> int:
    """Return when the tunnel NAME is up.

    Exits 0 when it is up, 1 if it is not in time or has failed (with the reason), 3 if no such tunnel runs.
    """
    client = client_of()
    deadline = Deadline(timeout)
    tunnel = until_decided(client, pick(client.call(Status()).tunnels, name), deadline)
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
    tunnel = pick(client.call(Status()).tunnels, name)
    with progress.working(f"restarting {tunnel.name}"):
        client.call(Restart(tunnel.name, our_agent()))
    return show_outcome(settle(client, tunnel.name, RESTART_DEADLINE))


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Close every tunnel.")
def down(name: str | None, everything: bool) -> int:
    """Close the tunnel NAME. Returns when its port is free again."""
    if name and everything:
        raise click.UsageError("give a NAME or --all, not both")
    done = close_tunnels(client_of(), name, everything=everything)
    if done.note:
        output.note(done.note)
    output.say(f"closed: {', '.join(done.names)}" if done.names else "no tunnel is running")
    return ExitCode.OK
