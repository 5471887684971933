"""The SSH connections of one tunnel: dialled, asked whether they live, retired, closed. Nothing is decided here.

There may be several at once: the one that carries new clients, a second one dialled beside it, and older ones that
still carry their last clients.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Connector, DialFailed, Link, LinkLost
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.core.status import RECENT, SshStatus
from openclaw_tunnel.host.loop.tasks import UNFORESEEN, Tasks, is_being_cancelled
from openclaw_tunnel.host.loop.tracebacks import Tracebacks

_ROUND_TRIPS = 3
"""Of a question to the gateway: its channel is opened, it is asked, it answers; one to spare."""

CLOSE_SECONDS = 5.0
"""How long a dial or a connection gets to close in order; a stop never waits longer."""


@dataclass(slots=True)
class _Live:
    """A connection, and its last round trips in milliseconds; none while it has not answered a question."""

    link: Link
    rtts: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def rtt_ms(self) -> float | None:
        """The last one."""
        return self.rtts[-1] if self.rtts else None


class Connections:
    """Carries out what the machine wants of connections, each known by the number of its attempt."""

    def __init__(
        self,
        spec: TunnelSpec,
        connector: Connector,
        *,
        post: Callable[[ev.Event], None],
        logger: "logging.LoggerAdapter[Any] | logging.Logger",
    ) -> None:
        """Have none yet.

        Args:
            connector: dials the SSH server.
            post: takes what has become of a command.
        """
        self._spec = spec
        self._connector = connector
        self._post = post
        self._log = logger
        self._tasks = Tasks(logger)
        self._tracebacks = Tracebacks(logger)
        self._dials: dict[int, asyncio.Task[None]] = {}
        self._live: dict[int, _Live] = {}
        self._retired: dict[int, Link] = {}

    def link(self, attempt: int) -> Link | None:
        """The connection of an attempt, while it is neither retired nor gone."""
        live = self._live.get(attempt)
        return live.link if live else None

    def rtt_ms(self, attempt: int) -> float | None:
        """The last measured round trip to the SSH server."""
        live = self._live.get(attempt)
        return live.rtt_ms if live else None

    def question_timeout(self, attempt: int) -> float:
        """Seconds for each question to the gateway: on a slow or busy line more, for it takes some round trips."""
        round_trip = (self.rtt_ms(attempt) or 0.0) / 1000
        return self._spec.policy.probe_timeout + _ROUND_TRIPS * round_trip

    def status(self, attempt: int) -> SshStatus:
        """What there is to show of the connection of an attempt."""
        live = self._live.get(attempt)
        if live is None:
            return SshStatus()
        server = live.link.server
        return SshStatus(True, server.version, server.cipher, live.rtt_ms, tuple(live.rtts))

    def open(self, attempt: int) -> None:
        """Dial; Connected or ConnectFailed follows, unless it is closed before."""
        self._dials[attempt] = self._tasks.start(self._dial(attempt), name=f"dial {attempt}")

    def close(self, attempt: int) -> None:
        """Close, or give the dial up; ConnectionClosed follows."""
        dial, live = self._dials.pop(attempt, None), self._live.pop(attempt, None)
        self._tasks.start(self._close(attempt, dial, live.link if live else None), name=f"close {attempt}")

    def retire(self, attempt: int, patience: float) -> None:
        """Close it once its last client has gone, or once it has answered nothing for ``patience`` seconds."""
        live = self._live.pop(attempt, None)
        if live is not None:
            self._retired[attempt] = live.link
            live.link.retire()
            self._tasks.start(self._retire(attempt, live.link, patience), name=f"retire {attempt}")

    def check(self, attempt: int) -> None:
        """Ask for a sign of life; ConnectionSlow may, ConnectionAnswered or ConnectionSilent will follow."""
        live = self._live.get(attempt)
        if live is not None:
            self._tasks.start(self._check(attempt, live), name=f"check {attempt}")

    async def measure(self, attempt: int) -> None:
        """Note the round trip, where the server answers at all."""
        live = self._live.get(attempt)
        if live is not None:
            try:
                live.rtts.append(await self._ping(live.link))
            except (LinkLost, TimeoutError):
                pass  # it has been noticed, or will be
            except Exception as error:
                self._tracebacks.log("measuring the round trip", error)

    async def close_all(self) -> None:
        """Close whatever is left, once nothing is opened any more."""
        links = [*self._retired.values(), *(live.link for live in self._live.values())]
        self._retired.clear()
        self._live.clear()
        await asyncio.gather(*(self._close_link(link) for link in links))
        await self._tasks.cancel_all()

    async def _dial(self, attempt: int) -> None:
        try:
            link = await self._connector.connect(asks=lambda what: self._asked(attempt, what))
        except DialFailed as error:
            self._ended(attempt, ev.ConnectFailed(attempt, error.failure.with_facts(name=self._spec.name)))
            return
        except UNFORESEEN as error:
            if is_being_cancelled():
                raise
            self._ended(attempt, ev.ConnectFailed(attempt, self._tracebacks.failure("connecting", error)))
            return
        if attempt not in self._dials:
            await link.close()  # nobody wants it any more
            return
        self._live[attempt] = _Live(link)
        self._tasks.start(self._wait_lost(attempt, link), name=f"watch {attempt}")
        self._ended(attempt, ev.Connected(attempt))

    def _asked(self, attempt: int, what: str) -> None:
        if attempt in self._dials:
            if what:
                self._log.info("waits for a person: %s", what)
            self._post(ev.PersonAsked(attempt, what))

    def _ended(self, attempt: int, event: ev.Event) -> None:
        if self._dials.pop(attempt, None) is not None:
            self._post(event)

    async def _wait_lost(self, attempt: int, link: Link) -> None:
        try:
            failure = await link.wait_lost()
        except UNFORESEEN as error:  # whatever it is: a connection that nobody watches is none
            if is_being_cancelled():
                raise
            failure = self._tracebacks.failure("watching the connection", error)
            await self._close_link(link)
        self._retired.pop(attempt, None)
        if self._live.pop(attempt, None) is not None:
            self._post(ev.ConnectionLost(attempt, failure))

    async def _close(self, attempt: int, dial: asyncio.Task[None] | None, link: Link | None) -> None:
        try:
            if dial is not None and not dial.done():
                dial.cancel()
                await asyncio.wait([dial], timeout=CLOSE_SECONDS)
            if link is not None:
                await self._close_link(link)
        finally:  # whatever went wrong: somebody waits for this
            self._post(ev.ConnectionClosed(attempt))

    async def _close_link(self, link: Link) -> None:
        """Close it, whatever it does about that."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await link.close()
        except UNFORESEEN as error:
            if is_being_cancelled():
                raise
            self._tracebacks.log("closing a connection", error)

    async def _retire(self, attempt: int, link: Link, patience: float) -> None:
        idle = self._tasks.start(link.wait_idle(), name=f"last client of {attempt}")
        silent = self._tasks.start(self._until_silent(link, patience), name=f"pings of {attempt}")
        try:
            await asyncio.wait([idle, silent], return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()
            silent.cancel()
        self._retired.pop(attempt, None)
        self._log.debug("connection %s is closed", attempt)
        await self._close_link(link)

    async def _until_silent(self, link: Link, patience: float) -> None:
        """Ask now and then whether there is still a server for those who stay."""
        with contextlib.suppress(LinkLost, TimeoutError):
            while True:
                await link.ping(timeout=patience)
                await asyncio.sleep(self._spec.policy.keepalive_interval)

    async def _check(self, attempt: int, live: _Live) -> None:
        slow = asyncio.get_running_loop().call_later(
            self._spec.policy.check_slow, self._post, ev.ConnectionSlow(attempt)
        )
        try:
            live.rtts.append(await self._ping(live.link))
            event: ev.Event | None = ev.ConnectionAnswered(attempt)
        except LinkLost:
            event = await self._unless_lost(attempt, live.link)
        except TimeoutError:
            # one that has never answered a question cannot be told from a dead one in this way
            silent = live.rtt_ms is not None
            event = ev.ConnectionSilent(attempt, self._silence()) if silent else ev.ConnectionAnswered(attempt)
        except UNFORESEEN as error:
            if is_being_cancelled():
                raise
            event = ev.ConnectionSilent(attempt, self._tracebacks.failure("asking for a sign of life", error))
        finally:
            slow.cancel()
        if event is not None:
            self._post(event)

    async def _unless_lost(self, attempt: int, link: Link) -> ev.Event | None:
        """Whoever waits for the loss says so, with the reason; where that does not happen, it is a silence."""
        try:
            async with asyncio.timeout(self._spec.policy.check_timeout):
                await link.wait_lost()
        except TimeoutError:
            return ev.ConnectionSilent(attempt, self._silence())
        except UNFORESEEN as error:  # _wait_lost runs into it too, and posts the loss
            self._tracebacks.log("watching the connection", error)
        return None

    async def _ping(self, link: Link) -> float:
        return round(await link.ping(timeout=self._spec.policy.check_timeout) * 1000, 1)

    def _silence(self) -> Failure:
        where = self._spec.address or self._spec.target
        facts = {"target": self._spec.target, "host": where}
        return Failure(Code.KEEPALIVE_TIMEOUT, f"{where} no longer answers: the connection is taken for dead", facts)
