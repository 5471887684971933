"""What service managers have to do with the tunnels of this daemon."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw_tunnel.core.status import DaemonInfo, Snapshot
from openclaw_tunnel.host.version import installed_version


@dataclass(slots=True)
class ServiceOwners:
    """Which tunnels a service keeps, so that others ask its manager instead of closing them behind its back.

    Attributes:
        services: the tunnels that one keeps, each with its ``manager``, ``unit`` and ``system``.
        failed: tunnels that a service wants and that cannot even begin: what ``status`` shows for them.
        in_foreground: this process is an ``up`` that somebody looks at, and ends with Ctrl-C or the terminal.
    """

    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, Snapshot] = field(default_factory=dict)
    in_foreground: bool = False

    def keep(self, name: str, service: Mapping[str, Any]) -> None:
        """Note that ``service`` keeps a tunnel; an empty one keeps none."""
        if service:
            self.services[name] = dict(service)

    def has_desktop(self, name: str) -> bool:
        """Whether somebody may sit before the tunnel of that name: not where the service of a whole system keeps it."""
        return not self.services.get(name, {}).get("system")

    def warning(self, name: str, pid: int) -> str:
        """What to tell whoever has just opened the tunnel of that name in this process; empty: nothing."""
        if not self.in_foreground:
            return ""
        return f"{name} closes with the openclaw-tunnel up that runs in the foreground and holds it (pid {pid})"

    def complete(self, info: DaemonInfo) -> DaemonInfo:
        """``info`` with what may change while the daemon runs."""
        installed = installed_version()
        return replace(info, services=dict(self.services), installed=installed or info.version)
