"""``restart``: connect anew, keeping the local port."""

import click

from openclaw_tunnel.actions.outcome import restart_tunnel, show_outcome
from openclaw_tunnel.control.follow import client_of, pick
from openclaw_tunnel.control.messages import Status


@click.command()
@click.argument("name", required=False)
def restart(name: str | None) -> int:
    """Close the SSH connection of the tunnel NAME and open it again; the local port stays open meanwhile.

    Returns when it is up again, or with the reason and the exit code of the failure.
    """
    client = client_of()
    return show_outcome(restart_tunnel(client, pick(client.call(Status()).tunnels, name).name))
