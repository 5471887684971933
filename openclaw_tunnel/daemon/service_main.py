"""The process that the service manager runs, from its start to its end."""

import asyncio
import faulthandler
import os
from typing import Any

from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.daemon.service import ServiceProcess
from openclaw_tunnel.daemon.watchdog import Watchdog
from openclaw_tunnel.host import inherited
from openclaw_tunnel.host.inprocess_watchdog import InprocessWatchdog
from openclaw_tunnel.host.logs import setup_logging
from openclaw_tunnel.host.paths import Paths, ensure_private_dir
from openclaw_tunnel.host.sdnotify import Notifier
from openclaw_tunnel.service.render import SOCKET_NAME
from openclaw_tunnel.service.spec import label_of
from openclaw_tunnel.settings.up_options import UpOptions
from openclaw_tunnel.ui.tunnelrows import change

LONGEST_QUIET = 30.0
"""Seconds without a sign of life after which a service of launchd ends itself, to be started again."""

_MOST_SOCKETS = 64


def run_service(options: UpOptions) -> int:
    """Hold the tunnel of these options until the manager ends it; the exit code."""
    owner = _owner(dict(os.environ))
    launchd = owner.get("manager") == "launchd"
    inherited.adopt(os.environ, [SOCKET_NAME.format(n) for n in range(1, _MOST_SOCKETS)] if launchd else ())
    notifier = Notifier(os.environ)
    paths = Paths.from_env(os.environ)
    ensure_private_dir(paths.log_dir)
    setup_logging(paths.log_file, to_stderr=bool(notifier))  # systemd's journal has a copy
    faulthandler.enable()  # a watchdog ends us with SIGABRT: let it be known where we stood
    inner = InprocessWatchdog(seconds=LONGEST_QUIET) if launchd else None

    async def live() -> int:
        watchdog = Watchdog(notifier, inner)
        return await ServiceProcess(paths, dict(os.environ), options, owner, notifier, watchdog, change).run()

    return asyncio.run(live())


def _owner(env: dict[str, str]) -> dict[str, Any]:
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
