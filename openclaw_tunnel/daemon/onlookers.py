"""Commands that look at a tunnel, or wait for it to be up."""

import asyncio
from collections.abc import Callable, Iterable

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.supervisor.tunnel import Supervisor


def look(tunnels: Iterable[Supervisor | None]) -> None:
    """Somebody begins to look at these: what is shown shall be the state of now, so those that wait try at once."""
    for supervisor in tunnels:
        if supervisor is not None:
            supervisor.post(ev.PersonWaiting())


async def watch(
    tunnel: Callable[[], Supervisor | None],
    changed: Callable[[], asyncio.Event],
    emit: Callable[[Snapshot], None],
    *,
    waits: bool,
    asks: bool,
) -> None:
    """Emit a tunnel's snapshot, now and after each change, until it is closed.

    Args:
        tunnel: the tunnel of that name at the moment; None: it is closed.
        changed: what is set after the next change.
        waits: somebody waits for it to be up: it dials as eagerly as for a client, once they have seen how a try ended.
        asks: they want a dial of their own first, out of FAILED too; not where they have just caused one.
    """
    if asks:
        look([tunnel()])
    began, hurried = not asks, -1
    while (supervisor := tunnel()) is not None:
        change = changed()
        began = began or not supervisor.about_to_dial
        if began:  # before that, what there is to see is how the try before ended
            emit(supervisor.snapshot())
        if waits and supervisor.state is State.BACKOFF and supervisor.tries != hurried:
            hurried = supervisor.tries
            supervisor.post(ev.ClientWaiting())
        await change.wait()
