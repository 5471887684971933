"""The first checks: settings files, which tunnel is meant, and what ssh_config says of its host."""

import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import replace

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.doctor.inputs import Asked, DaemonView, Plan
from openclaw_tunnel.doctor.report import Finding, Part, Remedy, Repair, fault, ok, warning
from openclaw_tunnel.errors import ConfigError, HelperError, UsageError
from openclaw_tunnel.openclaw.credentials.load import credential_inputs
from openclaw_tunnel.openclaw.credentials.secretref import Secret, read_input
from openclaw_tunnel.openclaw.paths import dotenv_files
from openclaw_tunnel.openclaw.settings import OpenClawSettings
from openclaw_tunnel.settings.check import all_problems
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.resolve import NoDestination, Resolved, UpOptions, choose_tunnel, resolve
from openclaw_tunnel.ssh_config.destination import as_ssh_words

CONFIG = str(Code.CONFIG)
_CONFIG_PATH = "OPENCLAW_CONFIG_PATH"
_SET_UP = "set a tunnel up: openclaw-tunnel setup me@gateway-host, or check one: openclaw-tunnel doctor me@gateway-host"


def settings_checks(asked: Asked) -> list[Finding]:
    """What is wrong with openclaw.json and tunnels.json5."""
    problems = all_problems(asked.env, asked.paths.tunnels_file)
    if problems:
        return [fault(Part.SETTINGS, problem.message, problem.hint, code=CONFIG) for problem in problems]
    settings = Settings.load(asked.env, asked.paths.tunnels_file).openclaw
    there = [str(path) for path in (settings.path, asked.paths.tunnels_file) if path.exists()]
    found = " and ".join(there)
    words = f"{found} can be used" if found else f"neither {settings.path} nor {asked.paths.tunnels_file} is there"
    return [ok(Part.SETTINGS, words), *_lost(settings), *_unset(settings), *_readable(settings)]


def _lost(settings: OpenClawSettings) -> Iterator[Finding]:
    """A file that somebody named and that is not there: OpenClaw goes on without it, and so do we."""
    if settings.env.get(_CONFIG_PATH) and not settings.path.exists():
        message = f"{_CONFIG_PATH} names {settings.path}, which is not there"
        yield warning(Part.SETTINGS, message, f"mend it, or leave it out: unset {_CONFIG_PATH}", code=CONFIG)


def _unset(settings: OpenClawSettings) -> Iterator[Finding]:
    for name, places in settings.loaded.missing.items():
        yield warning(
            Part.SETTINGS,
            f"{', '.join(places)} of {settings.path} needs ${{{name}}}, which is not set",
            f"put a line {name}=VALUE into {dotenv_files(settings.env)[0]}",
            code=CONFIG,
        )


def _readable(settings: OpenClawSettings) -> Iterator[Finding]:
    """Whether others can read a file with a secret in it."""
    for path in (settings.path, *settings.loaded.included):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077 and holds_secret(settings):
            words = shlex.quote(str(path))
            yield warning(
                Part.SETTINGS,
                f"{path} can be read by others (mode {mode:04o}), and a token or password is in it",
                f"chmod 600 {words}",
                code="secret_exposed",
                repair=Repair(Remedy.CHMOD, words, f"Let nobody else read {path}?"),
            )


def holds_secret(settings: OpenClawSettings) -> bool:
    """Whether a token or a password stands in the file itself, not a reference to one."""
    inputs = credential_inputs(settings.config, {})
    values = (read_input(value, inputs.defaults, shorthand=True) for value in inputs.settings.values())
    return any(isinstance(value, Secret) for value in values)


def options_of(tunnel: Snapshot, asked: UpOptions) -> UpOptions:
    """The options that lead to the same place as a tunnel that runs; what was typed now wins."""
    main = tunnel.forwards[0]
    ports = [end.rpartition(":")[2] for end in (main.listen, main.to)]
    local, remote = (int(port) if port.isdigit() else None for port in ports)
    return replace(
        asked,
        target=tunnel.alias,
        name=tunnel.name,
        local_port=local if asked.local_port is None else asked.local_port,
        remote_port=remote if asked.remote_port is None else asked.remote_port,
    )


