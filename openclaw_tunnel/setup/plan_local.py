"""What ``setup`` changes on this computer: local port, settings, service, the tunnel itself. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from openclaw_tunnel.core.spec import LAST_PORT, LOOPBACK, Forward
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ConfigError, ExitCode, TunnelError
from openclaw_tunnel.json5doc.edit import Patch
from openclaw_tunnel.settings.auto_port import MOST, STEP
from openclaw_tunnel.settings.main_forward import choose_main, leads_to
from openclaw_tunnel.settings.resolve import UpOptions, port_options
from openclaw_tunnel.setup.facts import Computer, Facts, Local
from openclaw_tunnel.setup.patch import Desired, changes_in_words, settings_patch
from openclaw_tunnel.setup.plan_gateway import Discovered
from openclaw_tunnel.setup.steps import Answers, Do, Look, Mark, Missing, Note, Options, Question, Step, answer_of


def on_this_computer(options: Options, facts: Facts, answers: Answers, found: Discovered) -> Iterator[Step | Note]:
    """The steps.

    Raises:
        Missing: something has to be looked at, or asked, first.
        TunnelError: no local port is free, or tunnels.json5 or ssh_config has other ports.
    """
    local, computer = facts.local, facts.computer
    assert facts.host is not None  # noqa: S101  see ``find_gateway``
    forwards = facts.host.target.local_forwards
    mode = local.settings.mode != "local"
    if not mode:
        mode = not options.dry_run and bool(answer_of(answers, _MODE))
    if not mode:
        yield _STAYS_LOCAL
    if computer is None:
        raise Missing(Look("computer", "asking the service manager"))
    if computer.no_service and not options.no_service:
        words = f"no service: {computer.no_service}; the tunnel is opened without, and not at the next login"
        yield Note(words)
    can_have = not options.no_service and not computer.no_service
    service = computer.has_service or (can_have and (options.dry_run or bool(answer_of(answers, _SERVICE))))
    if not facts.ports:
        raise Missing(_ports(options.local_port or local.entry.local_port, local, computer.running, found, forwards))
    step, port = pick_port(facts.ports, local.existing.local_port)
    yield step
    desired = Desired(local.entry.target, port, found.port, options.identity, found.kind, found.secret)
    _check_ports(local, desired, forwards)
    patch = settings_patch(local.gateway, desired, remote_mode=mode)
    yield _settings(str(local.settings.path), patch, options.dry_run)
    config = _ssh_config(options.ssh_config, local, options.dry_run)
    yield from config
    yield from _tunnel(options, local.entry.name, computer, found, port, service, bool(patch or config))


_MODE = Question(
    "remote mode",
    "gateway.mode is local: this computer has a gateway of its own, which does not start any more once "
    "that is remote. Let openclaw's own commands use the other gateway instead?",
    about="whether gateway.mode, which is local, becomes remote",
    flag="--yes, which leaves it",
    safe=False,
    default=False,
)
_STAYS_LOCAL = Note(
    "gateway.mode stays local, for this computer's own gateway: openclaw's own commands go on using that "
    "one; the tunnel, and health, probe and call of openclaw-tunnel, lead to the other"
)
_SERVICE = Question(
    "service",
    "Open the tunnel at every login (a service)?",
    about="whether the tunnel opens at every login",
    flag="--yes or --no-service",
)


def _ports(
    fixed: int | str | None, local: Local, running: Snapshot | None, found: Discovered, forwards: Iterable[Forward]
) -> Look:
    """Local ports to look at: the one that is asked for, else what is configured, else the gateway's own and on."""
    own = _port_of(running) if running and _leads_there(running, found) else None
    forward = next((f.listen.port for f in forwards if leads_to(f, found.port) and not f.listen.path), None)
    ports = local_ports((forward, local.existing.local_port, own), found.port)
    return Look("ports", ports=(fixed,) if isinstance(fixed, int) else tuple(ports), own=own)


def local_ports(first: Iterable[int | None], remote: int) -> list[int]:
    """Local ports in the order in which they come into question.

    Args:
        first: what is configured already, the best first.
        remote: the gateway's own port, which is the best where nothing is configured.
    """
    usual = range(remote, min(remote + STEP * MOST, LAST_PORT + 1), STEP)
    return list(dict.fromkeys(port for port in (*first, *usual) if port))


