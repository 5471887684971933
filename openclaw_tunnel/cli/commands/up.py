"""``up``: open a tunnel and keep it open, on this terminal or in the background."""

import os
import sys
from typing import Any

import click

from openclaw_tunnel.actions.open_tunnel import open_again, open_tunnel, read_settings
from openclaw_tunnel.actions.outcome import show_notices, show_opened
from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.core.spec import PortChoice
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.resolve import NoDestination, UpOptions
from openclaw_tunnel.ui import output

_PORT = click.IntRange(1, 65535)


def local_port(text: str) -> int | str:
    """The argument of ``-p``: a port, or a word that leaves the choice to the daemon."""
    if text in (PortChoice.AUTO, PortChoice.NEW):
        return text
    port: int = _PORT(text)
    return port


@click.command()
@click.argument("target", required=False)
@click.option("-n", "--name", metavar="NAME", help="Name of the tunnel.  [default: default]")
@click.option(
    "-p",
    "--local-port",
    type=local_port,
    metavar="PORT",
    help="Local port; auto: a free one that the tunnel keeps from then on; new: another one.  [default: 18789]",
)
@click.option("-r", "--remote-port", type=_PORT, metavar="PORT", help="Gateway's port.  [default: 18789]")
@click.option("--bind", metavar="ADDR", help="Local address.  [default: 127.0.0.1, and ::1 where there is one]")
@click.option("--allow-remote-clients", is_flag=True, help="Allow an ADDR that other computers can reach.")
@click.option("-i", "--identity", metavar="FILE", help="Private key to log in with.")
@click.option("-F", "--ssh-config", metavar="FILE", help="ssh_config to read instead of yours.")
@click.option("-L", "forwards", multiple=True, metavar="[BIND:]PORT:HOST:HOSTPORT", help="Forward this as well.")
@click.option("--no-extra-ports", is_flag=True, help="The gateway's own port only, not its widget sandbox.")
@click.option("--hold", type=click.FloatRange(min=0), metavar="SECONDS", help="How long clients wait for a lost link.")
@click.option("--probe", type=click.Choice(["gateway", "tcp", "none"]), help="What up means.  [default: gateway]")
@click.option("-d", "--detach", is_flag=True, help="Run in the background; return when it is up.")
def up(detach: bool, forwards: tuple[str, ...], **given: Any) -> int:
    """Open the tunnel to TARGET and keep it open.

    TARGET is an alias of ssh_config, user@host, user@host:port or ssh://user@host:port. Without one: the tunnel
    in tunnels.json5, else gateway.remote.sshTarget of openclaw.json.
    """
    paths = Paths.from_env(os.environ)
    options = UpOptions(extra_forwards=forwards, **given)
    try:
        resolved = read_settings(options, paths)
    except NoDestination as nowhere:
        return show_opened(open_again(client_of(paths), options.name, nowhere))
    show_notices(resolved, all_of_them=detach or not output.can_redraw(sys.stdout))
    if detach:
        return show_opened(open_tunnel(paths, options, resolved))
    from openclaw_tunnel.actions.hold_tunnel import hold_tunnel  # not for those that hold none

    return hold_tunnel(paths, options, resolved)
