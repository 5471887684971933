"""The LaunchAgents of this user that keep an ssh, as OpenClaw documents them. macOS only: elsewhere there are none."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openclaw_tunnel.host.process import printed_by

SSH_LABELS = ("ai.openclaw.ssh-tunnel", "com.openclaw.ssh-tunnel")
"""The one of OpenClaw's documentation, and its older name."""

_PID = re.compile(r"^\tpid = (\d+)$", re.MULTILINE)
"""In the output of ``launchctl print``: lines with one tab are about the job itself."""


@dataclass(frozen=True, slots=True)
class LaunchAgent:
    """A LaunchAgent.

    Attributes:
        domain: where launchd has it, such as ``gui/501``.
        arguments: its ProgramArguments; empty where its file cannot be read.
        file: its property list; empty where there is none (any more).
        pid: the process that runs for it; None where none does.
    """

    label: str
    domain: str
    arguments: tuple[str, ...] = ()
    file: str = ""
    pid: int | None = None


def ssh_agents(env: Mapping[str, str], uid: int) -> tuple[LaunchAgent, ...]:
    """Those that launchd knows, or that have a file; at most four seconds.

    Args:
        env: HOME is where the files are, PATH where launchctl is.
        uid: of the user.
    """
    launchctl = shutil.which("launchctl", path=env.get("PATH", "") + ":/bin:/usr/bin")
    if launchctl is None:
        return ()
    folder = Path(env.get("HOME") or os.path.expanduser("~")) / "Library/LaunchAgents"
    found = (_agent(label, folder / f"{label}.plist", launchctl, uid) for label in SSH_LABELS)
    return tuple(agent for agent in found if agent)


def read_arguments(data: bytes) -> tuple[str, ...]:
    """The ProgramArguments of a property list; none where it is broken or has none."""
    try:
        import plistlib  # where there is such a file

        value = plistlib.loads(data)
    except Exception:  # what it raises for a broken file depends on how it is broken
        return ()
    arguments = value.get("ProgramArguments") if isinstance(value, dict) else None
    if not isinstance(arguments, list) or not all(isinstance(word, str) for word in arguments):
        return ()
    return tuple(arguments)


def _agent(label: str, file: Path, launchctl: str, uid: int) -> LaunchAgent | None:
    try:
        data = file.read_bytes()
    except OSError:
        data = None
    for domain in (f"gui/{uid}", f"user/{uid}"):
        printed = printed_by([launchctl, "print", f"{domain}/{label}"], must_succeed=True)
        if printed:
            pid = _PID.search(printed)
            path = str(file) if data is not None else ""
            return LaunchAgent(label, domain, read_arguments(data or b""), path, int(pid[1]) if pid else None)
    return None if data is None else LaunchAgent(label, f"gui/{uid}", read_arguments(data), str(file))
