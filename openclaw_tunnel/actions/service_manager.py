"""The service manager of this computer, and tunnels that are its to close."""

import contextlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.errors import DaemonUnreachable, ServiceError
from openclaw_tunnel.service.launchd import Launchd
from openclaw_tunnel.service.manager import Manager
from openclaw_tunnel.service.spec import tunnel_of
from openclaw_tunnel.service.systemd import Systemd
from openclaw_tunnel.ui import output

PROGRAM = "openclaw-tunnel"


def manager_of(env: Mapping[str, str], *, system: bool = False) -> Manager:
    """launchd where there is a launchctl, else systemd."""
    if shutil.which("launchctl", path=env.get("PATH")):
        if system:
            raise ServiceError(
                "--system is for systemd", hint="without it the service runs whenever this user is logged in"
            )
        return Launchd(env)
    return Systemd(env, system=system)


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


@contextlib.contextmanager
def told_what_closes_too(client: ControlClient) -> Iterator[None]:
    """Around what ends a service: a note on tunnels that ``up`` opened in the service's process, and that are gone."""
    before = _by_hand(client)
    yield
    if gone := sorted(before - _by_hand(client)):
        output.note(
            f"closed with it, as its process held it too: {', '.join(gone)}; open it again: openclaw-tunnel up -d"
        )


def _by_hand(client: ControlClient) -> set[str]:
    """The tunnels that run and that no service keeps."""
    try:
        kept = client.call("ping").get("services") or {}
        return {str(tunnel["name"]) for tunnel in client.call("status")["tunnels"]} - set(kept)
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
