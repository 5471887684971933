"""``up``: open a tunnel and keep it open, on this terminal or in the background."""

import os
import sys
from typing import Any

import click

from openclaw_tunnel.actions.open_tunnel import open_again, open_tunnel, read_settings, show_notices
from openclaw_tunnel.cli.params import up_params
from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.resolve import NoDestination, UpOptions
from openclaw_tunnel.ui import output


@click.command(params=up_params())
@click.option("-d", "--detach", is_flag=True, help="Run in the background; return when it is up.")
def up(detach: bool, **given: Any) -> int:
    """Open the tunnel to TARGET and keep it open.

    TARGET is an alias of ssh_config, user@host, user@host:port or ssh://user@host:port. Without one: the tunnel
    in tunnels.json5, else gateway.remote.sshTarget of openclaw.json.
    """
    paths = Paths.from_env(os.environ)
    options = UpOptions(**given)
    try:
        resolved = read_settings(options, paths)
    except NoDestination as nowhere:
        return open_again(client_of(paths), options.name, nowhere)
    show_notices(resolved, all_of_them=detach or not output.can_redraw(sys.stdout))
    if detach:
        return open_tunnel(paths, options, resolved)
    from openclaw_tunnel.actions.hold_tunnel import hold_tunnel  # not for those that hold none

    return hold_tunnel(paths, options, resolved)