def pick_port(ports: Iterable[tuple[int, str]], existing: int | None) -> tuple[Step, int]:
    """The first local port that nobody has.

    Args:
        ports: in turn, and who has each.
        existing: the one that openclaw.json has.

    Raises:
        TunnelError: there is none.
    """
    why = ""
    for port, taken in ports:
        if not taken:
            mark = Mark.KEPT if port == existing else Mark.OK
            return Step("port", mark, f"http://{LOOPBACK}:{port}" + (f" ({why})" if why else "")), port
        why = why or f"{port} is used by {taken}"
    raise TunnelError(
        f"no local port is free: {why}", hint="choose one: --local-port PORT", exit_code=ExitCode.LOCAL_PORT
    )


def _check_ports(local: Local, desired: Desired, forwards: tuple[Forward, ...]) -> None:
    """Later commands without an option have to take the same ports.

    Raises:
        ConfigError: tunnels.json5 or ssh_config has others.
    """
    entry, file = local.entry, local.tunnels.path
    url = f"ws://{LOOPBACK}:{desired.local_port}"
    after = replace(local.settings, remote_url=url, remote_port=desired.remote_port)
    main = choose_main(port_options(UpOptions(), entry, after), forwards).forward
    ports = (main.listen.port, main.to.port)
    if ports == (desired.local_port, desired.remote_port):
        return
    own = entry.local_port or entry.remote_port
    where = f"{file} (tunnels.{entry.name})" if own else "LocalForward of ssh_config"
    raise ConfigError(
        f"{where} has other ports for this tunnel: {main}",
        hint=f"take them out there, or use them: --local-port {ports[0]} --remote-port {ports[1]}",
    )


def _settings(path: str, patch: Patch, dry_run: bool) -> Step:
    if not patch:
        return Step("settings", Mark.KEPT, f"{path} has all of it")
    words = f"{path}: {changes_in_words(patch)}"
    if dry_run:
        return Step("settings", Mark.WOULD, words, Do.CHECK_SETTINGS, patch)
    return Step("settings", Mark.CHANGED, words, Do.WRITE_SETTINGS, patch)


def _ssh_config(config: str, local: Local, dry_run: bool) -> list[Step]:
    """``-F FILE`` kept for later commands: openclaw.json has no place for it."""
    name, tunnels = local.entry.name, local.tunnels
    entry = tunnels.tunnels.get(name)
    if not config or (entry and entry.ssh_config == config):
        return []
    patch: Patch = {"tunnels": {name: {"sshConfig": config}}}
    words = f"{tunnels.path}: tunnels.{name}.sshConfig {config}"
    if dry_run:
        return [Step("ssh", Mark.WOULD, words)]
    return [Step("ssh", Mark.CHANGED, words, Do.EDIT_TUNNELS, patch)]


def _tunnel(
    options: Options, name: str, computer: Computer, found: Discovered, port: int, service: bool, changed: bool
) -> Iterator[Step | Note]:
    """Have the tunnel up, in the way that was asked for; nothing is touched where it is so already."""
    running = computer.running
    words = f"{name} " + ("opens at every login" if service else "runs in the background")
    if not service and not computer.no_service:
        words += "; to have it at every login: openclaw-tunnel service install"
    is_it = running is not None and _leads_there(running, found) and _port_of(running) == port
    if running and is_it and not changed and service == computer.has_service:
        do = Do.SHOW_TUNNEL if running.state is State.UP else Do.OPEN_TUNNEL
        yield Step("tunnel", Mark.KEPT, words, None if options.dry_run else do)
        return
    if options.dry_run:
        service_words = "service install" + " --yes" * options.yes + " --replace" * options.replace
        yield Step("tunnel", Mark.WOULD, f"call: {service_words if service else 'up -d'}")
        return
    if running and not is_it and not service:
        main = running.forwards[0]
        yield Note(f"{name} was {main.listen} -> {main.to} of {running.target}, and is closed")
    again = Do.REOPEN_TUNNEL if running else Do.OPEN_TUNNEL
    yield Step("tunnel", Mark.CHANGED, words, Do.INSTALL_SERVICE if service else again)


def _leads_there(running: Snapshot, found: Discovered) -> bool:
    return (running.target, running.forwards[0].to) == (found.address, f"{LOOPBACK}:{found.port}")


def _port_of(running: Snapshot) -> int | None:
    """Its local port, at whatever address tunnels.json5 binds; None: it listens on a socket path."""
    port = running.forwards[0].listen.rpartition(":")[2]
    return int(port) if port.isdigit() else None
