"""The service manager of this computer, and tunnels that are its to close."""

import contextlib
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, client_of, look_at_tunnels
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.control.orders import Ping
from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, ServiceError, TunnelError, UsageError
from openclaw_tunnel.service.launchd import Launchd
from openclaw_tunnel.service.manager import Manager
from openclaw_tunnel.service.spec import tunnel_of
from openclaw_tunnel.service.systemd import Systemd
from openclaw_tunnel.ui import progress

PROGRAM = "openclaw-tunnel"

APPEARS = 20.0
"""Seconds in which the tunnel of a service that runs has to be known to this user's daemon."""

_STEP = 0.05


class Verb(StrEnum):
    """What can be done with a service; the values say that it was done."""

    START = "started"
    STOP = "stopped"
    RESTART = "restarted"


def manager_of(env: Mapping[str, str], *, system: bool = False) -> Manager:
    """launchd where there is a launchctl, else systemd."""
    if shutil.which("launchctl", path=env.get("PATH")):
        if system:
            raise ServiceError(
                "--system is for systemd", hint="without it the service runs whenever this user is logged in"
            )
        return Launchd(env)
    return Systemd(env, system=system)


def pick_service(manager: Manager, name: str | None) -> str:
    """The service that is meant: the one of that name; without a name the only one, else ``default``.

    Raises:
        ServiceError: there is none.
        UsageError: there are several.
    """
    if name is not None:
        return name
    names = manager.names()
    if not names:
        raise ServiceError("no service is installed", hint="make one: openclaw-tunnel service install TARGET")
    if len(names) > 1 and DEFAULT_NAME not in names:
        raise UsageError("which service is meant?", hint=f"give one of these names: {', '.join(names)}")
    return DEFAULT_NAME if DEFAULT_NAME in names else names[0]


def stop_services(services: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Have their managers stop the services that keep these tunnels; the names of those.

    Args:
        services: as the daemon's answer to ``ping`` has them.

    Raises:
        ServiceError: a manager refuses.
    """
    kept = [name for name in names if name in services]
    for name in kept:
        service = services[name]
        manager_of(os.environ, system=bool(service.get("system"))).stop(tunnel_of(str(service.get("unit"))) or name)
    return kept


def control_service(manager: Manager, verb: Verb, name: str) -> list[str]:
    """Start, stop or restart the service of a tunnel; notes on what ended with it.

    Raises:
        ServiceError: the manager refuses.
    """
    with closes_too(client_of()) as notes, progress.working(f"waiting until the service of {name} is {verb}"):
        match verb:
            case Verb.START:
                manager.start(name)
            case Verb.STOP:
                manager.stop(name)
            case Verb.RESTART:
                manager.restart(name)
    return notes


def comes_back(manager: Manager, name: str) -> Snapshot | None:
    """The tunnel of a service that was just started; None where this user's daemon does not get to know it yet.

    Raises:
        TunnelError: as :func:`appears`.
    """
    if manager.system or manager.state(name).waits:
        return None
    return appears(client_of(), manager, name)


def appears(client: ControlClient, manager: Manager, name: str) -> Snapshot:
    """The tunnel of a service that was just started, once this user's daemon knows it.

    Raises:
        TunnelError: it does not.
    """
    deadline = Deadline(APPEARS)
    with progress.working("waiting for the service to open its tunnel"):
        while deadline.left:
            for tunnel in look_at_tunnels(client, name).tunnels:
                return tunnel
            time.sleep(_STEP)
    raise TunnelError(
        f"the service runs, and its tunnel does not show up: {manager.state(name).words}",
        hint="see what it says: openclaw-tunnel service status, and openclaw-tunnel logs",
        exit_code=ExitCode.SERVICE,
    )


@contextlib.contextmanager
def closes_too(client: ControlClient) -> Iterator[list[str]]:
    """Around what ends a service: notes on tunnels that ``up`` opened in its process, known at the end of the block."""
    before, notes = _by_hand(client), list[str]()
    yield notes
    if gone := ", ".join(sorted(before - _by_hand(client))):
        notes.append(f"closed with it, as its process held it too: {gone}; open it again: openclaw-tunnel up -d")


def _by_hand(client: ControlClient) -> set[str]:
    """The tunnels that run and that no service keeps."""
    try:
        kept = client.call(Ping()).services
        return {tunnel.name for tunnel in client.call(Status()).tunnels} - set(kept)
    except DaemonUnreachable:
        return set()


def find_program(arguments: Sequence[str] = sys.argv, env: Mapping[str, str] = os.environ) -> str:
    """The absolute path of ``openclaw-tunnel`` that a service is to run: its name is what macOS shows to the user.

    Links are not followed: an upgrade changes where they lead.

    Raises:
        ServiceError: there is none beside this Python.
    """
    called = arguments[0] if arguments else ""
    candidates = [
        os.path.abspath(called) if Path(called).name == PROGRAM and os.sep in called else "",
        os.path.join(sysconfig.get_path("scripts"), PROGRAM),
        shutil.which(PROGRAM, path=env.get("PATH")) or "",
    ]
    for path in candidates:
        if path and os.access(path, os.X_OK):
            return path
    raise ServiceError(
        f"there is no program {PROGRAM} for a service to run",
        hint="install it, for example with: pipx install openclaw-tunnel",
    )
