"""Links, addresses and routes of this computer, and which of them make a difference to a connection.

Pure. What counts, that is, what a change of the network consists of:

- an address on a link through which packets can leave: switched on, with carrier, not loopback. The link-local
  addresses that IPv6 gives every link do not count;
- a route of the main table through a link that has such an address, and every route that forbids a destination
  (blackhole, unreachable, prohibit).

A link without an address therefore does not count, nor do the routes through it: containers that come and go, each with
its veth pair, change nothing. A container bridge with an address counts, because nothing tells it from any other
bridge: the first container of a network to start and the last one to stop are a change each.
"""

import ipaddress
from collections.abc import Hashable
from typing import NamedTuple, TypeVar


class Link(NamedTuple):
    """A network interface by its index: can packets go through it, do they stay in this computer?"""

    number: int
    carries: bool
    loopback: bool

    @property
    def leads_out(self) -> bool:
        """Whether it connects this computer with anything."""
        return self.carries and not self.loopback


class Address(NamedTuple):
    """An address of this computer on one of its links."""

    link: int
    prefix: int
    ip: bytes


class Route(NamedTuple):
    """A way to a network through a link, with or without a gateway; through link 0: the word that there is none."""

    kind: int
    destination: bytes
    prefix: int
    priority: int
    gateway: bytes
    link: int


Fact = Address | Route
T = TypeVar("T", bound=Hashable)


class Seen(NamedTuple):
    """The network at one moment.

    Attributes:
        facts: all that counts.
        addresses: every own address that can be used, as text.
        reroutings: how often routes have changed that are not among the facts.
    """

    facts: frozenset[Fact]
    addresses: frozenset[str]
    reroutings: int = 0

    def differs(self, before: "Seen") -> bool:
        """Whether that is a change of the network."""
        return (self.facts, self.reroutings) != (before.facts, before.reroutings)


def text(ip: bytes) -> str:
    """An address as :mod:`ipaddress` prints it, without a zone."""
    return str(ipaddress.ip_address(ip))


def is_link_local(ip: bytes) -> bool:
    """Whether it is one of the addresses that IPv6 gives every link, fe80::/10."""
    return len(ip) == 16 and ip[0] == 0xFE and ip[1] & 0xC0 == 0x80


class Picture:
    """All links, addresses and routes, as far as they have been told."""

    def __init__(self) -> None:
        self._links: dict[int, Link] = {}
        self._addresses: dict[int, set[Address]] = {}
        self._routes: set[Route] = set()

    def apply(self, fact: Link | Fact, there: bool) -> bool:
        """Take in that something is there now, or there no longer.

        Returns:
            whether what counts may have changed; False is certain.
        """
        match fact:
            case Link():
                return self._apply_link(fact, there)
            case Address():
                known = self._addresses.setdefault(fact.link, set())
                return _put(known, fact, there) and not is_link_local(fact.ip) and self._leads_out(fact.link)
            case _:
                return _put(self._routes, fact, there) and self._counts(fact)

    def seen(self) -> Seen:
        """What there is now."""
        usable = [a for link in self._links.values() if link.carries for a in self._addresses.get(link.number, ())]
        facts: list[Fact] = [a for a in usable if self._leads_out(a.link) and not is_link_local(a.ip)]
        facts += [route for route in self._routes if self._counts(route)]
        return Seen(frozenset(facts), frozenset(text(a.ip) for a in usable))

    def _apply_link(self, link: Link, there: bool) -> bool:
        led_out, matters = self._leads_out(link.number), self._has_address(link.number)
        self._links.pop(link.number, None)
        if there:
            self._links[link.number] = link
        else:
            self._addresses.pop(link.number, None)
        return matters and led_out != self._leads_out(link.number)

    def _leads_out(self, index: int) -> bool:
        link = self._links.get(index)
        return link is not None and link.leads_out

    def _has_address(self, index: int) -> bool:
        return any(not is_link_local(address.ip) for address in self._addresses.get(index, ()))

    def _counts(self, route: Route) -> bool:
        return route.link == 0 or (self._leads_out(route.link) and self._has_address(route.link))


def _put(known: set[T], item: T, there: bool) -> bool:
    """Put it in or take it out; whether that changed anything."""
    if (item in known) == there:
        return False
    if there:
        known.add(item)
    else:
        known.remove(item)
    return True
