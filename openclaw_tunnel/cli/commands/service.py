"""``service``: the tunnel at login, for good, kept by launchd or systemd."""

import os
from collections.abc import Callable
from typing import Any

import click

from openclaw_tunnel.actions.service_manager import manager_of, told_what_closes_too
from openclaw_tunnel.cli.commands.up import up
from openclaw_tunnel.control.follow import client_of, snapshots
from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, ServiceError, TunnelError, UsageError
from openclaw_tunnel.host.paths import Paths, ensure_private_dir
from openclaw_tunnel.service.manager import Manager, ManagerState
from openclaw_tunnel.service.render import SOCKET_NAME
from openclaw_tunnel.service.spec import label_of
from openclaw_tunnel.settings.resolve import UpOptions
from openclaw_tunnel.ui import output, progress, tunnelrows

UP_PARAMS = [param for param in up.params if param.name != "detach"]
"""TARGET and the options of ``up``."""

# What installs is imported where it is needed: it takes longer to load than most of these commands take to run.

LONGEST_QUIET = 30.0
"""Seconds without a sign of life after which a service of launchd ends itself, to be started again."""

_MOST_SOCKETS = 64

_system = click.option("--system", is_flag=True, help="For the whole computer (systemd), under an account of its own.")


@click.group()
def service() -> None:
    """Start the tunnel at login, and keep it: launchd on macOS, systemd on Linux."""


def _up_options(given: dict[str, Any]) -> UpOptions:
    return UpOptions(extra_forwards=given.pop("forwards"), **given)


@service.command(params=[*UP_PARAMS])
@click.option("--yes", is_flag=True, help="Do not ask: yes to what makes the service better.")
@click.option("--replace", is_flag=True, help="Replace another service that opens the same tunnel; a copy is kept.")
@click.option("--on-demand", is_flag=True, help="The port is there at once; the tunnel opens on first use.")
@_system
def install(yes: bool, replace: bool, on_demand: bool, system: bool, **given: Any) -> int:
    """Have TARGET opened at every login, and kept open. The options are those of up.

    Returns when the tunnel is up, else with the exit code of the failure; the service goes on trying.
    """
    from openclaw_tunnel.actions.install_service import install_service

    return install_service(_up_options(given), yes=yes, replace=replace, on_demand=on_demand, system=system)


@service.command("print", params=[*UP_PARAMS])
@click.option("--launchd", "kind", flag_value="launchd", help="The LaunchAgent.")
@click.option("--systemd", "kind", flag_value="systemd", help="The units.")
@click.option("--plain-ssh", is_flag=True, help="One that needs ssh alone, as OpenClaw documents it.")
@click.option("--on-demand", is_flag=True, help="The tunnel opens on first use.")
@_system
def print_(kind: str | None, plain_ssh: bool, on_demand: bool, system: bool, **given: Any) -> int:
    """Show what install would write; nothing is changed."""
    from openclaw_tunnel.actions.install_service import print_service

    return print_service(_up_options(given), kind=kind, plain=plain_ssh, on_demand=on_demand, system=system)


@service.command()
@click.argument("name", required=False)
@_system
def uninstall(name: str | None, system: bool) -> int:
    """End the service of the tunnel NAME and remove it."""
    from openclaw_tunnel.actions.install_service import backup_folder

    manager = manager_of(os.environ, system=system)
    backup = backup_folder(Paths.from_env(os.environ))
    with told_what_closes_too(client_of()), progress.working("removing the service"):
        removed = manager.uninstall(_one(manager, name), backup)
    for path in removed:
        output.say(f"removed: {path}")
    if backup.exists():
        output.note(f"a copy is in {backup}")
    return ExitCode.OK


@service.command()
@click.argument("name", required=False)
@_system
def start(name: str | None, system: bool) -> int:
    """Start the service of the tunnel NAME."""
    return _do("started", system, name, lambda manager, tunnel: manager.start(tunnel))


@service.command(short_help="End the service of NAME until the next login.")
@click.argument("name", required=False)
@_system
def stop(name: str | None, system: bool) -> int:
    """End the service of the tunnel NAME until it is started, or until the next login."""
    return _do("stopped", system, name, lambda manager, tunnel: manager.stop(tunnel))


@service.command(short_help="End the service of NAME and start it again.")
@click.argument("name", required=False)
@_system
def restart(name: str | None, system: bool) -> int:
    """End the service of the tunnel NAME and start it: after an upgrade, for example.

    A port that the service manager holds (--on-demand) stays open meanwhile.
    """
    return _do("restarted", system, name, lambda manager, tunnel: manager.restart(tunnel))


@service.command(short_help="Show the services: tunnel and manager in one view.")
@click.argument("name", required=False)
@_system
def status(name: str | None, system: bool) -> int:
    """Show the services, or the one of the tunnel NAME: the tunnel, and what the service manager says.

    Exits 0 if all that is shown is well, 1 if something is not, 3 if there is nothing to show.
    """
    manager = manager_of(os.environ, system=system)
    names = [name] if name else manager.names()
    with progress.working("asking the service manager"):
        states = {tunnel: manager.state(tunnel) for tunnel in names}
    if not any(state.installed or state.loaded for state in states.values()):
        raise TunnelError(
            f"there is no service for the tunnel {name}" if name else "no service is installed",
            hint="make one: openclaw-tunnel service install TARGET",
            exit_code=ExitCode.NOT_RUNNING,
        )
    running = {} if manager.system else _running()
    output.print_rows([_rows(tunnel, running.get(tunnel), state) for tunnel, state in states.items()])
    well = (_is_well(running.get(tunnel), state, manager) for tunnel, state in states.items())
    return ExitCode.OK if all(well) else ExitCode.NO


