"""``service install`` and ``service print``: from the options of ``up`` to files and a service that runs."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import click

from openclaw_tunnel.actions.service_manager import find_program, manager_of, told_what_closes_too
from openclaw_tunnel.cli.commands.control import show_outcome
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, client_of, settle, snapshots
from openclaw_tunnel.core.spec import DEFAULT_NAME, PortChoice
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.daemon.requests import refusal
from openclaw_tunnel.daemon.standby import absolute_environment
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, ServiceError, TunnelError, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.host.ports.inuse import why_in_use
from openclaw_tunnel.relay.bind import ends, in_use
from openclaw_tunnel.service import render
from openclaw_tunnel.service.manager import Manager, Rival
from openclaw_tunnel.service.spec import (
    PASSED_ON,
    SYSTEM_HOME,
    SYSTEM_USER,
    PlainSpec,
    ServiceSpec,
    plain_arguments,
    up_arguments,
)
from openclaw_tunnel.service.systemd import Linger, Systemd
from openclaw_tunnel.settings.main_forward import as_argument
from openclaw_tunnel.settings.resolve import NoDestination, Resolved, UpOptions, resolve
from openclaw_tunnel.ui import output, progress

APPEARS = 20.0
"""Seconds in which the tunnel of a service that runs has to be known to this user's daemon."""

PATIENCE = 15.0
"""Seconds beyond the connect deadline in which it is known how the first attempt ended."""

EXAMPLE = "remote-gateway"
"""The alias of OpenClaw's documentation."""

_HOMES = ("/home/", "/root/", "/run/user/")
"""What ProtectHome=yes hides."""

_SECRETS = ("OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD")
_STEP = 0.05


def install_service(options: UpOptions, *, yes: bool, replace: bool, on_demand: bool, system: bool) -> int:
    """Install, start and show how it went; the exit code.

    Raises:
        TunnelError: it cannot be installed, or a question has to be asked and nobody is there.
    """
    paths = Paths.from_env(os.environ)
    manager = manager_of(os.environ, system=system)
    manager.check()
    resolved = _resolved(options, paths, system)
    spec = service_spec(options, resolved, manager.name, on_demand=on_demand, system=system)
    rivals = manager.rivals(spec.name, resolved.spec.target)
    _agree(rivals, replace)
    backup = backup_folder(paths)
    client = client_of(paths)
    if not system:
        _check_no_other(manager, spec)
        _take_over(client, spec)
    with told_what_closes_too(client), _in_use_by_whom(spec), progress.working("installing the service"):
        manager.install(spec, rivals, backup)
    for rival in rivals:
        output.say(f"replaced: {rival.path} (a copy is in {backup})")
    for path in manager.files(spec):
        output.say(f"installed: {path}")
    _tell_about_secrets(os.environ)
    if isinstance(manager, Systemd) and not system:
        _offer_linger(Linger(os.environ), yes)
    return _outcome(client, manager, spec, resolved)


def backup_folder(paths: Paths) -> Path:
    """Where copies of a service's files go before they are replaced or removed."""
    return paths.state_dir / "replaced" / time.strftime("%Y%m%d-%H%M%S")


def print_service(options: UpOptions, *, kind: str | None, plain: bool, on_demand: bool, system: bool) -> int:
    """Show the files; the exit code."""
    env = os.environ
    manager = _manager_to_print(kind, env, system)
    if plain:
        plain_spec = _plain_spec(options)
        rendered = render.render_plain_plist if manager == "launchd" else render.render_plain_service
        output.say(rendered(plain_spec).removesuffix("\n"))
        return ExitCode.OK
    try:
        resolved = _resolved(options, Paths.from_env(env), system)
    except NoDestination:
        resolved = None
    spec = service_spec(options, resolved, manager, on_demand=on_demand, system=system)
    texts = {None: render.render_plist(spec)} if manager == "launchd" else Systemd(env, system=system).files(spec)
    for number, (path, text) in enumerate(texts.items()):
        heading = f"# {path}\n" if len(texts) > 1 else ""
        output.say(("\n" if number else "") + heading + text.removesuffix("\n"))
    return ExitCode.OK


