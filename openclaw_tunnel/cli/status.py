"""``status``: what is up, since when, and if not, why and what to do. Quick to import: no click here."""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from openclaw_tunnel.cli import output, view
from openclaw_tunnel.cli.tunnels import client_of, pick, snapshots
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot, report
from openclaw_tunnel.errors import DaemonUnreachable, ExitCode

EVERY = 1.0
"""Seconds between two looks of ``--watch``."""


def show(name: str | None, as_json: bool) -> int:
    """Print all tunnels, or the one of that name; the exit code.

    Raises:
        TunnelError: there is nothing to show and no JSON wanted.
    """
    client = client_of()
    return _print_json(client, name) if as_json else _print(client, name)


def watch(name: str | None, as_json: bool) -> int:
    """Show it until Ctrl-C: in place on a terminal, else a line or an object after each change of a state."""
    client = client_of()
    if as_json or not output.can_redraw(sys.stdout):
        return _print_changes(client, name, as_json)
    seen = _report(client, name), time.monotonic()
    with output.LiveView(lambda: _tables(*seen)):
        while True:
            time.sleep(EVERY)
            seen = _report(client, name), time.monotonic()


def exit_code(tunnels: list[Snapshot]) -> ExitCode:
    """The answer of ``status`` to "is all well?"."""
    if not tunnels:
        return ExitCode.NOT_RUNNING
    return ExitCode.OK if all(tunnel.state is State.UP for tunnel in tunnels) else ExitCode.NO


def _print(client: ControlClient, name: str | None) -> int:
    answer = client.call("status")
    tunnels = snapshots(answer)
    chosen = tunnels if name is None and tunnels else [pick(tunnels, name)]
    output.print_rows([view.rows(tunnel, view.utc_now()) for tunnel in chosen])
    _tell_about_upgrade(answer["daemon"])
    return exit_code(chosen)


def _tell_about_upgrade(daemon: dict[str, Any]) -> None:
    installed, running = daemon.get("installed"), daemon["version"]
    if installed and installed != running:
        change = to_change(daemon.get("services") or {})
        output.note(f"version {installed} is installed, and {running} still runs; to change: {change}")


def to_change(services: Mapping[str, Any]) -> str:
    """What has the new version run, where these services keep tunnels of the daemon; any of them may be its process."""
    if not services:
        return "openclaw-tunnel down --all, then up -d"
    restart = "openclaw-tunnel service restart"
    if any(service.get("system") for service in services.values()):
        return f"sudo {restart} --system"
    return ", then ".join(restart if list(services) == ["default"] else f"{restart} {name}" for name in services)


def _print_json(client: ControlClient, name: str | None) -> int:
    answer = _report(client, name)
    output.say(json.dumps(answer, indent=2))
    return exit_code(snapshots(answer))


def _report(client: ControlClient, name: str | None) -> dict[str, Any]:
    try:
        return client.call("status", {} if name is None else {"name": name})
    except DaemonUnreachable:
        return report(None, [])


def _tables(answer: dict[str, Any], at: float) -> list[list[view.Row]]:
    """What the live view shows ``time.monotonic() - at`` seconds after ``answer``: countdowns count."""
    elapsed = time.monotonic() - at
    tables = [view.rows(tunnel, view.utc_now(), elapsed) for tunnel in snapshots(answer)]
    tables = tables or [[view.Row("no tunnel", "is running", heads=True)]]
    return [*tables, [view.Row("Ctrl-C", "ends this view, and nothing else")]]


def _print_changes(client: ControlClient, name: str | None, as_json: bool) -> int:
    """Print a line (or an object) at once and after each change of a state, for ever."""
    before: set[tuple[str, str, str]] | None = None
    while True:
        answer = _report(client, name)
        tunnels = {(t.name, str(t.state), t.since): t for t in snapshots(answer)}
        if before is None or before != set(tunnels):
            changed = [view.change(t) for key, t in tunnels.items() if key not in (before or ())]
            if as_json:
                output.say(json.dumps(answer))
            elif changed or not tunnels:
                output.say("\n".join(changed) or "no tunnel is running")
        before = set(tunnels)
        time.sleep(EVERY)
