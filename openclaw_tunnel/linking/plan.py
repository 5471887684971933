"""What ``link`` and ``unlink`` have to do, from what was found. Pure.

Where OpenClaw's own command line is on PATH, a plugin gives it the command ``tunnel``; where it is not, a script named
``openclaw`` beside our program (the dispatcher) does. The keys and rules are those of OpenClaw 2026.9.6 and 2026.5.5.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Any

from openclaw_tunnel.errors import TunnelError

PLUGIN = "openclaw-tunnel"
"""The plugin's id."""

ENTRY = f"plugins.entries.{PLUGIN}"
SCAN_OPTION = "--dangerously-force-unsafe-install"


class Files(Enum):
    """How our copy of the plugin stands."""

    ABSENT = auto()
    OLD = auto()
    CURRENT = auto()


class Kind(StrEnum):
    """What a step does, in the words that the user sees."""

    WRITE_PLUGIN = "write"
    RUN = "run"
    REMOVE_PLUGIN = "remove"
    WRITE_DISPATCHER = "create"
    REMOVE_DISPATCHER = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        path: the file or folder; None for a command.
        arguments: of OpenClaw's command line.
    """

    kind: Kind
    path: Path | None = None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What openclaw.json says of the plugin.

    Attributes:
        names_folder: ``plugins.load.paths`` has our folder.
        entry: ``enabled`` of the plugin's entry (true where it does not say); None where there is no entry.
        excluded: ``plugins.allow`` has others only, or ``plugins.deny`` has it.
        plugins_off: ``plugins.enabled`` is false.
    """

    names_folder: bool = False
    entry: bool | None = None
    excluded: bool = False
    plugins_off: bool = False

    @property
    def is_linked(self) -> bool:
        """Whether OpenClaw is to load the plugin from our folder."""
        return self.names_folder and self.entry is not False and not self.excluded and not self.plugins_off


@dataclass(frozen=True, slots=True)
class Found:
    """What is on this computer.

    Attributes:
        openclaw: OpenClaw's own command line; None where there is none on PATH.
        settings: of ``settings_file``.
        folder: where our copy of the plugin is, or would be.
        place: where a dispatcher of ours would be: beside our program.
        place_taken: a file that is not ours is there.
        place_writable: a file can be made or removed there.
        place_on_path: a shell would find it there.
        place_current: a dispatcher is there that needs no change.
        dispatchers: those that were found, ``place`` or elsewhere on PATH.
    """

    openclaw: Path | None
    settings: Settings
    settings_file: Path
    folder: Path
    files: Files
    place: Path
    place_taken: bool = False
    place_writable: bool = True
    place_on_path: bool = True
    place_current: bool = False
    dispatchers: tuple[Path, ...] = ()


