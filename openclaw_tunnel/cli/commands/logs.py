"""``logs``: what happened."""

import os
import sys
from collections.abc import Callable

import click

from openclaw_tunnel.core.spec import check_name
from openclaw_tunnel.host.logtail import last_lines, new_lines
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.loglines import Layout, of_tunnel


@click.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@click.option("-n", "--lines", "count", type=click.IntRange(min=0), default=50, show_default=True, metavar="LINES")
def logs(name: str | None, follow: bool, count: int) -> None:
    """Show the end of the log, of all tunnels or of the one called NAME. Works without a running tunnel."""
    if name is not None:
        check_name(name)
    log_file = Paths.from_env(os.environ).log_file
    last, position = last_lines(log_file, count, lambda lines: of_tunnel(lines, name))
    show = _on_a_terminal(last) if output.is_terminal(sys.stdout) else output.say
    for line in last:
        show(line)
    if not last and not follow:
        output.note(f"nothing was logged{f' of {name}' if name else ''} in {log_file}")
    if follow:
        for line in of_tunnel(new_lines(log_file, position), name):
            show(line)


def _on_a_terminal(expected: list[str]) -> Callable[[str], None]:
    """Shows lines to a person; in a pipe they stay as they are."""
    layout = Layout()
    layout.expect(expected)

    def show(line: str) -> None:
        output.print_rows([[*layout.rows(line)]])

    return show
