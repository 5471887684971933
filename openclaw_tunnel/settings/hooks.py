"""``notifications`` and ``hooks`` of tunnels.json5: who is notified when a tunnel changes its state.

For example::

    notifications: false,
    hooks: {
      up: ["~/bin/mount-share", "--quiet"],     // the program and its arguments; no shell
      down: ["bin/gone"],                       // relative to the folder of the file; a bare name is looked up in PATH
      failure: false,                           // none here, whatever is said for all tunnels
    }
"""

import json
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from openclaw_tunnel.core.notify.hook_events import HookEvent
from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import Document, Section, kind_of
from openclaw_tunnel.ssh_config.tokens import expand_home

ANNOUNCE_KEYS = ("notifications", "hooks")
_FOR_A_SHELL = re.compile(r"[|&;<>()$`*?~#!{}\[\]=\n]")


def read_announce(section: Section, base: Announce, path: Path) -> Announce:
    """``base`` with what a section of the file at ``path`` changes, each event on its own.

    Raises:
        ConfigError: it is not of that form, or somebody else could have written the commands.
    """
    hooks = section.section("hooks").only(tuple(HookEvent))
    if hooks.values:
        _check_writers(path)
    notifications = section.flag("notifications")
    commands = {
        str(event): _command(hooks, event, path.parent) if event in hooks.values else base.command(event)
        for event in HookEvent
    }
    return Announce(base.notifications if notifications is None else notifications, **commands)


def unusable(command: tuple[str, ...], env: Mapping[str, str]) -> str:
    """Why the program of a command cannot be run; empty where it can, or where there is none.

    Args:
        env: where PATH is looked up.
    """
    if not command:
        return ""
    program = command[0]
    if "/" not in program:
        return "" if shutil.which(program, path=env.get("PATH", "")) else f"{program} is not in PATH"
    if not os.path.isfile(program):
        return f"{program} is no file" if os.path.exists(program) else f"{program} does not exist"
    return "" if os.access(program, os.X_OK) else f"{program} may not be executed: chmod u+x {program}"


def unusable_hooks(announce: Announce, env: Mapping[str, str]) -> tuple[str, ...]:
    """A notice for each hook that cannot be run; the tunnel works without it."""
    reasons = [(event, unusable(announce.command(event), env)) for event in HookEvent]
    return tuple(f"the hook {event} of tunnels.json5 cannot be run: {reason}" for event, reason in reasons if reason)


def hook_problems(document: Document, path: Path, env: Mapping[str, str]) -> Iterator[ConfigError]:
    """An error for each hook of a file, otherwise in order, whose program is not there."""
    root = document.root
    tunnels = root.section("tunnels")
    for section in (root, *(tunnels.section(name) for name in tunnels.values)):
        announce, hooks = read_announce(section, Announce(), path), section.section("hooks")
        for event in HookEvent:
            if reason := unusable(announce.command(event), env):
                yield hooks.error(event, f"cannot be run: {reason}")


def _command(hooks: Section, event: HookEvent, folder: Path) -> tuple[str, ...]:
    value = hooks.values[event]
    if value is False:
        return ()
    if isinstance(value, str) and value.strip():
        raise hooks.error(event, "must be a list of a program and its arguments, not a string", _as_list(event, value))
    example = f'write the program and its arguments: {event}: ["program", "argument"], or false for none'
    if not isinstance(value, list):
        raise hooks.error(event, f"must be a list of a program and its arguments, not {kind_of(value)}", example)
    words = hooks.texts(event)
    if not words or not words[0].strip():
        raise hooks.error(event, "names no program", example)
    if any("\0" in word for word in words):
        raise hooks.error(event, "must not hold a NUL character", example)
    try:
        program = expand_home(words[0], event)
    except ConfigError as error:
        raise hooks.error(event, f"cannot be used: {error.message}", error.hint) from None
    return (os.path.abspath(folder / program) if "/" in program else program, *words[1:])


def _as_list(event: HookEvent, text: str) -> str:
    """The same command as a list, for whoever wrote it as a string."""
    try:
        words = ["sh", "-c", text] if _FOR_A_SHELL.search(text) else shlex.split(text)
    except ValueError:
        words = ["sh", "-c", text]
    return f"write {event}: {json.dumps(words, ensure_ascii=False)}"


def _check_writers(path: Path) -> None:
    """As ssh has it for its own configuration (ssh_config(5), FILES): who can write the file can run commands as us.

    Raises:
        ConfigError: somebody else can write it.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="is somebody writing it? Try again"
        ) from None
    if found.st_uid not in (0, os.getuid()):
        what, step = f"belongs to another user ({found.st_uid})", f"make it yours: chown {os.getuid()} {path}"
    elif stat.S_IMODE(found.st_mode) & 0o022:
        what = f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o})"
        step = f"let nobody else write it: chmod go-w {path}"
    else:
        return
    raise ConfigError(f"{path} {what}, and it has hooks: commands that run as you", hint=step)
