"""A tunnel that another daemon of this user holds for a service."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from openclaw_tunnel.control import wire
from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.control.messages import Watch
from openclaw_tunnel.control.orders import Down, Ping, Up
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import DaemonUnreachable, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.resolve import UpOptions

_ENDING = 0.1
"""Seconds between two looks whether a daemon that is closing is gone."""


class Follower:
    """Asks the daemon for a tunnel and hears what becomes of it."""

    def __init__(self, paths: Paths, on_change: Callable[[Snapshot], None]) -> None:
        """Args: ``on_change`` is called with the tunnel after each of its changes."""
        self._client = client_of(paths)
        self._path = paths.socket_path
        self._on_change = on_change

    async def up(self, spec: TunnelSpec, options: UpOptions, env: Mapping[str, str], service: dict[str, Any]) -> None:
        """Have it opened, or adopt it where it runs already.

        Raises:
            DaemonUnreachable: there is no daemon any more.
            RequestRefused: it cannot be had.
        """
        await asyncio.to_thread(self._client.call, Up(spec, options, env, service=service))

    async def follow(self, name: str) -> bool:
        """Return when it is closed: True where somebody closed it alone, False where the whole daemon ends.

        Raises:
            DaemonUnreachable: the daemon is gone.
        """
        await self._watch(name)
        while True:
            if not (await asyncio.to_thread(self._client.call, Ping())).ending:
                return True
            await asyncio.sleep(_ENDING)

    async def close(self, name: str) -> None:
        """Have it closed; fine where it is gone already."""
        with contextlib.suppress(TunnelError):
            await asyncio.to_thread(self._client.call, Down(name), 15.0)

    async def _watch(self, name: str) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=wire.MAX_LINE)
        except OSError:
            raise DaemonUnreachable("the daemon has ended") from None
        try:
            writer.write(wire.encode_request(wire.Request(1, Watch.METHOD, Watch(name).to_json())))
            while line := await reader.readline():
                reply = wire.decode_reply(line)
                if isinstance(reply, wire.Event):
                    self._on_change(Watch.event(reply.event))
                elif reply.error is not None:
                    raise reply.error
                else:
                    return
        except ConnectionError:
            pass
        finally:
            writer.close()
        raise DaemonUnreachable("the daemon ended while its tunnel was watched")
