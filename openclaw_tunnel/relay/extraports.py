"""OpenClaw's other ports beside the gateway's: forwards that may fail without any harm to the tunnel.

They are taken late and given back early. Late: when the gateway is well and has such a port, so that no local port is
held for nothing. Early: when a forward that somebody asked for wants the port. Once taken they stay through every
reconnect, as all local ports do.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from openclaw_tunnel.core.link import Link, LinkLost
from openclaw_tunnel.core.sandbox import Found, decide
from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec
from openclaw_tunnel.core.status import ForwardStatus, Role
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.ports.explain import Kind
from openclaw_tunnel.host.ports.inuse import why_in_use
from openclaw_tunnel.relay.bind import BindFailed
from openclaw_tunnel.relay.listener import Listener
from openclaw_tunnel.settings.extra_ports import is_forwarded, optional_forwards, own_obstacle

Look = Callable[..., Awaitable[Found]]
"""As ``gateway.sandbox.look_for_sandbox``."""


class ExtraPorts:
    """The optional forwards of one tunnel.

    Attributes:
        closed: nothing is taken any more.
    """

    def __init__(
        self,
        spec: TunnelSpec,
        listener: Callable[[Forward], Listener],
        *,
        look: Look,
        on_change: Callable[[], None] = lambda: None,
        logger: "logging.LoggerAdapter[Any] | logging.Logger" = logging.getLogger(__name__),  # noqa: B008
    ) -> None:
        """Have none yet.

        Args:
            listener: makes one that is not bound yet.
            look: asks what is on a port of the gateway's host.
            on_change: called when :meth:`status` has changed.
        """
        self._spec = spec
        self._make_listener = listener
        self._look_there = look
        self._on_change = on_change
        self._log = logger
        self._wanted = [forward for forward in optional_forwards(spec) if not is_forwarded(spec, forward)]
        self._listeners: dict[Role, Listener] = {}
        self._why_not: dict[Role, str] = {}
        self._tasks = Tasks(logger)
        self._turn = asyncio.Lock()
        self.closed = False

    def notice(self, link: Link | None, *, reported: bool) -> None:
        """As :meth:`look`, in the background; nothing where there is no connection at this moment."""
        if link is not None and self._wanted:
            self._tasks.start(self.look(link, reported=reported), name="look for the gateway's other ports")

    async def look(self, link: Link, *, reported: bool) -> None:
        """The gateway behind ``link`` is well: take what it has and what is not taken yet.

        Args:
            reported: it says that it has a widget sandbox.
        """
        async with self._turn:
            for forward in self._wanted:
                if forward.role not in self._listeners and not self.closed:
                    try:
                        await self._consider(link, forward, reported)
                    except LinkLost:
                        return  # the next connection brings the next look

    async def give_up(self, ports: Collection[int]) -> None:
        """Give these local ports back: another forward is to have them."""
        async with self._turn:
            for forward in self._wanted:
                if forward.listen.port in ports and forward.role in self._listeners:
                    await self._listeners.pop(forward.role).close()
                    self._say(forward, f"local port {forward.listen.port} was given to another tunnel")

    def status(self) -> tuple[ForwardStatus, ...]:
        """Those that listen, and those that a user may miss, with the reason in ``note``."""
        found = []
        for forward in self._wanted:
            listener, why_not = self._listeners.get(forward.role), self._why_not.get(forward.role)
            if listener is not None:
                found.append(listener.status())
            elif why_not:
                ends = (str(forward.listen), str(forward.to))
                found.append(ForwardStatus(*ends, listening=False, role=forward.role, note=why_not))
        return tuple(found)

    async def close(self) -> None:
        """Give all ports back and drop the clients; nothing is taken any more. Idempotent."""
        self.closed = True
        async with self._turn:
            for listener in self._listeners.values():
                await listener.close()
            self._listeners.clear()
            self._why_not.clear()
        await self._tasks.cancel_all()

    async def _consider(self, link: Link, forward: Forward, reported: bool) -> None:
        if forward.role is Role.SANDBOX:
            timeout = self._spec.policy.probe_timeout
            decision = decide(await self._look_there(link, forward.to, timeout=timeout), reported=reported)
            if not decision.listen:
                self._say(forward, decision.why_not)
                return
        why_not = own_obstacle(self._spec, forward) or await asyncio.to_thread(_neighbour, self._spec, forward)
        if why_not:
            self._say(forward, why_not)
            return
        listener = self._make_listener(forward)
        try:
            await listener.bind()
        except BindFailed as error:
            self._say(forward, error.failure.message)
            return
        self._listeners[forward.role] = listener
        self._say(forward, "")
        self._log.info("%s: listening on %s", forward.role, forward.listen)
        self._on_change()

    def _say(self, forward: Forward, why_not: str) -> None:
        if why_not != self._why_not.get(forward.role, ""):
            self._why_not[forward.role] = why_not
            if why_not:
                self._log.info("%s: not listening on %s: %s", forward.role, forward.listen, why_not)
            self._on_change()


def _neighbour(spec: TunnelSpec, forward: Forward) -> str:
    """The gateway of this computer to whose widgets a port belongs, also while none is shown; empty where none."""
    gateway = Endpoint(forward.listen.host, spec.main.to.port)
    if forward.role is not Role.SANDBOX or gateway.port == spec.main.listen.port:
        return ""
    found = why_in_use(gateway.host, gateway.port)
    return f"that port belongs to {found.by}" if found and found.kind is Kind.GATEWAY else ""
