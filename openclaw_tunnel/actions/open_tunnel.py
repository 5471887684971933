"""Open a tunnel in the background: ask the daemon, which is started where none runs, and show how that ended."""

import asyncio
import os
import time

from openclaw_tunnel.actions.outcome import show_outcome
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, client_of, our_agent, settle
from openclaw_tunnel.control.orders import Opened, Up, UpAgain
from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.core.states import State
from openclaw_tunnel.daemon.spawn import ensure_daemon
from openclaw_tunnel.daemon.standby import absolute_environment
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.resolve import NoDestination, Resolved, UpOptions, resolve
from openclaw_tunnel.ui import output, progress

PATIENCE = 15.0
"""Seconds beyond the connect deadline in which it is known how the first attempt ended."""

AGAIN_DEADLINE = 25.0
"""The same where the connect deadline is only the daemon's to know."""

_STEP = 0.05


def read_settings(options: UpOptions, paths: Paths) -> Resolved:
    """What the options and the settings come to.

    Raises:
        NoDestination: nobody says where the tunnel leads.
        TunnelError: settings or options cannot be used.
    """
    with progress.working("reading the settings"):
        return asyncio.run(resolve(options, env=os.environ, paths=paths))


def show_notices(resolved: Resolved, *, all_of_them: bool = True) -> None:
    """What a person should know of settings before they are used.

    Args:
        all_of_them: False: only what is dangerous.
    """
    for notice in resolved.notices if all_of_them else ():
        output.note(notice)
    for forward in resolved.spec.forwards:
        if not forward.listen.is_local_only:
            output.warn(f"other computers can reach {forward.listen}: whoever does talks to the gateway")


def open_tunnel(paths: Paths, options: UpOptions, resolved: Resolved) -> ExitCode:
    """Have the daemon hold the tunnel, wait until it is known how the attempt ended, and show it.

    Raises:
        TunnelError: no daemon could be started, or it refuses, or nothing is known in time.
    """
    return show_opened(client_of(paths), ask_up(paths, options, resolved), patience(resolved))


def open_again(client: ControlClient, name: str | None, nowhere: NoDestination) -> ExitCode:
    """The same for the tunnel that is meant if it runs already: it needs no destination any more.

    Raises:
        NoDestination: it does not run.
        TunnelError: nothing is known in time.
    """
    try:
        opened = client.call(UpAgain(name or DEFAULT_NAME, our_agent()))
    except TunnelError:
        raise nowhere from None
    return show_opened(client, opened, AGAIN_DEADLINE)


def ask_up(paths: Paths, options: UpOptions, resolved: Resolved) -> Opened:
    """Ask the daemon for the tunnel; one that is just closing is waited for, and the next one asked.

    Raises:
        TunnelError: no daemon could be started, or it refuses.
    """
    wanted = Up(resolved.spec, options, absolute_environment(os.environ), our_agent())
    deadline = Deadline(PATIENCE)
    while True:
        with progress.working("starting the background process"):
            ensure_daemon(paths)
        try:
            with progress.working(f"opening {resolved.spec.name}"):
                return client_of(paths).call(wanted)
        except TunnelError as error:
            if error.exit_code is not ExitCode.NOT_RUNNING or not deadline.left:
                raise
            time.sleep(_STEP)


def patience(resolved: Resolved) -> float:
    """Seconds in which it is known how the first attempt ended."""
    return resolved.spec.policy.connect_timeout + PATIENCE


def show_opened(client: ControlClient, opened: Opened, timeout: float) -> ExitCode:
    """Show a tunnel that was asked for, once it is known how the present attempt ended.

    Args:
        timeout: seconds to wait for that.

    Raises:
        TunnelError: it is not known by then.
    """
    if opened.note:
        output.note(opened.note)
    tunnel = opened.snapshot
    if tunnel.state is not State.UP:
        return show_outcome(settle(client, tunnel.name, timeout))
    if opened.started:
        return show_outcome(tunnel)
    output.print_rows([output.rows_of(tunnel)])
    return ExitCode.OK
