"""Does a forward lead back to its own local port? Then each client would become another one, without end.

It does where the SSH server is this very computer and the remote end is the local port, or where several tunnels form a
ring. Addresses do not show it: behind a published port of a container, 127.0.0.1 and the same port number are another
computer's. So it is tried: a question with a random number is sent to the remote end, and where it arrives at the local
port, the forward is a loop. That is proof, so no server is ever taken for one.

A loop has many clients that never hear anything. Only where there are so many is it tried, and new clients wait for the
outcome, so that the loop does not grow meanwhile. How many that is differs by chance, so that the tunnels of a ring do
not all try at the same moment.
"""

import asyncio
import logging
import math
import random
import secrets
from collections.abc import Callable

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Channel, ChannelFailed, Link, LinkLost
from openclaw_tunnel.core.spec import Forward
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.relay.pipe import Client

logger = logging.getLogger(__name__)

SUSPICIOUS = 16
"""Clients that have heard nothing at the same time, at least; at most twice as many. Browsers open six connections to
a host."""

_GROWTH = 4
"""A server with that many slow answers is tried again when it has this many times more of them, or after a while."""

RECHECK = 30.0
"""Seconds for which the outcome holds: another server may have taken the remote end's place."""

_OPENING = 2.0
"""Seconds for the channel of the question to open."""

_WINDOW = 0.1
"""Seconds for the question to come back, beyond twice the time that its channel took to open."""

_PATIENCE = 3
"""Windows for the question to come back once a client has come."""

_POLL = 0.005
"""Seconds between looks at the clients that wait: asyncio does not tell what arrives for one that is not read."""


class LoopGuard:
    """In front of the channels of one forward.

    Attributes:
        failure: what is wrong, while the forward is known to be a loop; None otherwise.
    """

    def __init__(
        self,
        forward: Forward,
        unanswered: Callable[[], int],
        *,
        step: str = "",
        on_found: Callable[[Failure], None] = lambda _: None,
        recheck: float = RECHECK,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Know nothing yet.

        Args:
            unanswered: how many clients have, or wait for, a channel on which nothing has come back so far.
            step: how to give another remote end; by default as for the gateway's port.
            on_found: called when a loop is found that was not known.
            recheck: seconds for which an outcome holds.
            chance: from 0 up to 1.
        """
        self._forward = forward
        self._unanswered = unanswered
        self._step = step
        self._on_found = on_found
        self._recheck = recheck
        self._chance = chance
        self._link: Link | None = None
        self._limit = math.inf
        self._until = math.inf
        self._test: asyncio.Task[None] | None = None
        self._held: set[Client] = set()
        self._tasks = Tasks(logger)
        self._tracebacks = Tracebacks(logger)
        self.failure: Failure | None = None

    async def admit(self, client: Client, link: Link) -> None:
        """Return where ``client`` may have a channel of ``link``.

        Raises:
            ChannelFailed: it is, or would be, a client of itself.
        """
        self._look_at_clock(link)
        if self.failure is None:
            if self._test is None and self._unanswered() >= self._limit:
                self._test = self._tasks.start(self._run(link), name=f"is {self._forward} a loop?")
            if self._test is not None:
                await self._wait(client, self._test)
        if self.failure is not None:
            raise ChannelFailed(self.failure)

    async def close(self) -> None:
        """Try nothing any more."""
        await self._tasks.cancel_all()

    async def _wait(self, client: Client, test: asyncio.Task[None]) -> None:
        self._held.add(client)
        try:
            await asyncio.wait({test})
        finally:
            self._held.discard(client)

    def _look_at_clock(self, link: Link) -> None:
        """Over another connection nothing is known, and after a while what is known has to be tried again."""
        if link is not self._link:
            self._link, self._limit, self._until, self.failure = link, self._suspicious(), math.inf, None
        elif asyncio.get_running_loop().time() >= self._until:
            self._limit = (
                self._suspicious() if self.failure is None else 0
            )  # what was a loop is tried before it is one again
            self.failure = None
            self._until = math.inf

    def _suspicious(self) -> float:
        return SUSPICIOUS * (1 + self._chance())

    async def _run(self, link: Link) -> None:
        unanswered = self._unanswered()
        try:
            found = await self._leads_back(link)
        except (LinkLost, ChannelFailed):
            found = False  # nothing is open there, so nothing comes back
        except Exception as error:
            self._tracebacks.log("trying whether a forward leads back to itself", error)
            found = False
        finally:
            self._test = None
        if link is self._link:
            self._conclude(found, unanswered)

    def _conclude(self, found: bool, unanswered: int) -> None:
        was_suspected = self._limit == 0
        self._until = asyncio.get_running_loop().time() + self._recheck
        self._limit = max(self._suspicious(), (_GROWTH + self._chance()) * unanswered)
        if found:
            self.failure = self._loop()
            if not was_suspected:
                logger.warning("%s: %s", self._forward, self.failure.message)
                self._on_found(self.failure)

    async def _leads_back(self, link: Link) -> bool:
        loop = asyncio.get_running_loop()
        began, before, to = loop.time(), set(self._held), self._forward.to
        channel = await link.open_channel(to.path or to.host, to.port, asyncio.Protocol(), timeout=_OPENING)
        try:
            return await self._comes_back(channel, before, _WINDOW + 2 * (loop.time() - began))
        finally:
            channel.abort()

    async def _comes_back(self, channel: Channel, before: set[Client], window: float) -> bool:
        """Ask, once a client has come that may be the channel's other end, and look whether it was.

        Then there is more time: that client may be the question of the next tunnel in a ring, which holds ours until
        its own time, in which nobody comes, is over.
        """
        number, asked = secrets.token_hex(16).encode(), False
        looks = left = math.ceil(window / _POLL)  # not seconds: on a busy computer they pass without a look
        while left > 0:
            left -= 1
            if not asked and self._held - before:
                channel.write(_question(number))
                asked, left = True, _PATIENCE * looks
            if asked and any(number in _unread(client) for client in self._held - before):
                return True
            await asyncio.sleep(_POLL)
        return False

    def _loop(self) -> Failure:
        message = f"{self._forward.to} leads back to this tunnel's own local port, {self._forward.listen}"
        facts = {"to": str(self._forward.to)}
        return Failure(Code.LOOP, message, {**facts, "step": self._step} if self._step else facts)


def _question(number: bytes) -> bytes:
    """A gateway would answer it; whatever else may be there gets one connection with it, once in a while."""
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nOpenClaw-Tunnel-Loop: %b\r\nConnection: close\r\n\r\n"
    return head % number


def _unread(client: Client) -> bytes:
    """The first bytes that wait for a client that is not read yet; they stay where they are."""
    return b"" if client.gone else client.socket.peek(512)
