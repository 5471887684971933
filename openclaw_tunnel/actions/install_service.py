"""``service install`` and ``service print``: from the options of ``up`` to files and a service that runs."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from openclaw_tunnel.actions.agreement import Agree, Question
from openclaw_tunnel.actions.open_tunnel import PATIENCE, patience, read_settings, show_notices
from openclaw_tunnel.actions.outcome import show_outcome
from openclaw_tunnel.actions.service_manager import appears, closes_too, find_program, manager_of
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import client_of, settle
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.control.orders import Down, Ping
from openclaw_tunnel.core.spec import DEFAULT_NAME, PortChoice
from openclaw_tunnel.core.states import State
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
)
from openclaw_tunnel.service.systemd import Linger, Systemd
from openclaw_tunnel.settings.main_forward import as_argument
from openclaw_tunnel.settings.resolve import NoDestination, Resolved, UpOptions, resolve
from openclaw_tunnel.settings.up_options import up_arguments
from openclaw_tunnel.ui import output, progress

EXAMPLE = "remote-gateway"
"""The alias of OpenClaw's documentation."""

LINGERS = "it runs from boot on, and after you have logged out"

_HOMES = ("/home/", "/root/", "/run/user/")
"""What ProtectHome=yes hides."""

_SECRETS = ("OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD")


def install_service(
    options: UpOptions, paths: Paths, agree: Agree, *, yes: bool, replace: bool, on_demand: bool, system: bool
) -> ExitCode:
    """Install and start the service of a tunnel; show that and, where it opens its tunnel now, how that went.

    Args:
        agree: asked whether another service that opens the same tunnel may be replaced, unless ``replace`` says so, and
            about what makes the service better, unless ``yes`` says it.

    Raises:
        TunnelError: it cannot be installed, or a question has to be asked and nobody is there, or the answer is no; its
            tunnel does not show up, or nothing is known of it in time.
    """
    manager = manager_of(os.environ, system=system)
    manager.check()
    resolved = _resolved(options, paths, system)
    spec = service_spec(options, resolved, manager.name, on_demand=on_demand, system=system)
    rivals = manager.rivals(spec.name, resolved.spec.target)
    if rivals and not replace:
        _agree_to_replace(rivals, agree)
    client = client_of(paths)
    if not system:
        _check_no_other(manager, spec)
        _take_over(client, spec)
    backup = backup_folder(paths)
    with closes_too(client) as notes, _in_use_by_whom(spec), progress.working("installing the service"):
        manager.install(spec, rivals, backup)
    for rival in rivals:
        output.say(f"replaced: {rival.path} (a copy is in {backup})")
    for path in manager.files(spec):
        output.say(f"installed: {path}")
    for note in (*notes, *_about_secrets(os.environ)):
        output.note(note)
    if isinstance(manager, Systemd) and not system:
        _offer_linger(agree, yes)
    return _show_first_state(client, manager, spec, patience(resolved))


def _offer_linger(agree: Agree, yes: bool) -> None:
    """Offer to keep the service running without a login: else it ends with the last logout, until the next login."""
    linger = Linger(os.environ)
    if linger.is_on() is not False:
        return
    if not yes and not agree(Question("Run it from boot on, and after you have logged out (linger)?")):
        words = "it runs while you are logged in; to run it from boot on, and after you have logged out: "
        output.note(words + "loginctl enable-linger")
        return
    try:
        linger.turn_on()
    except TunnelError as error:
        output.note(f"{error.message}; {error.hint}")
    else:
        output.say(f"linger is on: {LINGERS}")


def _show_first_state(client: ControlClient, manager: Manager, spec: ServiceSpec, timeout: float) -> ExitCode:
    """Show how the first attempt of a new service ended, or how the service stands where none is made now."""
    if not spec.system and not spec.listen:
        tunnel = appears(client, manager, spec.name)
        return show_outcome(tunnel if tunnel.state is State.FAILED else settle(client, spec.name, timeout))
    output.say(f"{spec.name}: {manager.state(spec.name).words}")
    if spec.system:
        output.note(
            f"its keys and known hosts are those of its account: {SYSTEM_HOME}/.ssh; "
            f"how it stands: sudo -u {SYSTEM_USER} {Path(spec.program).name} status"
        )
    return ExitCode.OK


def uninstall_service(manager: Manager, name: str, paths: Paths) -> tuple[list[Path], list[str]]:
    """End the service of a tunnel and remove its files, of which copies are kept; those, and notes.

    Raises:
        ServiceError: the manager refuses.
    """
    backup = backup_folder(paths)
    with closes_too(client_of()) as notes, progress.working("removing the service"):
        removed = manager.uninstall(name, backup)
    return removed, notes + ([f"a copy is in {backup}"] if backup.exists() else [])


def backup_folder(paths: Paths) -> Path:
    """Where copies of a service's files go before they are replaced or removed."""
    return paths.state_dir / "replaced" / time.strftime("%Y%m%d-%H%M%S")


def service_text(options: UpOptions, *, kind: str | None, plain: bool, on_demand: bool, system: bool) -> str:
    """The files that would be written.

    Raises:
        TunnelError: the options do not go together, or the settings cannot be used.
    """
    env = os.environ
    manager = _manager_to_print(kind, env, system)
    if plain:
        plain_spec = _plain_spec(options)
        rendered = render.render_plain_plist if manager == "launchd" else render.render_plain_service
        return rendered(plain_spec).removesuffix("\n")
    try:
        resolved = _resolved(options, Paths.from_env(env), system)
    except NoDestination:
        resolved = None
    spec = service_spec(options, resolved, manager, on_demand=on_demand, system=system)
    texts = {None: render.render_plist(spec)} if manager == "launchd" else Systemd(env, system=system).files(spec)
    parts = ((f"# {path}\n" if len(texts) > 1 else "") + text.removesuffix("\n") for path, text in texts.items())
    return "\n\n".join(parts)


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
    resolved = read_settings(options, paths)
    show_notices(resolved)
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


def _agree_to_replace(rivals: list[Rival], agree: Agree) -> None:
    """Return where what is in the way may be replaced.

    Raises:
        UsageError: nobody can be asked.
        TunnelError: the answer is no.
    """
    shown = tuple(f"in the way: {rival.path} ({rival.unit}), which runs: {rival.about}" for rival in rivals)
    unasked = UsageError(
        "whether to replace another service must be asked, and there is no terminal",
        hint="to replace it, and keep a copy, add: --replace",
    )
    if not agree(Question("Replace it? A copy is kept.", shown, unasked)):
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
        kept = client.call(Ping()).services
        running = [tunnel.name for tunnel in client.call(Status()).tunnels]
        if name in running and name not in kept:
            output.note(f"{name} runs already; the service takes it over")
            client.call(Down(name), PATIENCE)
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


def _about_secrets(env: Mapping[str, str]) -> Iterator[str]:
    for name in _SECRETS:
        if env.get(name):
            yield (
                f"the service does not see {name} of this shell, and secrets are not written into it; "
                "for probes with credentials: openclaw config set gateway.remote.token VALUE"
            )
