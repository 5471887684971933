"""Open a tunnel in the background: ask the daemon, which is started where none runs, and wait until it is known how
the first attempt ended."""

import asyncio
import os
import time
from dataclasses import dataclass, replace

from openclaw_tunnel.control import orders
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import Deadline, client_of, our_agent, settle
from openclaw_tunnel.core.spec import DEFAULT_NAME
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
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


@dataclass(frozen=True, slots=True)
class Opened:
    """A tunnel that was asked for.

    Attributes:
        tunnel: as it was last seen.
        started: it did not run before.
        was_up: it ran, and was up already: nothing was waited for.
        notes: what whoever asked should know of it.
        unsettled: why it is not known how the attempt ended.
    """

    tunnel: Snapshot
    started: bool = False
    was_up: bool = False
    notes: tuple[str, ...] = ()
    unsettled: TunnelError | None = None


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


def open_tunnel(paths: Paths, options: UpOptions, resolved: Resolved) -> Opened:
    """Have the daemon hold the tunnel, and wait until it is known how the attempt ended.

    Raises:
        TunnelError: no daemon could be started, or it refuses.
    """
    return settled(client_of(paths), ask_up(paths, options, resolved), resolved.spec.policy.connect_timeout + PATIENCE)


def open_again(client: ControlClient, name: str | None, nowhere: NoDestination) -> Opened:
    """The tunnel that is meant if it runs already: it needs no destination any more.

    Raises:
        NoDestination: it does not run.
    """
    try:
        tunnel = client.call(orders.UpAgain(name or DEFAULT_NAME, our_agent())).snapshot
    except TunnelError:
        raise nowhere from None
    if tunnel.state is State.UP:
        return Opened(tunnel, was_up=True)
    return settled(client, Opened(tunnel), AGAIN_DEADLINE)


def ask_up(paths: Paths, options: UpOptions, resolved: Resolved) -> Opened:
    """Ask the daemon for the tunnel; one that is just closing is waited for, and the next one asked.

    Raises:
        TunnelError: no daemon could be started, or it refuses.
    """
    wanted = orders.Up(resolved.spec, options, absolute_environment(os.environ), our_agent())
    deadline = Deadline(PATIENCE)
    while True:
        with progress.working("starting the background process"):
            ensure_daemon(paths)
        try:
            with progress.working(f"opening {resolved.spec.name}"):
                return _opened(client_of(paths).call(wanted))
        except TunnelError as error:
            if error.exit_code is not ExitCode.NOT_RUNNING or not deadline.left:
                raise
            time.sleep(_STEP)


def _opened(answer: orders.Opened) -> Opened:
    was_up = answer.snapshot.state is State.UP and not answer.started
    return Opened(answer.snapshot, answer.started, was_up, (answer.note,) if answer.note else ())


def settled(client: ControlClient, opened: Opened, timeout: float) -> Opened:
    """Wait until it is known how the present attempt ended; ``timeout`` in seconds."""
    tunnel = opened.tunnel
    if tunnel.state is State.UP:
        return opened
    try:
        return replace(opened, tunnel=settle(client, tunnel.name, timeout))
    except TunnelError as error:
        return replace(opened, unsettled=error)
