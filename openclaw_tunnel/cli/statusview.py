"""``status``: what is up, since when, and if not, why and what to do. Quick to import: no click here."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import client_of, look_at_tunnels, pick
from openclaw_tunnel.control.messages import Look, Status
from openclaw_tunnel.control.watched import Watched
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.core.wording.upgrade import to_change
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ui import output, progress, tunnelrows

EVERY = 1.0
"""Seconds between two looks of ``--watch``."""


def show(name: str | None, as_json: bool) -> int:
    """Print all tunnels, or the one of that name; the exit code.

    Raises:
        TunnelError: there is nothing to show and no JSON wanted.
    """
    client = client_of()
    if as_json:
        answer = look_at_tunnels(client, name)
        output.say(json.dumps(answer.data, indent=2))
        return exit_code(answer.tunnels)
    with progress.working("asking the daemon"):
        answer = client.call(Status())
    tunnels = answer.tunnels
    chosen = tunnels if name is None and tunnels else (pick(tunnels, name),)
    output.print_rows([output.rows_of(tunnel) for tunnel in chosen])
    _tell_about_upgrade(answer.daemon)
    return exit_code(chosen)


def watch(name: str | None, as_json: bool) -> int:
    """Show it until Ctrl-C: in place on a terminal, else a line or an object after each change of a state."""
    client = client_of()
    signal.signal(signal.SIGTERM, _exit_in_order)
    # Whoever begins to look wants the state of now: a tunnel that waits for its next try makes it. Once.
    with contextlib.suppress(TunnelError):  # nobody answers (the view shows it), or the daemon is an older one
        client.call(Look(name))
    if as_json:
        return _print_objects(client, name)
    watched = Watched(name)
    if not output.can_redraw(sys.stdout):
        return _print_changes(client, watched)
    from openclaw_tunnel.ui.live import LiveView

    watched.look(client)
    foot = tunnelrows.Row("Ctrl-C", "ends this view, and nothing else", tunnelrows.Tone.PAST)
    live = LiveView(lambda: watched.tables(time.monotonic()), lambda: foot)
    try:
        live.begin()
        while True:
            time.sleep(EVERY)
            watched.look(client)
    finally:
        live.end()


def _exit_in_order(number: int, frame: object) -> None:
    """What SIGTERM does: a frame that is half drawn is finished. The exit code is that of a process it ended."""
    raise SystemExit(128 + number)


def exit_code(tunnels: Sequence[Snapshot]) -> ExitCode:
    """The answer of ``status`` to "is all well?"."""
    if not tunnels:
        return ExitCode.NOT_RUNNING
    return ExitCode.OK if all(tunnel.state is State.UP for tunnel in tunnels) else ExitCode.NO


def _tell_about_upgrade(daemon: Mapping[str, Any]) -> None:
    installed, running = daemon.get("installed"), daemon["version"]
    if installed and installed != running:
        change = to_change(daemon.get("services") or {})
        output.note(f"version {installed} is installed, and {running} still runs; to change: {change}")


def _print_json(client: ControlClient, name: str | None) -> int:
    answer = look_at_tunnels(client, name)
    output.say(json.dumps(answer.data, indent=2))
    return exit_code(answer.tunnels)


def _print_objects(client: ControlClient, name: str | None) -> int:
    """Print an object at once and after each change of a state, for ever."""
    before: set[tuple[str, str, str, str | None]] | None = None
    while True:
        answer = look_at_tunnels(client, name)
        states = {(t.name, str(t.state), t.since, t.asks) for t in answer.tunnels}
        if states != before:
            output.say(json.dumps(answer.data))
        before = states
        time.sleep(EVERY)


def _print_changes(client: ControlClient, watched: Watched) -> int:
    """Print a line at once and after each change of a state, for ever."""
    before: dict[str, tuple[State, str, str | None]] = {}
    told = ""
    while True:
        watched.look(client)
        states = {tunnel.name: (tunnel.state, tunnel.since, tunnel.asks) for tunnel in watched.tunnels}
        for tunnel in watched.tunnels:
            if before.get(tunnel.name) != states[tunnel.name]:
                output.say(tunnelrows.change(tunnel))
        if states:
            for name in before.keys() - states.keys():
                output.say(f"{name} is closed")
            told = ""
        elif not told or before:
            told = f"no tunnel {watched.nothing(time.monotonic())}"
            output.say(tunnelrows.clean(told))
        before = states
        time.sleep(EVERY)
