"""Notices on the desktop, through the program that the system has for it: osascript on macOS, notify-send elsewhere.

Where there is no such program, or no desktop, nothing happens. Text reaches the programs as arguments, never as a part
of a script.
"""

import asyncio
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

from openclaw_tunnel.core.notify.notices import Notice
from openclaw_tunnel.host.hooks import end_group

logger = logging.getLogger(__name__)

NAME = "openclaw-tunnel"

QUIET = "OPENCLAW_TUNNEL_TEST"
"""A variable: where it is set, nothing is shown. Tests run on the desktops of people."""

DEADLINE = 10.0
"""Seconds for the program; one that finds no desktop behind the bus may wait for it."""

_SCRIPT = ("on run argv", "display notification (item 1 of argv) with title (item 2 of argv)", "end run")


class Desktop(Protocol):
    """Shows notices to the person at this computer."""

    async def show(self, notice: Notice, env: Mapping[str, str]) -> None:
        """Show one, in place of the last one about the same tunnels where that can be done; raises nothing.

        Args:
            env: of whoever started the tunnel: PATH, the session's bus.
        """


class SystemDesktop:
    """The desktop of this computer."""

    def __init__(self, platform: str = sys.platform, *, deadline: float = DEADLINE) -> None:
        """Args: ``platform`` as ``sys.platform``; ``deadline`` in seconds."""
        self._is_mac = platform == "darwin"
        self._deadline = deadline
        self._shown: dict[frozenset[str], str] = {}
        self._can_replace = True

    async def show(self, notice: Notice, env: Mapping[str, str]) -> None:
        """See ``Desktop``."""
        program = shutil.which("osascript" if self._is_mac else "notify-send", path=env.get("PATH", ""))
        if program is None or env.get(QUIET) or not (self._is_mac or _has_bus(env)):
            return
        if self._is_mac:
            await self._run([program, *osascript_arguments(notice)], env)
            return
        if self._can_replace:
            names = frozenset(notice.names)
            number = await self._run([program, *notify_arguments(notice, self._shown.get(names, ""))], env)
            if number is not None:
                self._shown[names] = number if number.isdigit() else ""
                return
            self._can_replace = False  # before libnotify 0.8 there were no numbers
        await self._run([program, *notify_arguments(notice, None)], env)

    async def _run(self, argv: Sequence[str], env: Mapping[str, str]) -> str | None:
        """What the program printed; None where it could not do it."""
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=dict(env),
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            logger.debug("%s cannot be run: %s", argv[0], error)
            return None
        try:
            async with asyncio.timeout(self._deadline):
                printed, _ = await process.communicate()
        except TimeoutError:
            await end_group(process, 0.0)
            logger.debug("%s took longer than %g s", argv[0], self._deadline)
            return ""
        except asyncio.CancelledError:
            await end_group(process, 0.0)
            raise
        if process.returncode:
            logger.debug("%s ended with code %s", argv[0], process.returncode)
            return None
        return printed.decode(errors="replace").strip()


def osascript_arguments(notice: Notice) -> list[str]:
    """The arguments of osascript(1); what follows the script is given to its ``run`` handler."""
    script = [word for line in _SCRIPT for word in ("-e", line)]
    return [*script, "\n".join(filter(None, (notice.title, notice.text))), NAME]


def notify_arguments(notice: Notice, replaced: str | None) -> list[str]:
    """The arguments of notify-send(1).

    Args:
        replaced: the number of the notice that makes way for this one, empty for none; None: numbers are unknown to it.
    """
    numbers = [] if replaced is None else ["--print-id", *([f"--replace-id={replaced}"] if replaced else [])]
    # the body, and only that, is markup (Desktop Notifications Specification), and notify-send resolves its backslashes
    body = notice.text.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return [f"--app-name={NAME}", *numbers, "--", notice.title, body]


def _has_bus(env: Mapping[str, str]) -> bool:
    """Whether the session has a bus: notify-send would else wait, or start one."""
    if env.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    folder = env.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return os.path.exists(os.path.join(folder, "bus"))