def read_settings(plugins: object, folder: Path, home: Path) -> Settings:
    """Pick what concerns us from ``plugins`` of openclaw.json; OpenClaw itself checks the rest.

    Args:
        folder: where our copy of the plugin is.
        home: what ``~`` in a path stands for.
    """
    root = _object(plugins)
    paths = _texts(_object(root.get("load")).get("paths"))
    entry = _object(root.get("entries")).get(PLUGIN)
    allow, deny = _texts(root.get("allow")), _texts(root.get("deny"))
    return Settings(
        names_folder=any(_absolute(path, home) == folder for path in paths),
        entry=None if entry is None else _object(entry).get("enabled") is not False,
        excluded=bool(allow and PLUGIN not in allow) or PLUGIN in deny,
        plugins_off=root.get("enabled") is False,
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _absolute(path: str, home: Path) -> Path:
    return home / path[2:] if path.startswith("~/") else Path(path)


def install_options(help_text: str) -> tuple[str, ...]:
    """The options with which ``plugins install --link`` needs no terminal, by what that release's help says of them.

    2026.9: the source is none of ClawHub's (``--force``), and it may do what it declares (``--accept-capabilities``).
    2026.5: its scan objects to every plugin that starts a program (``SCAN_OPTION``).
    """
    words = " ".join(help_text.split())
    known = {
        "--force": "Confirm non-ClawHub sources" in words,
        "--accept-capabilities": "--accept-capabilities " in words,
        SCAN_OPTION: f"{SCAN_OPTION} Bypass" in words,
    }
    return tuple(option for option, needed in known.items() if needed)


def plan_link(found: Found, options: tuple[str, ...]) -> tuple[Step, ...]:
    """What makes ``openclaw tunnel`` work; empty where nothing has to be done.

    Args:
        options: as :func:`install_options` has them.

    Raises:
        TunnelError: it cannot be done; nothing may be changed.
    """
    return _plan_plugin(found, options) if found.openclaw else _plan_dispatcher(found)


def _plan_plugin(found: Found, options: tuple[str, ...]) -> tuple[Step, ...]:
    if found.settings.plugins_off:
        raise TunnelError(
            f"{found.settings_file} turns all plugins off: plugins.enabled is false",
            hint="turn them on, then link again: openclaw config set plugins.enabled true",
        )
    steps = [] if found.files is Files.CURRENT else [Step(Kind.WRITE_PLUGIN, found.folder)]
    if not found.settings.is_linked:
        steps.append(Step(Kind.RUN, arguments=("plugins", "install", "--link", str(found.folder), *options)))
    if found.settings.entry is False:  # the installer leaves that as it is
        steps.append(Step(Kind.RUN, arguments=("plugins", "enable", PLUGIN)))
    return (*steps, *_without_dispatchers(found))


def _plan_dispatcher(found: Found) -> tuple[Step, ...]:
    place = found.place
    if found.place_taken:
        raise TunnelError(
            f"{place} is there, and not ours: it stays as it is",
            hint=f"move it out of the way, or go on with: {PLUGIN}",
        )
    if not found.place_on_path:
        raise TunnelError(
            f"a shell would not find {place}: its folder is not on PATH",
            hint=f'add it, in ~/.profile for good, then link again: export PATH="{place.parent}:$PATH"',
        )
    if found.place_current:
        return ()
    if not found.place_writable:
        raise TunnelError(
            f"{place} cannot be made: its folder is not yours to write to",
            hint=f"link as the user who installed {PLUGIN} there, or install it for yourself: pipx install {PLUGIN}",
        )
    return (Step(Kind.WRITE_DISPATCHER, place),)


def plan_unlink(found: Found) -> tuple[Step, ...]:
    """What removes all of it; empty where there is nothing. :func:`plan_leftover` comes after it."""
    steps: list[Step] = []
    if found.openclaw and found.settings.names_folder:
        steps.append(Step(Kind.RUN, arguments=("plugins", "uninstall", PLUGIN, "--force")))
    elif found.openclaw:
        steps += plan_leftover(found.settings)
    steps += _without_dispatchers(found)
    if found.files is not Files.ABSENT:
        steps.append(Step(Kind.REMOVE_PLUGIN, found.folder))
    return tuple(steps)


def plan_leftover(settings: Settings) -> tuple[Step, ...]:
    """What removes the entry that ``plugins uninstall`` of 2026.9 leaves, and that would stop the next link."""
    return () if settings.entry is None else (Step(Kind.RUN, arguments=("config", "unset", ENTRY)),)


def _without_dispatchers(found: Found) -> tuple[Step, ...]:
    return tuple(Step(Kind.REMOVE_DISPATCHER, path) for path in found.dispatchers)


def after_refusal(step: Step, settings_file: Path) -> str:
    """What to do where OpenClaw did not carry out a step."""
    if step.arguments[1:2] == ("uninstall",):  # it wants the record of its own installer
        return (
            f"mend what it says above, or take the plugin's folder out of plugins.load.paths in {settings_file} "
            "yourself; then unlink again"
        )
    return "mend what it says above (openclaw doctor may help), then give the same command again"


def is_status(text: str) -> bool:
    """Whether ``text`` is what our ``status --json`` prints: the command got through, whatever the tunnels do."""
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    return isinstance(answer, dict) and "tunnels" in answer


def why_not(settings: Settings) -> str:
    """Why OpenClaw does not know the command after the installer was content; empty where the file does not say."""
    if settings.excluded:
        return f"add {PLUGIN} to plugins.allow, or take it out of plugins.deny: openclaw config get plugins"
    if not settings.names_folder:
        return "its settings do not name our folder: another OPENCLAW_CONFIG_PATH or profile?"
    if settings.entry is False:
        return f"it is turned off: openclaw plugins enable {PLUGIN}"
    return ""
