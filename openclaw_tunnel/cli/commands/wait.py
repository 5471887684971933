"""``wait``: return when a tunnel is up."""

import click

from openclaw_tunnel.actions.outcome import not_up, show_outcome, until_decided
from openclaw_tunnel.control.follow import Deadline, client_of, pick
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.core.states import State
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.ui import output, tunnelrows


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
    raise not_up(tunnel, timeout)
