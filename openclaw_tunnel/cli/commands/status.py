"""``status``: what is up, and if not, why and what to do. Its plain forms do without this module: see cli/main.py."""

import click

from openclaw_tunnel.cli import historyview, statusview


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
