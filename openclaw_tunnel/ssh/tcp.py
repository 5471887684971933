"""A TCP connection to a host: its addresses are tried side by side."""

import asyncio
import contextlib
import socket
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import zip_longest
from typing import Any

from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.ssh.failures import most_telling, of_os_error
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.lookup import Address

_STAGGER = 0.25  # RFC 8305: the next address gets its turn so many seconds after the one before
_FRESH_AFTER, _FRESH_EVERY = 0.6, 0.5  # seconds
_FRESH_AT_ONCE = 2
_NOTSENT_LOWAT = 0x201 if sys.platform == "darwin" else 25  # TCP_NOTSENT_LOWAT: netinet/tcp.h, linux/tcp.h
_UNSENT = 1 << 16  # bytes


async def connect_any(addresses: list[Address], hop: Hop, *, bind_address: str = "") -> socket.socket:
    """Connect to the first of a host's addresses that answers; the caller owns the socket.

    Args:
        addresses: from ``lookup.look_up``.
        bind_address: a local address to connect from; empty for the system's choice.

    Raises:
        DialFailed: none could be reached; there is no deadline here.
    """
    race = Race(lambda address: _connect(address, bind_address))
    try:
        async with asyncio.TaskGroup() as group:
            await race.run(group, interleaved(addresses))
    finally:
        race.close_losers()
    if race.winner is None:
        raise DialFailed(most_telling([of_os_error(exc, hop) for exc in race.errors]))
    return race.winner


def interleaved(addresses: Sequence[Address]) -> list[Address]:
    """The addresses in their order, but with the families taking turns (RFC 8305 section 4): one that is broken
    delays the other by one address, not by all of its own."""
    families = dict.fromkeys(address[0] for address in addresses)
    by_family = [[address for address in addresses if address[0] == family] for family in families]
    return [address for row in zip_longest(*by_family) for address in row if address is not None]


class Race:
    """Attempts to connect, side by side.

    An attempt that is not answered is repeated by the system at longer and longer intervals, up to half a minute: when
    the network comes back, it would be up to that long before anybody notices. So as long as an address has not
    answered, a fresh attempt is made beside the first one every half second, two at a time.

    Attributes:
        winner: the first connection that was made.
        errors: of the addresses that failed.
    """

    def __init__(self, connect: Callable[[Address], Coroutine[Any, Any, socket.socket | OSError]]) -> None:
        """Begin nothing yet; ``connect`` makes one attempt."""
        self._connect = connect
        self._tasks: dict[asyncio.Task[socket.socket | OSError], Address] = {}
        self._fresh: deque[asyncio.Task[socket.socket | OSError]] = deque()
        self.winner: socket.socket | None = None
        self.errors: list[OSError] = []

    async def run(self, group: asyncio.TaskGroup, addresses: list[Address]) -> None:
        """Return when one is connected or all have failed; attempts that are left over are cancelled."""
        waiting = list(addresses)
        loop = asyncio.get_running_loop()
        fresh_at = loop.time() + _STAGGER * (len(addresses) - 1) + _FRESH_AFTER
        while self.winner is None and (waiting or self._pending()):
            if waiting:
                self._start(group, waiting.pop(0))
            elif loop.time() >= fresh_at:
                self._start_fresh(group)
                fresh_at = loop.time() + _FRESH_EVERY
            patience = _STAGGER if waiting else max(0.0, fresh_at - loop.time())
            await asyncio.wait(self._pending(), timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            self._take_results()
        for task in self._pending():
            task.cancel()

    def close_losers(self) -> None:
        """Close every connection but the winner's."""
        for task in self._tasks:
            if task.done() and not task.cancelled() and not task.exception():
                result = task.result()
                if isinstance(result, socket.socket) and result is not self.winner:
                    result.close()

    def _pending(self) -> list[asyncio.Task[socket.socket | OSError]]:
        return [task for task in self._tasks if not task.done()]

    def _start(self, group: asyncio.TaskGroup, address: Address) -> asyncio.Task[socket.socket | OSError]:
        task = group.create_task(self._connect(address))
        self._tasks[task] = address
        return task

    def _start_fresh(self, group: asyncio.TaskGroup) -> None:
        silent = dict.fromkeys(self._tasks[task] for task in self._pending() if task not in self._fresh)
        while len(self._fresh) > (_FRESH_AT_ONCE - 1) * len(silent):
            self._fresh.popleft().cancel()
        self._fresh.extend(self._start(group, address) for address in silent)

    def _take_results(self) -> None:
        for task in [task for task in self._tasks if task.done() and not task.cancelled()]:
            result = task.result()
            if isinstance(result, OSError):
                # what a fresh attempt runs into says no more than the first attempt will
                self.errors += [] if task in self._fresh else [result]
                del self._tasks[task]
            else:
                self.winner = self.winner or result


async def _connect(address: Address, bind_address: str) -> socket.socket | OSError:
    family, kind, protocol, _, where = address
    sock = None
    try:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        if bind_address:
            local = socket.getaddrinfo(bind_address, 0, family, kind, 0, socket.AI_NUMERICHOST)
            sock.bind(local[0][4])
        await asyncio.get_running_loop().sock_connect(sock, where)
        _keep_queue_short(sock)
    except OSError as exc:
        if sock:
            sock.close()
        return exc
    except BaseException:
        if sock:
            sock.close()
        raise
    return sock


def _keep_queue_short(sock: socket.socket) -> None:
    """Let the system keep little that was not sent yet.

    Without a limit it takes megabytes, and during an upload all that comes later (keystrokes, new clients, our own
    questions) waits until they have left: twelve seconds at 512 kbit/s were measured, three to four with this, for 3 %
    of the throughput on loopback.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UNSENT)
