"""``up`` in the foreground: hold a tunnel until Ctrl-C, in this process or in the daemon that runs, and show it."""

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

from openclaw_tunnel.actions.close_tunnel import CLOSE_DEADLINE
from openclaw_tunnel.actions.open_tunnel import ask_up, patience, show_opened
from openclaw_tunnel.control.follow import client_of, failure_of
from openclaw_tunnel.control.messages import Watch
from openclaw_tunnel.control.orders import Down, Ping
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.wording.outlook import hint_without
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode, RequestRefused, TunnelError
from openclaw_tunnel.host.paths import Paths, ensure_private_dir
from openclaw_tunnel.settings.resolve import Resolved, UpOptions
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.foreground import Foreground

if TYPE_CHECKING:
    from openclaw_tunnel.daemon.tunnels import Daemon


def hold_tunnel(paths: Paths, options: UpOptions, resolved: Resolved) -> int:
    """Hold the tunnel and show it until it is closed or this process is told to end; the exit code.

    Raises:
        TunnelError: it could not be brought up, or the daemon that held it has ended.
        KeyboardInterrupt: Ctrl-C, after it was closed.
    """
    try:
        client_of(paths).call(Ping())
    except DaemonUnreachable:
        code = _be_the_daemon(paths, options, resolved)
        if code is not None:
            return code
    return _join(paths, options, resolved)


def _be_the_daemon(paths: Paths, options: UpOptions, resolved: Resolved) -> int | None:
    """Hold the tunnel in this process; None where another process became the daemon meanwhile."""
    from openclaw_tunnel.control.lock import DaemonRuns
    from openclaw_tunnel.daemon.process import serve
    from openclaw_tunnel.host.logs import setup_logging

    ensure_private_dir(paths.log_dir)
    setup_logging(paths.log_file)
    name = resolved.spec.name
    with Foreground(resolved.notices) as shown:

        def changed(daemon: "Daemon") -> None:
            # those of others, too: they end with this process
            shown.show(*sorted(daemon.snapshots(), key=lambda tunnel: tunnel.name != name))

        try:
            return asyncio.run(serve(paths, os.environ, resolved.spec, options, on_change=changed))
        except DaemonRuns:
            return None
        except RequestRefused as error:
            raise _closed_after(error, name) from None


def _join(paths: Paths, options: UpOptions, resolved: Resolved) -> int:
    """Let the daemon that runs hold the tunnel, show it, and close it on Ctrl-C, SIGTERM, or with the terminal."""
    client = client_of(paths)
    opened = ask_up(paths, options, resolved)
    if not opened.started:
        return show_opened(client, opened, patience(resolved))
    if opened.note:
        output.note(opened.note)
    name = resolved.spec.name
    signal.signal(signal.SIGTERM, _exit_in_order)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it to go on
        signal.signal(signal.SIGHUP, _exit_in_order)
    with Foreground(resolved.notices) as shown:
        try:
            was_up = False
            for tunnel in client.stream(Watch(name)):
                shown.show(tunnel)
                was_up |= tunnel.state is State.UP
                if tunnel.state is State.FAILED and not was_up:
                    client.call(Down(name))
                    raise _closed_after(failure_of(tunnel), name)
        except DaemonUnreachable:
            raise TunnelError(
                f"{name} is closed: the daemon that held it has ended",
                hint="its log may say why: openclaw-tunnel logs; then bring it up again",
                exit_code=ExitCode.NOT_RUNNING,
            ) from None
        except (KeyboardInterrupt, SystemExit):
            shown.closing()
            with contextlib.suppress(TunnelError):  # gone already
                client.call(Down(name), CLOSE_DEADLINE)
            shown.show()
            raise
        shown.show()
    return ExitCode.OK


def _closed_after(error: RequestRefused, name: str) -> RequestRefused:
    """The error of a tunnel that was never up, and ends with the command."""
    return RequestRefused(str(error), hint=hint_without(name, error.hint), exit_code=error.exit_code)


def _exit_in_order(number: int, frame: object) -> None:
    """What a signal does in the foreground of a daemon that runs elsewhere; it ends the daemon itself the same way."""
    raise SystemExit(ExitCode.OK)
