"""A local port that never goes away: bound once, kept through every reconnect.

Each client it accepts becomes one direct-tcpip channel of whatever link is alive, now or soon.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import ChannelFailed, Link, LinkLost, SharedChannel
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Forward
from openclaw_tunnel.core.status import ByteCounts, ClientCounts, ForwardStatus
from openclaw_tunnel.host.loop.tasks import Tasks, is_being_cancelled
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.relay.bind import Bound, bind
from openclaw_tunnel.relay.gate import Gate, Unavailable
from openclaw_tunnel.relay.loop import LoopGuard
from openclaw_tunnel.relay.pipe import ByteCounter, Client, FarEnd
from openclaw_tunnel.relay.stall_detector import StallDetector

logger = logging.getLogger(__name__)

ACCEPT_BATCH = 64
"""Clients taken in one round of the event loop, so that those already here get their turn."""

ACCEPT_PAUSE = 1.0
"""Seconds to wait when the process has no file descriptor left for another client."""


class Listener:
    """One LocalForward: accepts clients and joins each to a channel of its own."""

    def __init__(
        self,
        forward: Forward,
        gate: Gate,
        policy: Policy,
        *,
        on_refused: Callable[[Failure], None] = lambda _: None,
        stall_detector: StallDetector | None = None,
        http_error: Callable[[Client, Failure | None], Awaitable[None]] | None = None,
        bound: Bound | None = None,
    ) -> None:
        """Make a listener that is not bound yet.

        Args:
            on_refused: called when the far end would not open a client's channel.
            stall_detector: told of what is sent for clients and of what comes back.
            http_error: awaited before a client is dropped that waited in vain, or whose channel was refused, with the
                failure; see ``relay.http_error``.
            bound: sockets to use instead of new ones, such as a service manager's; closed by :meth:`close`.
        """
        self._forward = forward
        self._gate = gate
        self._policy = policy
        self._on_refused = on_refused
        self._http_error = http_error
        self._counter = ByteCounter(stall_detector)
        self._name = f"client of {forward.listen}"
        self._guard = LoopGuard(
            forward,
            lambda: len(self._counter.unheard),
            step="" if http_error else "with -L PORT:HOST:HOSTPORT",
            on_found=on_refused,
        )
        self._tracebacks = Tracebacks(logger)
        self._given = bound
        self._bound: Bound | None = None
        self._clients: set[Client] = set()
        self._joined: set[Client] = set()
        self._nobody_left = asyncio.Event()
        self._total = 0
        self._tasks = Tasks()
        self._pause: asyncio.TimerHandle | None = None

    async def bind(self) -> None:
        """Take the local port and begin to accept.

        Raises:
            BindFailed: in use (says by whom where the system tells), not permitted, or no address of this computer.
        """
        given, self._given = self._given, None
        self._bound = given or await asyncio.to_thread(bind, self._forward)
        self._accept_on()

    async def close(self) -> None:
        """Give the port back and drop every client; idempotent."""
        for bound in filter(None, (self._bound, self._given)):
            self._accept_off()
            bound.close()
        self._bound = self._given = None
        if self._pause is not None:
            self._pause.cancel()
        await self._tasks.cancel_all()
        await self._guard.close()
        for client in tuple(self._clients):
            client.drop()
        if self._clients:
            self._nobody_left.clear()
            await self._nobody_left.wait()

    def status(self) -> ForwardStatus:
        """The counts of this moment."""
        return ForwardStatus(
            listen=str(self._forward.listen),
            to=str(self._forward.to),
            listening=self._bound is not None,
            clients=ClientCounts(len(self._joined), len(self._clients) - len(self._joined), self._total),
            bytes=ByteCounts(self._counter.sent, self._counter.received),
            role=self._forward.role,
            also=self._bound.also if self._bound else (),
            note=self._note(),
        )

    def _note(self) -> str | None:
        loop = self._guard.failure
        return loop.message if loop else (self._bound.note if self._bound else "") or None

    def _accept_on(self) -> None:
        for sock in self._bound.sockets if self._bound else ():
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _accept_off(self) -> None:
        for sock in self._bound.sockets if self._bound else ():
            asyncio.get_running_loop().remove_reader(sock)

    def _accept(self, sock: socket.socket) -> None:
        """Take the clients that are there. Without asyncio's server, whose half-accepted clients outlive its close."""
        loop = asyncio.get_running_loop()
        for _ in range(ACCEPT_BATCH):
            try:
                conn, _ = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                logger.warning("%s: cannot accept clients for a moment: %s", self._forward.listen, error.strerror)
                self._accept_off()
                self._pause = loop.call_later(ACCEPT_PAUSE, self._accept_on)
                return
            conn.setblocking(False)
            client = Client(conn, self._counter, self._lost)
            self._total += 1
            self._clients.add(client)
            self._tasks.start(self._serve(client), name=self._name)

    def _lost(self, client: Client) -> None:
        self._clients.discard(client)
        self._joined.discard(client)
        if not self._clients:
            self._nobody_left.set()

    def _joined_to(self, client: Client, far: FarEnd, channel: SharedChannel) -> None:
        """The channel of a client is open."""
        self._counter.stall_detector.heard()
        if not client.gone:
            self._joined.add(client)
        client.join(far, channel)

    async def _serve(self, client: Client) -> None:
        """Join the client to a channel; reset it where that does not work."""
        loop = asyncio.get_running_loop()
        patience = self._policy.hold
        dead: Link | None = None
        refusal: Failure | None = None
        try:
            while not client.gone:
                began = loop.time()
                link = await self._gate.link(patience, but=dead)
                patience -= loop.time() - began
                await self._guard.admit(client, link)
                far = client.far_end()
                self._counter.stall_detector.sent()
                try:
                    to = self._forward.to
                    await link.open_channel(
                        to.path or to.host,
                        to.port,
                        far,
                        timeout=self._policy.channel_timeout,
                        opened=partial(self._joined_to, client, far),
                    )
                except LinkLost:
                    far.detach()  # nothing was read from the client yet: it may wait for the next link
                    self._counter.unheard.discard(client)
                    dead = link
                    continue
                return
        except ChannelFailed as error:
            if error.failure.code is not Code.TIMEOUT:
                self._counter.stall_detector.heard()
            logger.debug("%s: %s", self._forward, error)
            refusal = error.failure
            if refusal.code is not Code.LOOP:  # of which it has heard, once
                self._on_refused(refusal)
        except (Unavailable, TimeoutError):
            logger.debug("%s: a client waited in vain", self._forward)
        except (Exception, asyncio.CancelledError) as error:
            if is_being_cancelled():
                raise
            refusal = self._tracebacks.failure("opening a channel for a client", error)
        try:
            if self._http_error is not None:
                await self._http_error(client, refusal)
        finally:
            client.drop()
