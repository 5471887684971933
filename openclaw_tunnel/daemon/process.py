"""The daemon as a process: lock, control socket, signals, and an end in order."""

import asyncio
import contextlib
import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Callable, Mapping

from openclaw_tunnel import __version__
from openclaw_tunnel.control.lock import DaemonLock
from openclaw_tunnel.control.server import ControlServer
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.daemon.answers import Answers
from openclaw_tunnel.daemon.requests import DaemonCloses, refusal
from openclaw_tunnel.daemon.tunnels import Daemon, MakeConnector
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.host.loop.parts import Parts
from openclaw_tunnel.host.loop.watch import watched_in_debug
from openclaw_tunnel.host.net.monitor import NetworkWatch
from openclaw_tunnel.host.net.wake import WakeWatch
from openclaw_tunnel.host.notify import Desktop
from openclaw_tunnel.host.paths import Paths, ensure_private_dir
from openclaw_tunnel.settings.resolve import UpOptions

logger = logging.getLogger(__name__)

_NAME = "daemon"

IDLE = 15.0
"""Seconds a daemon without a tunnel waits for its first one."""


@contextlib.asynccontextmanager
async def open_daemon(
    paths: Paths,
    env: Mapping[str, str],
    *,
    make_connector: MakeConnector | None = None,
    on_change: Callable[[Daemon], None] = lambda _: None,
    desktop: Desktop | None = None,
    parts: Parts | None = None,
) -> AsyncIterator[Daemon]:
    """Take the lock, open the control socket, and close everything in order at the end.

    Args:
        parts: of the process, which the daemon becomes one of; the others are as of ``Daemon``.

    Raises:
        RequestRefused: another daemon of this user runs.
        ConfigError: a folder of ours cannot be used.
    """
    for folder in (paths.runtime_dir, paths.state_dir, paths.log_dir):
        ensure_private_dir(folder)
    _allow_many_clients()
    process = parts or Parts()
    with DaemonLock(paths.lock_path) as lock:
        ours = process.branch(_NAME)
        try:
            daemon = Daemon(paths, env, make_connector=make_connector, on_change=on_change, desktop=desktop)
            await _start(ours, daemon, ControlServer(paths.socket_path, Answers(daemon, paths), lock=lock))
            logger.debug("what runs: %s", str(process))
            with watched_in_debug(asyncio.get_running_loop()):
                yield daemon
        finally:
            await process.stop(_NAME)
            logger.info("daemon %s ended", os.getpid())


async def _start(parts: Parts, daemon: Daemon, server: ControlServer) -> None:
    """Their order is that of the end, reversed: whoever asked for "down" gets the answer before the socket closes."""
    await parts.start("control socket", server.start, server.close)
    logger.info("daemon %s started, version %s", os.getpid(), __version__)
    daemon.start(parts)
    wake, network = WakeWatch(daemon.woke), NetworkWatch(daemon.network_changed)
    await parts.start("watch of sleep", wake.start, wake.close)
    await parts.start("watch of the network", network.start, network.close)


async def serve(
    paths: Paths,
    env: Mapping[str, str],
    first: TunnelSpec | None = None,
    options: UpOptions | None = None,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_change: Callable[[Daemon], None] = lambda _: None,
) -> ExitCode:
    """Be the daemon until the last tunnel is closed or a signal ends it.

    Args:
        first: a tunnel to start with, as ``up`` in the foreground does; its permanent failure before it was
            ever up ends the daemon. Without one the daemon waits a moment for its first request.
        on_ready: called once requests are answered.

    Returns:
        OK after SIGTERM or the end of the last tunnel, INTERRUPTED after SIGINT.

    Raises:
        RequestRefused: ``first`` cannot be had, now or (permanently) later; or another daemon runs.
        ConfigError: a folder of ours cannot be used.
    """

    def changed(daemon: Daemon) -> None:
        on_change(daemon)
        tunnel = daemon.supervisor(first.name) if first else None
        if tunnel and tunnel.state is State.FAILED and not tunnel.was_up:
            daemon.end(tunnel.failure.exit_code if tunnel.failure else ExitCode.BUG)

    async with open_daemon(paths, env, on_change=changed) as daemon:
        loop = asyncio.get_running_loop()
        _listen_to_signals(loop, daemon)
        on_ready()
        if first is not None:
            daemon.owners.in_foreground = True
            with contextlib.suppress(DaemonCloses):  # interrupted that early
                await daemon.up(first, options)
        else:
            loop.call_later(IDLE, daemon.end_if_idle)
        code = await daemon.ending
        tunnel = daemon.supervisor(first.name) if first else None
        if tunnel and tunnel.failure and tunnel.state is State.FAILED and not tunnel.was_up:
            raise refusal(tunnel.failure)
        return code


def _listen_to_signals(loop: asyncio.AbstractEventLoop, daemon: Daemon) -> None:
    had_terminal = _has_terminal()

    def hang_up() -> None:
        # the same signal for two things: a terminal that is gone ends what runs on it, anything else is a reload
        gone = had_terminal and not _has_terminal()
        daemon.on_signal(signal.SIGTERM if gone else signal.SIGHUP)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.on_signal, number)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it to go on
        loop.add_signal_handler(signal.SIGHUP, hang_up)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _allow_many_clients() -> None:
    """Each client takes a file descriptor, and the usual soft limit is 1,024 (256 on macOS)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
