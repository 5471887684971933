"""The daemon as a process of its own: started by ``up -d``, and the hidden command that it runs."""

import contextlib
import os
import site
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

import openclaw_tunnel
from openclaw_tunnel.cli.output import print_error
from openclaw_tunnel.cli.tunnels import Deadline, client_of
from openclaw_tunnel.config.paths import Paths, absolute_path, ensure_private_dir
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, TunnelError

START_DEADLINE = 15.0
LOST_RACE = 2.0
"""Seconds that another daemon, to which ours lost the race for the lock, gets to open its socket."""

_PATHS = (
    "OPENCLAW_TUNNEL_HOME",
    "OPENCLAW_TUNNEL_SSH_CONFIG",
    "OPENCLAW_HOME",
    "OPENCLAW_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
)
"""Variables that name a file or a folder, maybe relative to the folder we were started in."""

_STEP = 0.02
_TAIL = 2000


@click.command(hidden=True)
def daemon() -> int:
    """Hold tunnels in the background; what ``up -d`` starts."""
    import asyncio

    from openclaw_tunnel.control.lock import DaemonRuns
    from openclaw_tunnel.daemon.process import serve
    from openclaw_tunnel.host.logs import setup_logging

    paths = Paths.from_env(os.environ)
    ensure_private_dir(paths.log_dir)
    setup_logging(paths.log_file)
    try:
        return asyncio.run(serve(paths, os.environ))
    except DaemonRuns as other:  # two were started at the same moment: the other one it is
        print_error(other)
        return ExitCode.OK


def ensure_daemon(paths: Paths) -> None:
    """See to it that a daemon of this user answers.

    Raises:
        TunnelError: it does not, with its last words.
    """
    if not _answers(paths):
        ensure_private_dir(paths.log_dir)
        last_words = paths.log_dir / "daemon.err"
        _wait_until_it_answers(paths, _start(last_words), last_words)


def child_environment(env: Mapping[str, str], package: Path, known: list[str]) -> dict[str, str]:
    """The environment of the daemon: :func:`absolute_environment`, and the way to this package where Python would
    not find it alone.

    Args:
        package: the folder that holds the package.
        known: folders in which Python looks by itself, whatever the working directory is.
    """
    changed = absolute_environment(env)
    if str(package) not in known:
        changed["PYTHONPATH"] = os.pathsep.join(filter(None, [str(package), env.get("PYTHONPATH", "")]))
    return changed


def absolute_environment(env: Mapping[str, str]) -> dict[str, str]:
    """``env`` for the daemon, which works in ``/``: paths relative to the current folder become absolute."""
    changed = dict(env)
    for name in _PATHS:
        value = env.get(name, "")
        if value and value != "none" and not value.startswith("~"):  # -F none: no ssh_config; ~: expanded by the reader
            changed[name] = absolute_path(value, name)
    return changed


def _start(last_words: Path) -> subprocess.Popen[bytes]:
    """Start the daemon in a session of its own, so that neither Ctrl-C nor a closed terminal reaches it."""
    package = Path(openclaw_tunnel.__file__).resolve().parent.parent
    descriptor = os.open(last_words, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "openclaw_tunnel", "daemon"],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            env=child_environment(os.environ, package, [*site.getsitepackages(), site.getusersitepackages()]),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _wait_until_it_answers(paths: Paths, child: subprocess.Popen[bytes], last_words: Path) -> None:
    deadline = Deadline(START_DEADLINE)
    ended = False
    while deadline.left:
        if _answers(paths):
            child.returncode = child.returncode or 0  # it outlives us: Popen shall not warn that nobody waited
            return
        if not ended and child.poll() is not None:
            ended = True
            deadline = Deadline(min(deadline.left, LOST_RACE) if child.returncode == 0 else 0)
        time.sleep(_STEP)
    raise TunnelError(
        f"the background process did not start{_last_words(last_words)}",
        hint=f"see what it said: {last_words}, and the log: openclaw-tunnel logs",
        exit_code=ExitCode.BUG,
    )


def _answers(paths: Paths) -> bool:
    try:
        client_of(paths).call("ping", timeout=5.0)
    except DaemonUnreachable:
        return False
    return True


def _last_words(path: Path) -> str:
    """The error that the daemon died of, else the last line of its traceback."""
    with contextlib.suppress(OSError):
        said = path.read_bytes()[-_TAIL:].decode(errors="replace").strip().splitlines()
        errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        for line in (*errors, *said[-1:]):
            return f": {line.strip()}"
    return ""
