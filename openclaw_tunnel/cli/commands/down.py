"""``down``: close tunnels."""

import click

from openclaw_tunnel.actions.close_tunnel import close_tunnels
from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.ui import output


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Close every tunnel.")
def down(name: str | None, everything: bool) -> None:
    """Close the tunnel NAME. Returns when its port is free again."""
    if name and everything:
        raise click.UsageError("give a NAME or --all, not both")
    done = close_tunnels(client_of(), name, everything=everything)
    for note in done.notes:
        output.note(note)
    output.say(f"closed: {', '.join(done.names)}" if done.names else "no tunnel is running")
