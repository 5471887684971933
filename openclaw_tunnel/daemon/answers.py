"""What the daemon answers to the command line: objects become requests here, and answers objects."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from openclaw_tunnel import __version__
from openclaw_tunnel.ask.over_tunnel import ask
from openclaw_tunnel.control.messages import Look, Request, Status, Watch
from openclaw_tunnel.control.orders import Ask, Down, Opened, Ping, Pong, Reload, Restart, Retry, Up, UpAgain
from openclaw_tunnel.control.server import Emit
from openclaw_tunnel.control.wire import unknown_method
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.status import report
from openclaw_tunnel.daemon.onlookers import look
from openclaw_tunnel.daemon.tunnels import Daemon
from openclaw_tunnel.host.paths import Paths

_REQUESTS: Mapping[str, type[Request[Any]]] = {
    kind.METHOD: kind for kind in (Ping, Status, Look, Watch, Up, Down, Restart, Retry, Reload, Ask)
}


def read(method: str, params: Mapping[str, Any]) -> Request[Any]:
    """The request that somebody sent.

    Raises:
        RequestRefused: it is none.
    """
    if method not in _REQUESTS:
        raise unknown_method(method)
    kind = UpAgain if method == Up.METHOD and "spec" not in params else _REQUESTS[method]
    return kind.from_json(params)


class Answers:
    """Answers the control socket for a daemon: its ``control.server.Handler``."""

    def __init__(self, daemon: Daemon, paths: Paths) -> None:
        self._daemon = daemon
        self._paths = paths

    def orphaned(self) -> None:
        """See ``control.server.Handler``."""
        self._daemon.orphaned()

    async def handle(self, method: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """See ``control.server.Handler``.

        Raises:
            RequestRefused: the answer is no; message, hint and exit code are for the user.
        """
        daemon = self._daemon
        match read(method, params):
            case Ping():
                return asdict(Pong(os.getpid(), __version__, daemon.ending.done(), daemon.owners.services))
            case Status(name):
                return report(daemon.info, [t for t in daemon.snapshots() if name in (None, t.name)])
            case Look(name):
                look(daemon.supervisors(name))
            case Watch(name, waits, asks):
                daemon.running(name)
                await daemon.changes(name, waits=waits, asks=asks, emit=lambda tunnel: emit(Watch.as_event(tunnel)))
            case Up() as wanted:
                return asdict(await self._up(wanted))
            case UpAgain(name, agent):
                daemon.adopt_agent(agent)
                daemon.running(name).post(ev.StartRequested())
                return asdict(Opened(daemon.running(name).snapshot()))
            case Down(name):
                return {"closed": await daemon.down(None if name is None else [daemon.running(name).spec.name])}
            case Restart(name, agent):
                daemon.adopt_agent(agent)
                daemon.running(name).post(ev.RestartRequested())
            case Retry():
                daemon.retry()
            case Reload():
                await daemon.reload()
            case Ask(name, question):
                return await ask(daemon.running(name), question, self._paths)
        return {}

    async def _up(self, wanted: Up) -> Opened:
        daemon, name = self._daemon, wanted.spec.name
        daemon.adopt_agent(wanted.agent)
        started, note = await daemon.up(wanted.spec, wanted.options, wanted.env, by_hand=not wanted.service)
        daemon.owners.keep(name, wanted.service)
        warning = daemon.owners.warning(name, os.getpid()) if started else ""
        return Opened(daemon.running(name).snapshot(), started, note or warning)
