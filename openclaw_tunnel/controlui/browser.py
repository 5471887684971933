"""The user's browser: which programs may open a page, and starting them."""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

TEXT_BROWSERS = frozenset({"w3m", "lynx", "links", "links2", "elinks", "www-browser", "browsh", "carbonyl"})
"""They take over the terminal, and most of them run no JavaScript, without which a Control UI is empty."""

_DESKTOP = (("xdg-open",), ("gio", "open"), ("sensible-browser",), ("x-www-browser",))
_STEP = 0.05

Fetched = Callable[[float], bool]
"""Whether the page has been fetched, or is within so many seconds."""


def browsers(
    env: Mapping[str, str], platform: str = sys.platform, which: Callable[[str], str | None] = shutil.which
) -> list[tuple[str, ...]]:
    """The commands that may open a page, the best first, each without the address: those of ``BROWSER`` (as Python's
    webbrowser and xdg-open read it: separated by colons, ``%s`` is the address), then the desktop's own.

    No text browser is among them, and without a desktop (a login over SSH) nothing but what ``BROWSER`` names.
    """
    found = [command for text in env.get("BROWSER", "").split(":") if (command := _words(text))]
    if platform == "darwin":
        desktop: tuple[tuple[str, ...], ...] = () if env.get("SSH_CONNECTION") else (("/usr/bin/open",),)
    else:
        desktop = _DESKTOP if env.get("DISPLAY") or env.get("WAYLAND_DISPLAY") else ()
    return [
        command
        for command in dict.fromkeys((*found, *desktop))
        if PurePath(command[0]).name not in TEXT_BROWSERS and which(command[0])
    ]


def with_url(command: Sequence[str], url: str) -> list[str]:
    """The command with the address in the place of ``%s``, else behind it."""
    if any("%s" in word for word in command):
        return [word.replace("%s", url) for word in command]
    return [*command, url]


def show(url: str, commands: Sequence[Sequence[str]], fetched: Fetched, seconds: float) -> bool:
    """Have the first of ``commands`` that can show ``url``; whether the page was fetched in time.

    A command that ends with a failure is followed by the next one. They are started in a session of their own, away
    from the terminal, and outlive us.

    Args:
        seconds: for all of it.
    """
    end = time.monotonic() + seconds
    for command in commands:
        if _shown(with_url(command, url), fetched, end):
            return True
        if time.monotonic() >= end:
            break
    return False


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text.strip().removesuffix("&")))
    except ValueError:
        return ()


def _shown(argv: list[str], fetched: Fetched, end: float) -> bool:
    """Whether this command had the page fetched; returns early where it ends with a failure."""
    try:
        nothing = subprocess.DEVNULL
        child = subprocess.Popen(argv, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
    except OSError:
        return False
    try:
        while not child.poll() and (left := end - time.monotonic()) > 0:
            if fetched(min(_STEP, left)):
                return True
        return fetched(0)
    finally:
        child.returncode = child.returncode or 0  # it outlives us: Popen shall not warn that nobody waited