@service.command(params=[*UP_PARAMS], hidden=True)
def run(**given: Any) -> int:
    """What the service manager runs."""
    import asyncio
    import faulthandler

    from openclaw_tunnel.daemon.service import ServiceProcess
    from openclaw_tunnel.daemon.watchdog import Life
    from openclaw_tunnel.host import inherited
    from openclaw_tunnel.host.inprocess_watchdog import Pulse
    from openclaw_tunnel.host.logs import setup_logging
    from openclaw_tunnel.host.sdnotify import Notifier

    options = _up_options(given)
    keeper = _keeper(dict(os.environ))
    launchd = keeper.get("manager") == "launchd"
    inherited.adopt(os.environ, [SOCKET_NAME.format(n) for n in range(1, _MOST_SOCKETS)] if launchd else ())
    notifier = Notifier(os.environ)
    paths = Paths.from_env(os.environ)
    ensure_private_dir(paths.log_dir)
    setup_logging(paths.log_file, to_stderr=bool(notifier))  # systemd's journal has a copy
    faulthandler.enable()  # a watchdog ends us with SIGABRT: let it be known where we stood
    pulse = Pulse(seconds=LONGEST_QUIET) if launchd else None

    async def live() -> int:
        life = Life(notifier, pulse)
        return await ServiceProcess(paths, dict(os.environ), options, keeper, notifier, life, tunnelrows.change).run()

    return asyncio.run(live())


def _keeper(env: dict[str, str]) -> dict[str, Any]:
    """Who started us, as others need to know it; empty where nobody did."""
    label = env.get("XPC_SERVICE_NAME", "")
    if label.startswith(label_of(DEFAULT_NAME)):
        return {"manager": "launchd", "unit": label, "system": False}
    socket = env.get("NOTIFY_SOCKET", "")
    if not socket:
        return {}
    return {"manager": "systemd", "unit": _unit(), "system": socket == "/run/systemd/notify"}


def _unit() -> str:
    """The unit of ours that this process runs in, which its control group is named after; empty where none is.

    As systemd's control groups are: /user.slice/.../app.slice/openclaw-tunnel.service.
    """
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            path = file.read().strip().rpartition(":")[2]
    except OSError:
        path = ""
    found = [part for part in path.split("/") if part.startswith("openclaw-tunnel") and part.endswith(".service")]
    return found[-1] if found else ""


def _do(done: str, system: bool, name: str | None, act: Callable[[Manager, str], None]) -> int:
    manager = manager_of(os.environ, system=system)
    tunnel = _one(manager, name)
    with told_what_closes_too(client_of()), progress.working(f"waiting until the service of {tunnel} is {done}"):
        act(manager, tunnel)
    if done != "stopped" and not system and not manager.state(tunnel).waits:
        from openclaw_tunnel.actions.install_service import appears

        appears(client_of(), manager, tunnel)
    output.say(f"{done}: {tunnel}")
    return ExitCode.OK


def _one(manager: Manager, name: str | None) -> str:
    """The service that is meant."""
    if name is not None:
        return name
    names = manager.names()
    if not names:
        raise ServiceError("no service is installed", hint="make one: openclaw-tunnel service install TARGET")
    if len(names) > 1 and DEFAULT_NAME not in names:
        raise UsageError("which service is meant?", hint=f"give one of these names: {', '.join(names)}")
    return DEFAULT_NAME if DEFAULT_NAME in names else names[0]


def _running() -> dict[str, Snapshot]:
    try:
        return {tunnel.name: tunnel for tunnel in snapshots(client_of().call("status"))}
    except DaemonUnreachable:
        return {}


def _rows(name: str, tunnel: Snapshot | None, state: ManagerState) -> list[tunnelrows.Row]:
    found = output.rows_of(tunnel) if tunnel else [_quiet(name, state)]
    pid = f", pid {state.pid}" if state.pid else ""
    return [*found, tunnelrows.Row("service", tunnelrows.clean(state.words + pid))]


def _quiet(name: str, state: ManagerState) -> tunnelrows.Row:
    """What is said of a service whose tunnel this user's daemon does not have."""
    if state.waits:
        return tunnelrows.Row(name, "waits for its first client", tunnelrows.Tone.BUSY, heads=True)
    words = "runs" if state.running else "does not run"
    return tunnelrows.Row(name, words, tunnelrows.Tone.PLAIN if state.running else tunnelrows.Tone.BAD, heads=True)


def _is_well(tunnel: Snapshot | None, state: ManagerState, manager: Manager) -> bool:
    if tunnel is not None:
        return tunnel.state is State.UP
    return state.waits or (manager.system and state.running)
