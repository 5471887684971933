"""``open``: the gateway's Control UI in the browser, through the tunnel, signed in."""

import os

import click

from openclaw_tunnel.controlui.open import BROWSER_TIMEOUT, address, open_control_ui
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import output


@click.command(name="open")
@click.argument("name", required=False)
@click.option("--print", "only_print", is_flag=True, help="Print the address, without token, and open nothing.")
@click.option("--token-file", metavar="FILE", help="Token to sign in with ('-': standard input).")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=3600),
    default=BROWSER_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="For the browser to come.",
)
def open_(name: str | None, only_print: bool, token_file: str | None, timeout: float) -> None:
    """Open the gateway's Control UI in the browser, through the tunnel NAME, signed in.

    The token is that of health. No list of processes, log or terminal shows it; the browser's own history keeps the
    address it came with, as it does for a link of "openclaw dashboard". A password is typed into the page.

    Exits 0 when the browser has come, 1 if none does, else with the code of what is wrong.
    """
    paths = Paths.from_env(os.environ)
    if only_print:
        output.say(address(name, paths, token_file=token_file))
        return
    shown = open_control_ui(name, paths, os.environ, token_file=token_file, timeout=timeout)
    output.warn(*shown.turned_away)
    if shown.error:
        raise shown.error
    output.say(shown.words)
