"""The plugin's files: shipped in ``openclaw_tunnel/plugin``, copied to a folder of ours that stays where it is."""

import contextlib
import json
import os
from importlib import resources
from pathlib import Path

from openclaw_tunnel import __version__
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.host.files import write_atomic
from openclaw_tunnel.host.paths import Paths, ensure_private_dir
from openclaw_tunnel.linking.plan import Files

_CODE, _MANIFEST, _PACKAGE = "index.js", "openclaw.plugin.json", "package.json"
_PROGRAM = "program.json"


def folder_of(paths: Paths) -> Path:
    """Where the copy is, or would be."""
    return paths.state_dir / "openclaw-plugin"


def render(program: str) -> dict[str, bytes]:
    """The files, by name.

    Args:
        program: the absolute path that the plugin runs: an upgrade by pipx or uv keeps it.
    """
    shipped = {name: (resources.files("openclaw_tunnel") / "plugin" / name).read_bytes() for name in (_CODE, _MANIFEST)}
    package = json.loads((resources.files("openclaw_tunnel") / "plugin" / _PACKAGE).read_text(encoding="utf-8"))
    return {
        **shipped,
        _PACKAGE: _json({**package, "version": __version__}),
        _PROGRAM: _json({"program": program}),
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def state_of(folder: Path, program: str) -> Files:
    """How the copy in ``folder`` stands."""
    if not os.path.lexists(folder):
        return Files.ABSENT
    try:
        current = all((folder / name).read_bytes() == data for name, data in render(program).items())
    except OSError:
        current = False
    return Files.CURRENT if current else Files.OLD


def write(folder: Path, program: str) -> None:
    """Make the copy, or bring it up to date.

    Raises:
        ConfigError: the folder is not ours, or cannot be used.
        TunnelError: a file cannot be written.
    """
    ensure_private_dir(folder.parent)
    ensure_private_dir(folder)
    try:
        for name, data in render(program).items():
            write_atomic(folder / name, data)
    except OSError as error:
        raise TunnelError(f"{folder} cannot be written: {error.strerror}", hint="make room, and link again") from None


def remove(folder: Path) -> None:
    """Remove the copy, which may be gone already.

    Raises:
        TunnelError: it cannot be removed, or holds files that are not ours: those stay, and the folder.
    """
    if folder.is_symlink():
        raise TunnelError(f"{folder} is a symbolic link, not a folder of ours: it stays", hint=f"see: ls -l {folder}")
    try:
        for name in (_CODE, _MANIFEST, _PACKAGE, _PROGRAM):
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
    except OSError as error:
        raise TunnelError(
            f"{folder} cannot be removed: {error.strerror}", hint=f"look at what is left in it: ls -la {folder}"
        ) from None
