"""The service of a tunnel: does it run, what does it run, and which SSH agent does it see."""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from openclaw_tunnel.actions.service_manager import manager_of
from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.doctor.inputs import Asked
from openclaw_tunnel.doctor.report import Finding, Part, Remedy, Repair, fault, ok, warning
from openclaw_tunnel.errors import ServiceError, TunnelError
from openclaw_tunnel.service.agentenv import agent_of_services, to_pass_on
from openclaw_tunnel.service.installed import Installed, read_plist, read_unit
from openclaw_tunnel.service.manager import Manager, ManagerState
from openclaw_tunnel.service.spec import ServiceSpec
from openclaw_tunnel.service.systemd import Linger
from openclaw_tunnel.settings.up_options import UpOptions
from openclaw_tunnel.ssh.trace import Keys

SERVICE = "service"


def service_options(name: str, asked: Asked) -> UpOptions | None:
    """The options of ``up`` that the service of a tunnel was installed with; None where there is none of ours."""
    try:
        manager = manager_of(asked.env)
        found = installed(name, manager, asked.env) if name in manager.names() else None
        return asked.parse(found.arguments) if found else None
    except TunnelError:
        return None


def installed(name: str, manager: Manager, env: Mapping[str, str]) -> Installed | None:
    """What the service of a tunnel runs; None where its file is not ours to read."""
    path = next(iter(manager.files(ServiceSpec(name, "/program", log_dir="/"))))
    template = path.with_name(path.name.replace(f"@{name}.", "@."))
    for file in (path, template):
        try:
            data = file.read_bytes()
        except OSError:
            continue
        if manager.name == "launchd":
            return read_plist(data)
        home = env.get("HOME") or str(Path.home())
        return read_unit(data.decode(errors="replace"), name, home)
    return None


def service_state(name: str, asked: Asked) -> tuple[Manager | None, ManagerState | None, Finding | None]:
    """The service of a tunnel, or the line that says why there is none to look at."""
    try:
        manager = manager_of(asked.env)
        names = manager.names()
        if name not in names:
            others = f" (there is one for: {', '.join(names)})" if names else ""
            words = f"none for {name}{others}; to have it at every login: {asked.command('service', 'install')}"
            return manager, None, ok(Part.SERVICE, words)
        return manager, manager.state(name), None
    except ServiceError as error:
        return None, None, warning(Part.SERVICE, error.message, error.hint, code=SERVICE)


def service_checks(name: str, manager: Manager, state: ManagerState, env: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the service runs, and goes on without a login."""
    found = installed(name, manager, env)
    if found and not os.access(found.program, os.X_OK):
        anew = shlex.join(["openclaw-tunnel", "service", "install", *found.arguments])
        message = f"the service of {name} runs {found.program}, which is not there any more"
        yield fault(Part.SERVICE, message, f"install it anew: {anew}", code=SERVICE)
    elif state.running or state.waits:
        yield ok(Part.SERVICE, f"{manager.name}: {state.words}")
    else:
        yield fault(
            Part.SERVICE,
            f"the service of {name} does not run: {state.words}",
            f"start it: openclaw-tunnel service start{_word(name)}",
            code=SERVICE,
            repair=Repair(Remedy.START_SERVICE, name, f"Start the service of {name}?"),
        )
    if manager.name == "systemd" and Linger(env).is_on() is False:
        yield warning(
            Part.SERVICE,
            "it ends with your last logout, and starts with the next login only",
            "loginctl enable-linger",
            code="linger",
            repair=Repair(Remedy.LINGER, name, "Run it from boot on, and after you have logged out (linger)?"),
        )


def agent_seen(manager: Manager, keys: Keys, env: Mapping[str, str]) -> str | None:
    """The agent that a service would ask, where it matters and is another one than this shell's; else None."""
    if not keys.only_agent or not keys.agent_is_session:
        return None
    seen = agent_of_services(manager.name, env)
    return None if seen == keys.agent else seen


def agent_check(name: str, manager: Manager, seen: str, shortage: Failure, keys: Keys) -> Finding:
    """A service that could not log in, where this shell can.

    Args:
        seen: the agent that the service gets; empty for none.
        shortage: what its login would lack.
    """
    gets = f"the SSH agent {seen}, not" if seen else "no SSH agent, and this shell has"
    message = f"the service of {name} would have no key: {manager.name} gives it {gets} {keys.agent}"
    socket = shlex.quote(keys.agent)
    hint = (
        f"{to_pass_on(manager.name, socket)}; openclaw-tunnel service restart{_word(name)}; to have it after the next "
        f"login, too, name a socket that stays in ssh_config: IdentityAgent PATH"
    )
    return fault(Part.SERVICE, message, hint, code=str(shortage.code))


def _word(name: str) -> str:
    """The name behind a command that means the default tunnel without one."""
    return "" if name == DEFAULT_NAME else f" {name}"