def service_spec(
    options: UpOptions, resolved: Resolved | None, manager: str, *, on_demand: bool, system: bool
) -> ServiceSpec:
    """The service of a tunnel; ``resolved`` is None where no destination is known yet."""
    env = absolute_environment(os.environ)
    name = resolved.spec.name if resolved else options.name or DEFAULT_NAME
    if options.target is None and name != DEFAULT_NAME:
        options = replace(options, name=name)  # so that another tunnel in tunnels.json5 does not change which it is
    options = options.kept()  # a service that starts again has the port it had
    if on_demand and resolved and resolved.spec.port_choice is not PortChoice.FIXED:
        raise UsageError("--on-demand needs a local port that is known beforehand", hint="give one: -p PORT")
    if on_demand and resolved is None:
        raise UsageError(
            "--on-demand needs to know the ports", hint="give TARGET: openclaw-tunnel service print me@host"
        )
    program = find_program()
    for option, path in (("-i", options.identity), ("-F", options.ssh_config)):
        if system and path and path.startswith(_HOMES):
            raise ServiceError(
                f"{path} ({option}) lies in a home, which a service of the whole computer cannot see",
                hint=f"put it where its account can read it: {SYSTEM_HOME}/.ssh",
            )
    if system and program.startswith(_HOMES):
        raise ServiceError(
            f"{program} lies in a home, which a service of the whole computer cannot see",
            hint="install openclaw-tunnel for everybody, for example with: sudo pipx install --global openclaw-tunnel",
        )
    return ServiceSpec(
        name=name,
        program=program,
        arguments=up_arguments(options),
        environment={} if system else {key: env[key] for key in PASSED_ON if env.get(key)},
        listen=tuple(end for f in resolved.spec.forwards for end in ends(f)) if on_demand and resolved else (),
        log_dir=str(Paths.from_env(env, "darwin").log_dir) if manager == "launchd" else "",
        system=system,
    )


def _resolved(options: UpOptions, paths: Paths, system: bool) -> Resolved:
    if system and options.target is None:
        raise UsageError(
            "--system needs a TARGET",
            hint=f"the service has the settings of its own account only: {SYSTEM_HOME}/.ssh",
        )
    with progress.working("reading the settings"):
        resolved = asyncio.run(resolve(options, env=os.environ, paths=paths))
    for notice in resolved.notices:
        output.note(notice)
    for forward in resolved.spec.forwards:
        if not forward.listen.is_local_only:
            output.warn(f"other computers can reach {forward.listen}: whoever does talks to the gateway")
    return resolved


def _manager_to_print(kind: str | None, env: Mapping[str, str], system: bool) -> str:
    if kind == "launchd" and system:
        raise UsageError("--system is for systemd", hint="leave one of --system and --launchd out")
    return kind or ("systemd" if system else manager_of(env).name)


def _plain_spec(options: UpOptions) -> PlainSpec:
    """``ssh -N`` to the same place; forwards that ssh_config has are not repeated."""
    try:
        resolved = asyncio.run(resolve(options, env=os.environ, paths=Paths.from_env(os.environ)))
    except NoDestination:
        output.note(f"no host is given: shown for the alias {EXAMPLE} of OpenClaw's documentation")
        return PlainSpec(options.name or DEFAULT_NAME, plain_arguments(options, EXAMPLE, ()))
    target = resolved.spec.target
    typed = any((options.local_port, options.remote_port, options.bind))
    has_none = resolved.spec.main not in resolved.ssh.local_forwards
    alias = not any(sign in target for sign in "@:/")
    forwards = resolved.spec.forwards[1:]
    if has_none and alias and not typed:
        main = resolved.spec.main
        output.note(f"ssh_config has to have for {target}: LocalForward {main.listen} {main.to}")
    elif has_none:
        forwards = resolved.spec.forwards
    new = [forward for forward in forwards if forward not in resolved.ssh.local_forwards]
    return PlainSpec(resolved.spec.name, plain_arguments(options, target, tuple(map(as_argument, new))))


def _agree(rivals: list[Rival], replace: bool) -> None:
    """Return where what is in the way may be replaced.

    Raises:
        UsageError: nobody can be asked.
        TunnelError: the answer is no.
    """
    if not rivals or replace:
        return
    for rival in rivals:
        output.say(f"in the way: {rival.path} ({rival.unit}), which runs: {rival.about}")
    if not output.is_terminal(sys.stdin):
        raise UsageError(
            "whether to replace another service must be asked, and there is no terminal",
            hint="to replace it, and keep a copy, add: --replace",
        )
    if not click.confirm("Replace it? A copy is kept.", default=False, err=True):
        raise TunnelError("nothing was changed", exit_code=ExitCode.NO)


