"""Says to a client of the gateway's port why it is not served, if it speaks HTTP.

Nothing was read from such a client before. Here at most the head of its request is, within a deadline: a client that
waits for the other side to speak first, or keeps a spare connection, says nothing. What it sent is told to nobody.
"""

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable
from typing import Any

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.relay.error_response import answer
from openclaw_tunnel.relay.http_request import MOST, NotHttp, Request, parse
from openclaw_tunnel.relay.localsocket import LocalSocket
from openclaw_tunnel.relay.pipe import LINGER, Client

PATIENCE = 2.0
"""Seconds in which the head of a request has to come; most of it has come while the client waited."""

MOST_AT_ONCE = 1000
"""Clients that are heard at the same time, so that their requests take no more memory than 16 MiB."""


def comes_from_here(peer: Any, here: Any) -> bool:
    """Whether a client is on this computer; the arguments are addresses as ``socket`` gives them."""
    if not isinstance(peer, tuple) or not isinstance(here, tuple):
        return isinstance(here, str | bytes)  # a Unix socket
    address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or peer[0] == here[0]


def is_local(sock: LocalSocket) -> bool:
    """Whether the client behind ``sock`` is on this computer."""
    return comes_from_here(*sock.addresses)


class HttpErrorResponder:
    """Answers the clients of one tunnel."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        *,
        patience: float = PATIENCE,
        linger: float = LINGER,
        most_at_once: int = MOST_AT_ONCE,
        is_local: Callable[[LocalSocket], bool] = is_local,
    ) -> None:
        """Answer with what ``snapshot`` tells at that moment; the times are seconds.

        Args:
            is_local: whether a client is on this computer.
        """
        self._snapshot = snapshot
        self._patience = patience
        self._linger = linger
        self._most = most_at_once
        self._busy = 0
        self._is_local = is_local

    async def __call__(self, client: Client, refusal: Failure | None) -> None:
        """Answer ``client``, which nobody has read from, if it speaks HTTP, and let it go in order.

        It is left to the caller to drop a client that is still there afterwards.

        Args:
            refusal: why its channel was refused; None where there was no connection.
        """
        ends = self._snapshot().state in (State.STOPPING, State.STOPPED)  # the user wants it closed, and now
        if client.gone or ends or self._busy >= self._most:
            return
        self._busy += 1
        try:
            visit = _Visit(client)
            request = await visit.request(self._patience)
            if request is not None:
                local = self._is_local(client.socket)
                await visit.leave_with(answer(request, self._snapshot(), refusal, is_local=local), self._linger)
        finally:
            self._busy -= 1


class _Visit:
    """A client from now on: it is read, and its end still reaches its :class:`Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._socket = client.socket
        self._head = b""
        self._ended = False
        self._answered = False
        self._news = asyncio.Event()
        self._socket.user = self
        self._socket.listen()

    async def request(self, patience: float) -> Request | None:
        """What it asks for, as far as it has said in ``patience`` seconds; None where that is no HTTP."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    while not self._has_said_all and parse(self._head, more=True) is None:
                        await self._something_happens()
            return parse(self._head, more=False)
        except NotHttp:
            return None

    async def leave_with(self, data: bytes, linger: float) -> None:
        """Send ``data``, then read on and ignore: to close at once would reset the connection and destroy ``data``."""
        if self._client.gone:
            return
        self._answered = True
        self._head = b""
        self._socket.write(data)
        if self._ended:
            self._socket.close()
        else:
            self._socket.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(linger):
                await self._end()
        if not self._socket.full:
            self._socket.close()
            await self._end()

    async def _end(self) -> None:
        while not self._client.gone:
            await self._something_happens()

    async def _something_happens(self) -> None:
        await self._news.wait()
        self._news.clear()

    @property
    def _has_said_all(self) -> bool:
        return self._ended or self._client.gone or len(self._head) >= MOST

    # What the socket calls.

    def readable(self) -> None:
        """More of the request, or its end."""
        data = self._socket.read(MOST)
        if data == b"":
            self._ended = True
            self._socket.listen(False)
            if self._answered:
                self._socket.close()
        elif data and not self._answered:
            self._head += data[: MOST - len(self._head)]
        self._news.set()

    def drained(self) -> None:
        """The answer has left."""
        self._news.set()

    def lost(self, exc: OSError | None) -> None:
        """The client is gone."""
        self._client.lost(exc)
        self._news.set()