async def plan_of(
    asked: Asked, daemon: DaemonView, service: UpOptions | None = None
) -> tuple[Plan | None, list[Finding]]:
    """The tunnel that is meant, and the findings that say so, or why there is none.

    A name that no settings file has may be that of a tunnel that runs or that a service keeps, and without any settings
    that one is meant.

    Args:
        service: what the service of the tunnel that is named, or of the default one, was installed with.

    Raises:
        UsageError: the options contradict each other, or do not say which of several tunnels is meant.
    """
    settings = Settings.load(asked.env, asked.paths.tunnels_file)
    options = _meant(asked, daemon, service, settings)
    try:
        choice = choose_tunnel(options, settings, asked.env)
    except NoDestination as nowhere:
        message = nowhere.message + _not_there(settings.openclaw)
        return None, [fault(Part.SETTINGS, message, _SET_UP, code="no_destination")]
    except ConfigError as error:
        return None, [fault(Part.SETTINGS, error.message + _not_there(settings.openclaw), error.hint, code=CONFIG)]
    try:
        resolved = await resolve(options, env=asked.env, paths=asked.paths, settings=settings)
    except UsageError as error:
        if asked.options != UpOptions():
            raise
        return None, [fault(Part.SETTINGS, f"{settings.tunnels.path}: {error.message}", error.hint, code=CONFIG)]
    except (ConfigError, HelperError) as error:
        part = Part.SETTINGS if _is_missing(choice.identity) else Part.SSH_CONFIG
        code = str(Code.HELPER) if isinstance(error, HelperError) else CONFIG
        return None, [fault(part, error.message, error.hint, code=code)]
    return Plan(options, choice, resolved, settings), [*_ssh_checks(resolved)]


def _not_there(settings: OpenClawSettings) -> str:
    """The file that OPENCLAW_CONFIG_PATH, a profile or HOME leads to, where it is not there."""
    return "" if settings.path.exists() else f": there is no {settings.path}"


def _is_missing(identity: str) -> bool:
    return bool(identity) and not os.path.isfile(identity)


def _meant(asked: Asked, daemon: DaemonView, service: UpOptions | None, settings: Settings) -> UpOptions:
    options, known = asked.options, settings.tunnels.tunnels
    named = options.target or options.name
    if named in known or (named is None and (known or settings.openclaw.remote_ssh_target)):
        return options
    alone = daemon.tunnels[0] if len(daemon.tunnels) == 1 else None
    running = daemon.tunnel(named or DEFAULT_NAME) or (alone if named is None else None)
    if running:
        return options_of(running, options)
    typed = {key: value for key, value in options.to_json().items() if value and key not in ("target", "name")}
    return UpOptions.from_json({**service.to_json(), **typed}) if service else options


def _ssh_checks(resolved: Resolved) -> Iterator[Finding]:
    spec, ssh = resolved.spec, resolved.ssh
    through = f", through {' and '.join(ssh.proxy_jump)}" if ssh.proxy_jump else ""
    through = through or (", through its ProxyCommand" if ssh.proxy_command else "")
    yield ok(Part.SSH_CONFIG, f"{spec.target} is {spec.address}{through}")
    words = as_ssh_words(spec.target, spec.ssh_config)
    target = shlex.join([*(["-F", spec.ssh_config] if spec.ssh_config else []), spec.target])
    for one in ssh.differences:
        hint = one.hint.format(target=target, ssh=words)
        yield warning(Part.SSH_CONFIG, f"{one.directive} of ssh_config {one.effect}", hint, code="ssh_differs")
    for notice in resolved.notices:
        what, _, step = notice.partition("; to open it: ")
        hint = f"to open it: {step}" if step else f"see what ssh makes of that line: ssh -G {words}"
        yield warning(Part.SSH_CONFIG, what, hint, code="ssh_differs")
