"""Writes ``gateway.*`` of openclaw.json: through OpenClaw's own command line where there is one, else by ourselves.

OpenClaw's ``config patch --stdin`` (2026.5 and later) takes all changes at once, checks them against its schema, and
has the token come through standard input: ``config set`` would show it in the process list. It rewrites the file as
plain JSON, so a file with comments or includes is edited by us instead: only the places that change are touched. Either
way the result is read back and compared before anybody hears "changed".
"""

import json
import os
import shutil
import subprocess
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.process import kill_group
from openclaw_tunnel.host.settingsfile import replace_file
from openclaw_tunnel.json5doc.document import parse_document, read_bytes
from openclaw_tunnel.json5doc.edit import CannotEdit, Patch, apply, comments_of, edit
from openclaw_tunnel.openclaw.includes import INCLUDE
from openclaw_tunnel.openclaw.layers import HINT, Loaded

PROGRAM_TIMEOUT = 30.0
"""Seconds; it takes 2 on an idle computer."""

_READ_ONLY = ("OPENCLAW_CONFIG_READONLY", "OPENCLAW_NIX_MODE")
_NO = ("", "0", "false", "no", "off")

RunProgram = Callable[[str, bytes, Mapping[str, str]], bool]
"""Program, standard input, environment -> whether it says that it is done."""


class ByHand(ConfigError):
    """Nothing was changed, and the user has to change the file: the message says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was changed, by whom, and the copy of what it was (None: there was none, or OpenClaw made it)."""

    path: Path
    through: str = ""
    copy: Path | None = None


def run_patch(program: str, patch: bytes, env: Mapping[str, str]) -> bool:
    """``openclaw config patch --stdin``; whatever ends this call early ends all that it started, too."""
    argv = [program, "config", "patch", "--stdin"]
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=dict(env), start_new_session=True
        )
    except OSError:
        return False
    try:
        process.communicate(patch, timeout=PROGRAM_TIMEOUT)
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:  # it would write over what we write now
            kill_group(process.pid)
            process.wait()
    return process.returncode == 0


def write_settings(loaded: Loaded, patch: Patch, env: Mapping[str, str], *, run: RunProgram = run_patch) -> Written:
    """Make the change in the file that ``loaded`` was read from.

    Args:
        patch: what changes; ``gateway`` and nothing else.
        env: the process's environment: its PATH says which ``openclaw``.
        run: runs OpenClaw's command line.

    Raises:
        ByHand: nothing was changed, and the user has to do it.
        ConfigError: the file cannot be read or written, or was changed at this moment.
    """
    _check_may_write(loaded, env)
    path = loaded.path
    text, own = _read(path)[1:]
    program = shutil.which("openclaw", path=env.get("PATH", os.defpath))
    if program and _is_plain(text, own) and run(program, json.dumps(patch).encode(), env):
        own = _read(path)[2]
        if apply(own, patch) == own:  # whatever else OpenClaw added
            return Written(path, through="openclaw config patch")
    return edit_file(path, patch)


def edit_file(path: Path, patch: Patch) -> Written:
    """Make the change by ourselves: only the places that change are touched, and the old file is kept beside it.

    Raises:
        ByHand, ConfigError: as ``write_settings``.
    """
    before, text, own = _read(path)
    after = _edited(path, text, own, patch)
    mark = BOM_UTF8 if before and before.startswith(BOM_UTF8) else b""
    return Written(path, copy=replace_file(path, before, mark + after.encode()))


def check_can_write(loaded: Loaded, patch: Patch, env: Mapping[str, str]) -> None:
    """What ``write_settings`` would refuse is refused now; nothing is changed.

    Raises:
        ByHand, ConfigError: as there.
    """
    _check_may_write(loaded, env)
    _edited(loaded.path, *_read(loaded.path)[1:], patch)


def _check_may_write(loaded: Loaded, env: Mapping[str, str]) -> None:
    for name in _READ_ONLY:
        if env.get(name, "").strip().lower() not in _NO:
            raise ByHand(
                f"{loaded.path} is managed elsewhere ({name}), and not changed",
                hint="put the settings shown above where that file is made, then call setup again",
            )
    origins = loaded.document.origins if loaded.document else {}
    place = next((document.path for keys, (document, _) in origins.items() if keys[:1] == ("gateway",)), "")
    if place:
        raise ByHand(
            f"{loaded.path} includes its gateway settings from {place}, and is not changed",
            hint=f"put the settings shown above into {place}, then call setup again",
        )


def _is_plain(text: str, own: Mapping[str, Any]) -> bool:
    """Whether OpenClaw's rewriting loses nothing that a person wrote."""
    try:
        return not comments_of(text) and INCLUDE not in json.dumps(own)
    except (CannotEdit, ValueError, RecursionError):
        return False


def _read(path: Path) -> tuple[bytes | None, str, Mapping[str, Any]]:
    """A file's bytes, its text without a byte order mark, and what it says; a missing or blank one says nothing."""
    data = read_bytes(path, HINT)
    if not data or not data.strip():
        return data, "", {}
    document = parse_document(str(path), data, HINT)
    return data, document.text, document.value


def _edited(path: Path, text: str, own: Mapping[str, Any], patch: Patch) -> str:
    """The text with the change, checked: it means that change and nothing else, and has every comment."""
    why = "its layout is not understood"
    try:
        after = edit(text, patch)
        meant = parse_document(str(path), after.encode(), HINT).value
        if meant == apply(own, patch) and comments_of(after) == comments_of(text):
            return after
    except (CannotEdit, ConfigError) as error:
        why = str(error)
    raise ByHand(
        f"{path} cannot be changed without touching more than its gateway settings: {why}",
        hint="put the settings shown above into it, then call setup again",
    )
