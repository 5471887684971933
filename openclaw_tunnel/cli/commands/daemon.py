"""``daemon``: the hidden command that ``up -d`` starts."""

import click

from openclaw_tunnel.cli.daemon import run


@click.command(hidden=True)
@click.option("--standby", is_flag=True, hidden=True)
def daemon(standby: bool) -> int:
    """Hold tunnels in the background; what ``up -d`` starts."""
    return run(stands_by=standby)
