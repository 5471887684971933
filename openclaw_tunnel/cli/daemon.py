"""The daemon as a process of its own: the hidden command that ``up -d`` runs. Does without the command line parser."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from openclaw_tunnel.daemon.standby import BEGIN, READY, last_words
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.host.imports import uncollected
from openclaw_tunnel.host.paths import Paths, ensure_private_dir
from openclaw_tunnel.ui.output import print_error

_STREAMS = (1, 2)


def run(*, stands_by: bool) -> int:
    """Hold tunnels in the background; one that stands by begins when it is told to."""
    with uncollected():
        import asyncio

        from openclaw_tunnel.control.lock import DaemonRuns
        from openclaw_tunnel.daemon.process import serve
        from openclaw_tunnel.host.logs import setup_logging

    if stands_by and not _told_to_begin():
        return ExitCode.OK
    paths = Paths.from_env(os.environ)
    ensure_private_dir(paths.log_dir)
    answer = _answer_into(last_words(paths)) if stands_by else lambda: None
    setup_logging(paths.log_file)
    try:
        return asyncio.run(serve(paths, os.environ, on_ready=answer))
    except DaemonRuns as other:  # two were started at the same moment: the other one it is
        print_error(other)
        return ExitCode.OK


def _told_to_begin() -> bool:
    """Wait for the command that started this process; False where it has ended."""
    try:
        return os.read(0, 1) == BEGIN
    except OSError:
        return False


def _answer_into(words: Path) -> Callable[[], None]:
    """Write into a file from now on; what is returned says that the daemon takes requests, and hangs up."""
    command = socket.socket(fileno=os.dup(0))
    for path, flags, targets in (
        (os.devnull, os.O_RDONLY, (0,)),
        (words, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, _STREAMS),
    ):
        descriptor = os.open(path, flags, 0o600)
        for target in targets:
            os.dup2(descriptor, target)
        os.close(descriptor)

    def answer() -> None:
        with command:
            try:
                command.sendall(READY)
            except OSError:
                return  # it was interrupted meanwhile

    return answer
