"""``service``: the tunnel at login, for good, kept by launchd or systemd."""

import os
from typing import Any

import click

from openclaw_tunnel.actions.service_manager import Verb, comes_back, control_service, manager_of, pick_service
from openclaw_tunnel.cli.asking import agree
from openclaw_tunnel.cli.params import up_params
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.up_options import UpOptions
from openclaw_tunnel.ui import output

# What installs is imported where it is needed: it takes longer to load than most of these commands take to run.

_system = click.option("--system", is_flag=True, help="For the whole computer (systemd), under an account of its own.")


@click.group()
def service() -> None:
    """Start the tunnel at login, and keep it: launchd on macOS, systemd on Linux."""


@service.command(params=up_params())
@click.option("--yes", is_flag=True, help="Do not ask: yes to what makes the service better.")
@click.option("--replace", is_flag=True, help="Replace another service that opens the same tunnel; a copy is kept.")
@click.option("--on-demand", is_flag=True, help="The port is there at once; the tunnel opens on first use.")
@_system
def install(yes: bool, replace: bool, on_demand: bool, system: bool, **given: Any) -> int:
    """Have TARGET opened at every login, and kept open. The options are those of up.

    Returns when the tunnel is up, else with the exit code of the failure; the service goes on trying.
    """
    from openclaw_tunnel.actions.install_service import install_service

    options, paths = UpOptions(**given), Paths.from_env(os.environ)
    return install_service(options, paths, agree, yes=yes, replace=replace, on_demand=on_demand, system=system)


@service.command("print", params=up_params())
@click.option("--launchd", "kind", flag_value="launchd", help="The LaunchAgent.")
@click.option("--systemd", "kind", flag_value="systemd", help="The units.")
@click.option("--plain-ssh", is_flag=True, help="One that needs ssh alone, as OpenClaw documents it.")
@click.option("--on-demand", is_flag=True, help="The tunnel opens on first use.")
@_system
def print_(kind: str | None, plain_ssh: bool, on_demand: bool, system: bool, **given: Any) -> None:
    """Show what install would write; nothing is changed."""
    from openclaw_tunnel.actions.install_service import service_text

    options = UpOptions(**given)
    output.say(service_text(options, kind=kind, plain=plain_ssh, on_demand=on_demand, system=system))


@service.command()
@click.argument("name", required=False)
@_system
def uninstall(name: str | None, system: bool) -> None:
    """End the service of the tunnel NAME and remove it."""
    from openclaw_tunnel.actions.install_service import uninstall_service

    manager = manager_of(os.environ, system=system)
    removed, notes = uninstall_service(manager, pick_service(manager, name), Paths.from_env(os.environ))
    output.say(*(f"removed: {path}" for path in removed))
    output.note(*notes)


def _add(command: str, verb: Verb, about: str, *, short: str | None = None) -> None:
    @service.command(command, help=about, short_help=short)
    @click.argument("name", required=False)
    @_system
    def act(name: str | None, system: bool) -> None:
        manager = manager_of(os.environ, system=system)
        tunnel = pick_service(manager, name)
        output.note(*control_service(manager, verb, tunnel))
        if verb is not Verb.STOP:
            comes_back(manager, tunnel)
        output.say(f"{verb}: {tunnel}")


_UNTIL = "End the service of the tunnel NAME until it is started, or until the next login."
_AGAIN = """End the service of the tunnel NAME and start it: after an upgrade, for example.

A port that the service manager holds (--on-demand) stays open meanwhile."""
_add("start", Verb.START, "Start the service of the tunnel NAME.")
_add("stop", Verb.STOP, _UNTIL, short="End the service of NAME until the next login.")
_add("restart", Verb.RESTART, _AGAIN, short="End the service of NAME and start it again.")


@service.command(short_help="Show the services: tunnel and manager in one view.")
@click.argument("name", required=False)
@_system
def status(name: str | None, system: bool) -> int:
    """Show the services, or the one of the tunnel NAME: the tunnel, and what the service manager says.

    Exits 0 if all that is shown is well, 1 if something is not, 3 if there is nothing to show.
    """
    from openclaw_tunnel.actions.service_status import look_at_services

    views = look_at_services(manager_of(os.environ, system=system), name)
    output.print_rows([view.rows() for view in views])
    return ExitCode.OK if all(view.is_well for view in views) else ExitCode.NO


@service.command(params=up_params(), hidden=True)
def run(**given: Any) -> int:
    """What the service manager runs."""
    from openclaw_tunnel.daemon.service_main import run_service

    return run_service(UpOptions(**given))
