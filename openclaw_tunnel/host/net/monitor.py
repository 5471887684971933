"""Has the network of this computer changed? The system says so, nobody polls: rtnetlink on Linux, route(4) on macOS.

What it says is only a hint: a moment later everything is read again and compared with how it was.

What counts as a change is in ``host/net/facts.py``; elsewhere than on these two systems nothing is ever told. The part
for macOS is written after Apple's headers and was run on Linux only, against bytes that play a Mac: which messages a
Mac sends, and how many without need, is not proved. At worst a change is told too often, or not.
"""

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Protocol

from openclaw_tunnel.host.net.facts import Address, Link, Picture, Seen
from openclaw_tunnel.host.net.ifaddrs import own_addresses
from openclaw_tunnel.host.net.routesocket import changes
from openclaw_tunnel.host.net.rtnetlink import GROUPS, Dialogue

log = logging.getLogger(__name__)

SETTLE = 0.1
"""Seconds from the first of several changes until they are told as one: an address goes before the next one comes."""

AGAIN = 60.0
"""Seconds until a system that would not tell is asked once more: what stopped it may be over."""

_AF_ROUTE = 17  # of macOS; Python has the name there only
_MOST_BYTES = 65536  # rtnetlink sends 32 KiB at a time


class Source(Protocol):
    """What tells of the network."""

    @property
    def handle(self) -> socket.socket:
        """Readable when there is something for :meth:`read`; not blocking."""

    def read(self) -> bool:
        """Take in one message; whether the network may have changed. It may also complete what :meth:`seen` gives.

        Raises:
            OSError: there is no message (BlockingIOError), or there will be none any more.
        """

    def look(self) -> None:
        """Find out what there is, or begin to.

        Raises:
            OSError: that cannot be found out.
        """

    def seen(self) -> Seen | None:
        """What there is; None while that is being found out."""


class LinuxNetwork:
    """rtnetlink(7): the kernel multicasts each change, and lists everything when asked, which is after each change."""

    def __init__(self, handle: socket.socket) -> None:
        self.handle = handle
        self._dialogue = Dialogue()

    def read(self) -> bool:
        """See :class:`Source`."""
        try:
            data, sender = self.handle.recvfrom(_MOST_BYTES)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            self._dialogue.missed()
            return True
        if sender[0] != 0:  # not the kernel
            return False
        hint, request = self._dialogue.receive(data)
        self._send(request)
        return hint

    def look(self) -> None:
        """See :class:`Source`."""
        self._send(self._dialogue.ask())

    def seen(self) -> Seen | None:
        """See :class:`Source`."""
        return self._dialogue.seen()

    def _send(self, request: bytes) -> None:
        if request:
            self.handle.send(request)


class MacNetwork:
    """route(4): tells that something has changed; what there is, getifaddrs(3) says.

    Args:
        handle: the routing socket.
        addresses: the addresses of this computer, each with its link.
    """

    def __init__(
        self, handle: socket.socket, addresses: Callable[[], Iterable[tuple[Link, Address]]] = own_addresses
    ) -> None:
        self.handle = handle
        self._addresses = addresses
        self._seen = Seen(frozenset(), frozenset())
        self._rerouted: set[int] = set()
        self._reroutings = 0

    def read(self) -> bool:
        """See :class:`Source`."""
        told = set(changes(self.handle.recv(_MOST_BYTES)))
        self._rerouted |= told
        return bool(told)

    def look(self) -> None:
        """See :class:`Source`."""
        picture = Picture()
        for link, address in self._addresses():
            picture.apply(link, True)
            picture.apply(address, True)
        seen = picture.seen()
        # Default routes through links without an address of their own come and go with Apple's services.
        self._reroutings += any(fact.link in self._rerouted for fact in seen.facts)
        self._rerouted.clear()
        self._seen = Seen(seen.facts, seen.addresses, self._reroutings)

    def seen(self) -> Seen:
        """See :class:`Source`."""
        return self._seen


def system_source(
    platform: str = sys.platform, make: Callable[[int, int, int], socket.socket] = socket.socket
) -> Source | None:
    """What tells of this computer's network; None where nothing does.

    Args:
        platform: as ``sys.platform`` calls it.
        make: makes a socket of an address family, a kind and a protocol.

    Raises:
        OSError: it may not be asked, as in a sandbox.
    """
    if platform == "linux":
        handle = make(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        handle.setblocking(False)
        try:
            handle.bind((0, GROUPS))
        except OSError:
            handle.close()
            raise
        return LinuxNetwork(handle)
    if platform == "darwin":
        handle = make(_AF_ROUTE, socket.SOCK_RAW, 0)
        handle.setblocking(False)
        return MacNetwork(handle)
    return None


class NetworkWatch:
    """Says, on the running event loop, that the addresses, links or routes of this computer have changed.

    Where the system does not tell, or may not be asked, it logs that at DEBUG and asks again now and then.

    Args:
        on_change: called with every address that this computer can use now, as :mod:`ipaddress` prints it: those on
            links that are up and have carrier, loopback and link-local ones (without their zone) included.
        open_source: what tells of the network; raises OSError where it may not be asked.
        settle: seconds from the first of several changes to the one call.
        again: seconds until the system is asked once more where it would not, or could not, tell.
    """

    def __init__(
        self,
        on_change: Callable[[frozenset[str]], None],
        *,
        open_source: Callable[[], Source | None] = system_source,
        settle: float = SETTLE,
        again: float = AGAIN,
    ) -> None:
        self._again = again
        self._on_change = on_change
        self._open_source = open_source
        self._settle = settle
        self._source: Source | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looking = False
        self._last: Seen | None = None

    def start(self) -> None:
        """Begin to watch, in the running event loop; what there is by then is no change. Idempotent."""
        if self._source is not None:
            return
        self._timer = None
        try:
            self._source = self._open_source()
            if self._source is not None:
                asyncio.get_running_loop().add_reader(self._source.handle, self._readable)
        except OSError as error:
            self._give_up(error)
        else:
            self._look()

    def close(self) -> None:
        """Watch no longer; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._source is not None:
            asyncio.get_running_loop().remove_reader(self._source.handle)
            self._source.handle.close()
            self._source = None
        self._last = None

    def _readable(self) -> None:
        if self._source is None:
            return
        try:
            hint = self._source.read()
        except BlockingIOError:
            return
        except OSError as error:
            self._give_up(error)
            return
        if self._looking:
            self._compare()
        elif hint and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._settle, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._source is None:
            return
        try:
            self._source.look()
        except OSError as error:
            self._give_up(error)
        else:
            self._compare()

    def _compare(self) -> None:
        seen = self._source.seen() if self._source is not None else None
        self._looking = seen is None
        if seen is None:
            return
        last, self._last = self._last, seen
        if last is not None and seen.differs(last):
            log.debug("the network has changed; addresses: %s", ", ".join(sorted(seen.addresses)) or "none")
            self._on_change(seen.addresses)

    def _give_up(self, error: OSError) -> None:
        """For now. What changes meanwhile is noticed then."""
        log.debug("changes of the network are not noticed for the moment: %s", error)
        last = self._last
        self.close()
        self._last = last
        self._timer = asyncio.get_running_loop().call_later(self._again, self.start)
