"""Commands that look at a tunnel, or wait for it to be up."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.supervisor.tunnel import Supervisor

Emit = Callable[[dict[str, Any]], None]


def look(tunnels: Iterable[Supervisor | None]) -> dict[str, Any]:
    """Somebody begins to look at these: what is shown shall be the state of now, so those that wait try at once."""
    for supervisor in tunnels:
        if supervisor is not None:
            supervisor.post(ev.PersonWaiting())
    return {}


async def watch(
    tunnel: Callable[[], Supervisor | None],
    changed: Callable[[], asyncio.Event],
    emit: Emit,
    *,
    waits: bool,
    asks: bool,
) -> dict[str, Any]:
    """Emit a tunnel's snapshot, now and after each change, until it is closed.

    Args:
        tunnel: the tunnel of that name at the moment; None: it is closed.
        changed: what is set after the next change.
        waits: somebody waits for it to be up; see ``Supervisor.somebody_waits``, also for ``asks``.
    """
    first = tunnel()
    with first.somebody_waits(asks=asks) if first and waits else nullcontext():
        began = not (waits and asks)
        while (supervisor := tunnel()) is not None:
            change = changed()
            began = began or not supervisor.about_to_dial
            if began:  # before that, what there is to see is how the try before ended
                emit({"snapshot": supervisor.snapshot().to_json()})
            await change.wait()
    return {}
