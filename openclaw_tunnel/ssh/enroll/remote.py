"""The gateway's host, looked at through a setup connection: what OpenClaw's settings there hold."""

import secrets
import shlex
from collections.abc import Sequence

from openclaw_tunnel.json5doc.document import MAX_BYTES
from openclaw_tunnel.openclaw.remote_host import RemoteFile, RemoteSettings, absolute_variables, candidates
from openclaw_tunnel.ssh.enroll.bootstrap import SCRIPT_SECONDS, SetupConnection

_LOGIN_SHELL_SECONDS = 5.0
_MOST_BYTES = 3 * MAX_BYTES

ENVIRONMENT = r"""
exec 2>/dev/null
pick() { grep '^OPENCLAW_[A-Z_]*='; }
printf 'HOME=%s\n' "$HOME"
env | pick
"${SHELL:-/bin/sh}" -l -c 'exec env' </dev/null | pick
"""

_SHOW = r"""
exec 2>/dev/null
show() {
  if [ -d "$1" ]; then printf '\n%s folder %s\n' "$mark" "$1"
  elif [ -f "$1" ] && [ -r "$1" ]; then printf '\n%s file %s\n' "$mark" "$1"; head -c "$most" "$1"
  elif [ -e "$1" ]; then printf '\n%s shut %s\n' "$mark" "$1"
  fi
}
"""


async def read_remote_settings(connection: SetupConnection, *, timeout: float = SCRIPT_SECONDS) -> RemoteSettings:
    """Read OpenClaw's settings of the account that is logged in.

    Args:
        timeout: seconds for the files; the login shell, which is asked for OPENCLAW_* before, has 5 s of its own.

    Raises:
        TunnelError: the connection is gone. Everything else is an answer: see ``RemoteSettings.problem``.
    """
    ran = await connection.run(ENVIRONMENT, timeout=_LOGIN_SHELL_SECONDS)
    env = absolute_variables(read_variables(ran.output))
    if not ran.reached or not env.get("HOME", "").startswith("/"):
        said = f": {ran.words}" if ran.words and not ran.reached else ""
        return RemoteSettings(problem=f"{connection.hop.host} runs no commands for {connection.target.user}{said}")
    mark = f"openclaw-tunnel-{secrets.token_hex(8)}"
    ran = await connection.run(script_to_show(mark, candidates(env)), timeout=timeout, limit=_MOST_BYTES)
    files, folders, complete = read_files(ran.output, mark)
    if not complete:
        return RemoteSettings(
            env["HOME"], env, problem=f"OpenClaw's settings on {connection.hop.host} came only in part"
        )
    return RemoteSettings(env["HOME"], env, files, folders)


def read_variables(output: bytes) -> dict[str, str]:
    """HOME, and the OPENCLAW_* variables; what the login shell says comes last and wins."""
    lines = output.decode("utf-8", "replace").splitlines()
    return {name: value for name, found, value in (line.partition("=") for line in lines) if found}


def script_to_show(mark: str, paths: tuple[Sequence[str], Sequence[str]]) -> str:
    """The script that shows folders and files, each behind a line that begins with ``mark``."""
    calls = "\n".join(f"show {shlex.quote(path)}" for group in paths for path in group)
    return f"mark={mark} most={MAX_BYTES + 1}\n{_SHOW}{calls}\nprintf '\\n%s end\\n' \"$mark\""


def read_files(output: bytes, mark: str) -> tuple[dict[str, RemoteFile], frozenset[str], bool]:
    """The files, the folders, and whether the answer is complete."""
    files: dict[str, RemoteFile] = {}
    folders: set[str] = set()
    for part in output.split(b"\n" + mark.encode() + b" ")[1:]:
        head, _, content = part.partition(b"\n")
        word, _, path = head.decode("utf-8", "replace").partition(" ")
        if word == "end":
            return files, frozenset(folders), True
        if word == "folder":
            folders.add(path)
        else:
            problem = "cannot be read by this account" if word == "shut" else ""
            files[path] = RemoteFile(path, content, problem)
    return files, frozenset(folders), False
