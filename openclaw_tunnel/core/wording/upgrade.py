"""How a daemon comes to run the version that is installed, in words."""

from collections.abc import Mapping
from typing import Any


def to_change(services: Mapping[str, Any]) -> str:
    """What has the new version run, where these services keep tunnels of the daemon; any of them may be its process."""
    if not services:
        return "openclaw-tunnel down --all, then up -d"
    restart = "openclaw-tunnel service restart"
    if any(service.get("system") for service in services.values()):
        return f"sudo {restart} --system"
    return ", then ".join(restart if list(services) == ["default"] else f"{restart} {name}" for name in services)