def _check_no_other(manager: Manager, spec: ServiceSpec) -> None:
    """One process of this user is the daemon, and only the process that was given a port can open its tunnel."""
    others = [name for name in manager.names() if name != spec.name]
    waiting = [name for name in others if manager.state(name).holds_ports]
    if others and (spec.listen or waiting):
        raise UsageError(
            f"--on-demand works for one service of a user, and there is one for {', '.join(waiting or others)}",
            hint="install all of them without --on-demand, or remove the other: openclaw-tunnel service uninstall NAME",
        )


def _take_over(client: ControlClient, spec: ServiceSpec) -> None:
    """Close the tunnel of that name where ``up`` opened it: its port is the service's now."""
    name = spec.name
    try:
        kept = client.call("ping").get("services", {})
        running = [tunnel.name for tunnel in snapshots(client.call("status"))]
        if name in running and name not in kept:
            output.note(f"{name} runs already; the service takes it over")
            client.call("down", {"name": name}, PATIENCE)
        if spec.listen and name not in kept and (others := ", ".join(n for n in running if n != name)):
            output.warn(f"{name} opens only once the tunnels that another process has are closed: {others}")
    except DaemonUnreachable:
        return


@contextlib.contextmanager
def _in_use_by_whom(spec: ServiceSpec) -> Iterator[None]:
    """A manager that cannot have a port says little: say who has it.

    Raises:
        RequestRefused: a port is somebody else's.
    """
    try:
        yield
    except ServiceError:
        for end in spec.listen:
            if not end.path and why_in_use(end.host, end.port):
                raise refusal(in_use(end)) from None
        raise


def _tell_about_secrets(env: Mapping[str, str]) -> None:
    for name in _SECRETS:
        if env.get(name):
            output.note(
                f"the service does not see {name} of this shell, and secrets are not written into it; "
                "for probes with credentials: openclaw config set gateway.remote.token VALUE"
            )


def _offer_linger(linger: Linger, yes: bool) -> None:
    """Without it the service ends with the last logout, and begins with the next login only."""
    if linger.is_on() is not False:
        return
    asked = yes or (
        output.is_terminal(sys.stdin)
        and click.confirm("Run it from boot on, and after you have logged out (linger)?", default=False, err=True)
    )
    if not asked:
        output.note(
            "it runs while you are logged in; to run it from boot on, and after you have logged out: "
            "loginctl enable-linger"
        )
        return
    try:
        linger.turn_on()
        output.say("linger is on: it runs from boot on, and after you have logged out")
    except TunnelError as error:
        output.note(f"{error.message}; {error.hint}")


def _outcome(client: ControlClient, manager: Manager, spec: ServiceSpec, resolved: Resolved) -> int:
    state = manager.state(spec.name)
    if spec.system or spec.listen:
        output.say(f"{spec.name}: {state.words}")
        if spec.system:
            output.note(
                f"its keys and known hosts are those of its account: {SYSTEM_HOME}/.ssh; "
                f"how it stands: sudo -u {SYSTEM_USER} {Path(spec.program).name} status"
            )
        return ExitCode.OK
    tunnel = appears(client, manager, spec.name)
    if tunnel.state is not State.FAILED:
        tunnel = settle(client, spec.name, resolved.spec.policy.connect_timeout + PATIENCE)
    return show_outcome(tunnel)


def appears(client: ControlClient, manager: Manager, name: str) -> Snapshot:
    """The tunnel of a service that was just started, once this user's daemon knows it.

    Raises:
        TunnelError: it does not.
    """
    deadline = Deadline(APPEARS)
    with progress.working("waiting for the service to open its tunnel"):
        while deadline.left:
            with contextlib.suppress(DaemonUnreachable):
                for tunnel in snapshots(client.call("status")):
                    if tunnel.name == name:
                        return tunnel
            time.sleep(_STEP)
    raise TunnelError(
        f"the service runs, and its tunnel does not show up: {manager.state(name).words}",
        hint="see what it says: openclaw-tunnel service status, and openclaw-tunnel logs",
        exit_code=ExitCode.SERVICE,
    )
