"""Command line, tunnels.json5, openclaw.json and ssh_config -> one complete tunnel.

The command line beats tunnels.json5, which beats openclaw.json, which beats the defaults. For the local address a
LocalForward of ssh_config comes before openclaw.json.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from openclaw_tunnel.core.spec import (
    DEFAULT_NAME,
    Forward,
    PortChoice,
    Probe,
    TunnelSpec,
    check_name,
    check_port,
    parse_bind,
    parse_forward,
)
from openclaw_tunnel.errors import ConfigError, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.paths import openclaw_home, profile_of
from openclaw_tunnel.openclaw.settings import OpenClawSettings
from openclaw_tunnel.settings.hooks import unusable_hooks
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.main_forward import MainForward, PortOptions, as_argument, choose_main
from openclaw_tunnel.settings.tunnels_file import TunnelEntry, TunnelsFile
from openclaw_tunnel.settings.up_options import UpOptions, absolute
from openclaw_tunnel.ssh_config.query import SSH_CONFIG_VARIABLE, resolve_ssh
from openclaw_tunnel.ssh_config.target import SshTarget
from openclaw_tunnel.ssh_config.tokens import NO_FILE

_FIXED = PortChoice.FIXED

__all__ = ["NoDestination", "Resolved", "UpOptions", "resolve"]


class NoDestination(UsageError):
    """Neither the command line nor any settings file names a host."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tunnel, what the user should know of how it came about, and its SSH server."""

    spec: TunnelSpec
    notices: tuple[str, ...]
    ssh: SshTarget


@dataclass(frozen=True, slots=True)
class Choice:
    """The tunnel that is meant; its identity file and the setting that names it, both empty where there is none."""

    entry: TunnelEntry
    identity: str = ""
    identity_source: str = ""


async def resolve(
    options: UpOptions, *, env: Mapping[str, str], paths: Paths, settings: Settings | None = None
) -> Resolved:
    """Make a complete tunnel of what the user said, here and in files.

    Args:
        settings: those that have been read already; None: they are read.

    Raises:
        NoDestination: nobody says where to.
        UsageError: an option cannot be meant so.
        ConfigError: a settings file or a key file cannot be used, or ssh does not resolve the target.
        HelperError: ssh cannot be asked at the moment.
    """
    if settings is None:
        settings = await asyncio.to_thread(Settings.load, env, paths.tunnels_file)
    choice = choose_tunnel(options, settings, env)
    entry = choice.entry
    await asyncio.to_thread(_check_identity, choice)
    general = absolute(env.get(SSH_CONFIG_VARIABLE), SSH_CONFIG_VARIABLE, NO_FILE)
    ssh_config = options.ssh_config or entry.ssh_config or general or ""
    ssh = await resolve_ssh(entry.target, ssh_config=ssh_config, identity=choice.identity, env=env)
    main = choose_main(port_options(options, entry, settings.openclaw), ssh.local_forwards)
    port_choice = _port_choice(options, entry)
    extra = extra_forwards(options.extra_forwards, entry.forwards, main.forward if port_choice is _FIXED else None)
    probe = _probe(options.probe) or entry.probe or Probe.GATEWAY
    wants_extra = entry.extra_ports is not False and not options.no_extra_ports
    spec = TunnelSpec(
        name=entry.name,
        target=entry.target,
        address=ssh.address,
        forwards=(main.forward, *extra),
        identity=choice.identity,
        ssh_config=ssh_config,
        probe=probe,
        allow_remote_clients=options.allow_remote_clients or entry.allow_remote_clients,
        policy=entry.policy if options.hold is None else replace(entry.policy, hold=_hold(options.hold)),
        port_choice=port_choice,
        sandbox=wants_extra and probe is Probe.GATEWAY,
        browser=wants_extra and entry.browser_control,
        announce=entry.announce,
    )
    notices = (*main.notices, *not_opened(ssh.local_forwards, main, extra), *unusable_hooks(entry.announce, env))
    return Resolved(spec, notices, ssh)


def choose_tunnel(options: UpOptions, settings: Settings, env: Mapping[str, str]) -> Choice:
    """Decide which tunnel is meant: one of tunnels.json5, or one made up for a destination.

    Raises:
        UsageError: none is.
        ConfigError: the one that is meant has no destination.
    """
    file, openclaw = settings.tunnels, settings.openclaw
    name = check_name(options.name) if options.name else ""
    entry = _entry(options.target, name, file, env)
    chosen = entry or TunnelEntry(profile_of(env) or DEFAULT_NAME, policy=file.policy, announce=file.announce)
    chosen = replace(chosen, name=name or chosen.name)
    if options.target is not None and options.target not in file.tunnels:
        return _with_identity(options, replace(chosen, target=options.target), file)
    if chosen.target:
        return _with_identity(options, chosen, file)
    if openclaw.remote_ssh_target:
        return _with_identity(options, replace(chosen, target=openclaw.remote_ssh_target), file, (openclaw, env))
    raise _nothing_meant(entry, file)


def _entry(target: str | None, name: str, file: TunnelsFile, env: Mapping[str, str]) -> TunnelEntry | None:
    """The tunnel of the file that supplies the settings; a destination without --name is another host and has none."""
    if target is not None:
        return file.tunnels.get(target) or file.tunnels.get(name)
    if name:
        return file.tunnels.get(name)
    only = next(iter(file.tunnels.values())) if len(file.tunnels) == 1 else None
    return file.tunnels.get(profile_of(env)) or file.tunnels.get(DEFAULT_NAME) or only


