"""``status --history``: the last day and what happened, with and without a running daemon."""

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from openclaw_tunnel.cli.statusview import exit_code
from openclaw_tunnel.control.follow import client_of, look_at_tunnels, pick
from openclaw_tunnel.core.history.day import KEPT_FOR, History
from openclaw_tunnel.core.spec import check_name
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.host.historyfile import history_file, load, recorded
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui.terminal import can_draw_blocks
from openclaw_tunnel.ui.timeline import ASCII, BLOCKS, MOST, Frame, tables

MOST_OF_EACH = 5
"""Incidents that are shown of each where several tunnels are."""


def show(name: str | None, as_json: bool) -> int:
    """Print the history of all tunnels, or of the one of that name; the exit code is that of ``status``.

    Raises:
        TunnelError: there is nothing to show and no JSON wanted; or no tunnel can have that name.
    """
    if name is not None:
        check_name(name)
    paths = Paths.from_env(os.environ)
    answer = look_at_tunnels(client_of(paths), name)
    running = {tunnel.name: tunnel for tunnel in answer.tunnels}
    histories = _histories(paths, name, running, quiet=as_json)
    if as_json:
        now = time.time()
        told = [_object(n, history, running.get(n), now) for n, history in histories.items()]
        output.say(json.dumps({**answer.data, "history": told}, indent=2))
    elif not histories:
        pick([], name)
    else:
        _print(histories, running)
    return exit_code(list(running.values()))


def _histories(paths: Paths, name: str | None, running: Mapping[str, Snapshot], *, quiet: bool) -> dict[str, History]:
    """Of every tunnel that runs, and of every other one of which something is recorded."""
    found: dict[str, History] = {}
    for each in sorted({*recorded(paths.state_dir), *running}) if name is None else [name]:
        history = _load(paths, each, quiet)
        fresh = history.at is not None and history.at > time.time() - KEPT_FOR
        if each in running or fresh:
            found[each] = history
    return found


def _load(paths: Paths, name: str, quiet: bool) -> History:
    path = history_file(paths.state_dir, name)
    try:
        loaded = load(path)
    except OSError as error:
        if not quiet:
            output.note(f"the history of {name} cannot be read: {path}: {error.strerror}")
        return History()
    if loaded.skipped and not quiet:
        output.note(f"lines of the history of {name} that cannot be read, passed over: {loaded.skipped}, in {path}")
    return loaded.history


def _print(histories: Mapping[str, History], running: Mapping[str, Snapshot]) -> None:
    frame = Frame(
        now=time.time(),
        blocks=BLOCKS if can_draw_blocks(sys.stdout.encoding) else ASCII,
        width=output.columns(sys.stdout) if output.is_terminal(sys.stdout) else None,
    )
    most = MOST if len(histories) == 1 else MOST_OF_EACH
    shown = [tables(name, history, frame, most, running.get(name)) for name, history in histories.items()]
    output.print_rows([table for made in shown for table in made])


def _object(name: str, history: History, tunnel: Snapshot | None, now: float) -> dict[str, Any]:
    told = history if tunnel else history.ended()
    day = told.day(now, tunnel.state if tunnel else None)
    return {"name": name, "day": day.to_json(), "entries": [entry.to_json() for entry in told.entries]}
