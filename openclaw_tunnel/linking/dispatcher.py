"""A script named ``openclaw`` beside our program, for a computer without OpenClaw's own command line."""

import os
import shlex
import stat
from pathlib import Path

from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.host.files import write_atomic

NAME = "openclaw"
_MARK = "# openclaw-tunnel dispatcher"
_EXECUTABLE = 0o755
_LOOKED_AT = 256  # bytes: the mark stands in the second line

_SCRIPT = """\
#!/bin/sh
{mark}: made by 'openclaw-tunnel link', removed by 'openclaw-tunnel unlink'.
# Runs 'openclaw tunnel ...'; everything else goes to the next openclaw on PATH. Scripts with this mark are passed over.

if [ "${{1-}}" = tunnel ]; then
  shift
  [ -x {program} ] && exec {program} "$@"
  command -v openclaw-tunnel >/dev/null && exec openclaw-tunnel "$@"
  printf 'error: %s is gone, and no openclaw-tunnel is on PATH\\n\\n' {program} >&2
  printf 'hint: install it, or remove this script: rm %s\\n' "$0" >&2
  exit 127
fi

openclaw_tunnel_rest=$PATH:
while [ -n "$openclaw_tunnel_rest" ]; do
  openclaw_tunnel_next=${{openclaw_tunnel_rest%%:*}}
  openclaw_tunnel_next=${{openclaw_tunnel_next:-.}}/openclaw
  openclaw_tunnel_rest=${{openclaw_tunnel_rest#*:}}
  [ -f "$openclaw_tunnel_next" ] && [ -x "$openclaw_tunnel_next" ] || continue
  openclaw_tunnel_mark=
  {{ read -r openclaw_tunnel_mark; read -r openclaw_tunnel_mark; }} <"$openclaw_tunnel_next" 2>/dev/null
  case $openclaw_tunnel_mark in '{mark}'*) continue ;; esac
  exec "$openclaw_tunnel_next" "$@"
done

printf 'error: only "openclaw tunnel" works here: OpenClaw itself is not installed\\n\\n' >&2
printf 'hint: to install it: openclaw-tunnel unlink, npm install -g openclaw, openclaw-tunnel link\\n' >&2
exit 127
"""


def render(program: str) -> str:
    """The script that runs ``program``, an absolute path."""
    return _SCRIPT.format(mark=_MARK, program=shlex.quote(program))


def is_ours(path: Path) -> bool:
    """Whether ``path`` leads to a dispatcher; what cannot be read is none."""
    try:
        with path.open("rb") as file:
            return f"\n{_MARK}".encode() in file.read(_LOOKED_AT)
    except OSError:
        return False


def is_taken(path: Path) -> bool:
    """Whether something that is not ours is there; a symbolic link never is."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) and is_ours(path))


def is_current(path: Path, program: str) -> bool:
    """Whether the dispatcher for ``program`` is there, ready to run."""
    try:
        return path.read_text() == render(program) and os.access(path, os.X_OK) and not path.is_symlink()
    except (OSError, UnicodeDecodeError):
        return False


def write(path: Path, program: str) -> None:
    """Make the dispatcher, or replace one of ours.

    Raises:
        TunnelError: something else is there, or it cannot be written; nothing was changed.
    """
    if is_taken(path):
        raise TunnelError(f"{path} is there, and not ours: it stays as it is")
    try:
        write_atomic(path, render(program).encode(), mode=_EXECUTABLE)
    except OSError as error:
        raise TunnelError(
            f"{path} cannot be written: {error.strerror}", hint=f"see who may write there: ls -ld {path.parent}"
        ) from None


def remove(path: Path) -> None:
    """Remove a dispatcher; what is none (any more) is left alone.

    Raises:
        TunnelError: it cannot be removed.
    """
    if is_taken(path):
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TunnelError(f"{path} cannot be removed: {error.strerror}", hint=f"remove it: sudo rm {path}") from None