def _with_identity(
    options: UpOptions,
    entry: TunnelEntry,
    file: TunnelsFile,
    openclaw: tuple[OpenClawSettings, Mapping[str, str]] | None = None,
) -> Choice:
    """``openclaw``: where the destination came from, when it did; its key file belongs to that destination only."""
    if options.identity:
        return Choice(entry, options.identity, "-i")
    if entry.identity:
        return Choice(entry, entry.identity, f"identity of a tunnel in {file.path}")
    if openclaw and openclaw[0].remote_ssh_identity:
        settings, env = openclaw
        text = settings.remote_ssh_identity
        text = str(openclaw_home(env)) + text[1:] if text == "~" or text.startswith("~/") else text
        path = os.path.abspath(settings.path.parent / text)
        return Choice(entry, path, f"gateway.remote.sshIdentity of {settings.path}")
    return Choice(entry)


def _nothing_meant(entry: TunnelEntry | None, file: TunnelsFile) -> UsageError | ConfigError:
    if entry:
        return ConfigError(
            f"{file.path}: tunnels.{entry.name} has no target, and openclaw.json no gateway.remote.sshTarget",
            hint=f'add to tunnels.{entry.name}: target: "me@gateway-host"',
        )
    if file.tunnels:
        names = ", ".join(file.tunnels)
        return UsageError(
            f"{file.path} has several tunnels, and none is named {DEFAULT_NAME}",
            hint=f"say which: openclaw-tunnel up NAME, where NAME is one of: {names}",
        )
    return NoDestination(
        "no gateway host is given, and none is configured",
        hint="name it: openclaw-tunnel up me@host, or once for all: "
        'openclaw config set gateway.remote.sshTarget "me@host"',
    )


def port_options(options: UpOptions, entry: TunnelEntry, openclaw: OpenClawSettings) -> PortOptions:
    """What command line, tunnels.json5 and openclaw.json say of ports and addresses.

    Raises:
        UsageError: an option is no port or no address.
    """
    bind = options.bind or entry.bind
    return PortOptions(
        local=_local_port(options, entry),
        remote=entry.remote_port if options.remote_port is None else check_port(options.remote_port),
        bind=parse_bind(bind) if bind else "",
        configured_remote=(openclaw.remote_port, openclaw.remote_url_port, openclaw.gateway_port),
        configured_local=(openclaw.remote_url_port, openclaw.remote_port, openclaw.gateway_port),
        allow_remote_clients=options.allow_remote_clients or entry.allow_remote_clients,
    )


def extra_forwards(typed: Sequence[str], configured: Sequence[Forward], main: Forward | None) -> tuple[Forward, ...]:
    """The forwards beside the main one: those typed, and those of tunnels.json5 on other listen addresses.

    Args:
        main: None where its port makes way for theirs.

    Raises:
        UsageError: one is not a forward, or two listen on one address.
    """
    own = [parse_forward(text) for text in typed]
    both = (*own, *(f for f in configured if f.listen not in {o.listen for o in own}))
    seen = {main.listen} if main else set()
    for forward in both:
        if forward.listen in seen:
            raise UsageError(
                f"two forwards listen on {forward.listen}",
                hint="give each forward a listen port of its own (-p for the gateway's)",
            )
        seen.add(forward.listen)
    return both


def not_opened(local_forwards: Sequence[Forward], main: MainForward, extra: Sequence[Forward]) -> tuple[str, ...]:
    """What ``ssh`` would have opened as well, and this tunnel does not."""
    listens = {f.listen for f in (main.forward, *extra)}
    others = (f for f in local_forwards if f != main.stands_for and f.listen not in listens)
    return tuple(f"LocalForward {f} of ssh_config is not opened; to open it: -L {as_argument(f)}" for f in others)


def _local_port(options: UpOptions, entry: TunnelEntry) -> int | None:
    """The port that was asked for; None where none was, or only some free one."""
    asked = entry.local_port if options.local_port is None else options.local_port
    return None if asked is None or _port_choice(options, entry) is not _FIXED else check_port(int(asked))


def _port_choice(options: UpOptions, entry: TunnelEntry) -> PortChoice:
    asked = entry.local_port if options.local_port is None else options.local_port
    if not isinstance(asked, str):
        return _FIXED
    if asked not in (PortChoice.AUTO, PortChoice.NEW):
        raise UsageError(f"not a port: {asked!r}", hint="ports are 1 to 65535; auto picks a free one and keeps it")
    return PortChoice(asked)


def _probe(text: str | None) -> Probe | None:
    try:
        return Probe(text) if text else None
    except ValueError:
        raise UsageError(f"not a probe: {text!r}", hint=f"one of: {', '.join(Probe)}") from None


def _hold(seconds: float) -> float:
    if not 0 <= seconds <= 7 * 86400:
        raise UsageError(f"clients cannot be held for {seconds:g} s", hint="--hold takes 0 to 604800 seconds")
    return float(seconds)


def _check_identity(choice: Choice) -> None:
    """ssh warns about a missing key file and continues with others; a key that was named is meant."""
    if choice.identity and not os.path.isfile(choice.identity):
        what = "is no file" if os.path.exists(choice.identity) else "does not exist"
        raise ConfigError(
            f"identity file {choice.identity} ({choice.identity_source}) {what}",
            hint="name the private key file, for example ~/.ssh/id_ed25519",
        )
