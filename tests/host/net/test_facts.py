"""Which changes of links, addresses and routes make a difference."""

import ipaddress
from itertools import permutations

import pytest

from openclaw_tunnel.host.net.facts import Address, Fact, Link, Picture, Route, is_link_local, text

LO = Link(1, True, True)
ETH = Link(2, True, False)
ETH_UNPLUGGED = Link(2, False, False)
VETH = Link(7, True, False)


def address(ip: str, link: int = 2, prefix: int = 24) -> Address:
    return Address(link, prefix, ipaddress.ip_address(ip).packed)


def route(gateway: str = "10.1.0.9", link: int = 2, *, kind: int = 1) -> Route:
    return Route(kind, bytes(4), 0, 0, ipaddress.ip_address(gateway).packed, link)


LOCALHOST, OWN, SECOND = address("127.0.0.1", 1, 8), address("10.1.0.1"), address("10.1.0.2")
LINK_LOCAL, VETHS = address("fe80::1", 2, 64), address("fe80::7", 7, 64)
DEFAULT = route()
FORBIDDEN = Route(7, bytes(4), 0, 0, b"", 0)


def picture(*facts: Link | Fact) -> Picture:
    made = Picture()
    for fact in facts:
        made.apply(fact, True)
    return made


def test_a_plugged_in_computer() -> None:
    seen = picture(LO, ETH, LOCALHOST, OWN, LINK_LOCAL, DEFAULT).seen()
    assert seen.facts == {OWN, DEFAULT}
    assert seen.addresses == {"127.0.0.1", "10.1.0.1", "fe80::1"}


def test_nothing_is_nothing() -> None:
    seen = Picture().seen()
    assert (seen.facts, seen.addresses) == (frozenset(), frozenset())


def test_the_order_of_the_news_makes_no_difference() -> None:
    facts: list[Link | Fact] = [ETH, OWN, DEFAULT, LINK_LOCAL]
    assert {picture(*order).seen() for order in permutations(facts)} == {picture(*facts).seen()}


def test_without_carrier_an_address_does_not_count() -> None:
    changed = picture(LO, ETH, LOCALHOST, OWN, DEFAULT)
    assert changed.apply(ETH_UNPLUGGED, True)
    assert changed.seen().facts == frozenset()
    assert changed.seen().addresses == {"127.0.0.1"}
    assert changed.apply(ETH, True)
    assert "10.1.0.1" in changed.seen().addresses


def test_the_routes_of_a_link_count_again_with_its_carrier() -> None:
    changed = picture(ETH, OWN, DEFAULT)
    assert changed.apply(ETH_UNPLUGGED, True)
    assert changed.apply(ETH, True)
    assert changed.seen().facts == {OWN, DEFAULT}


def test_a_link_takes_everything_with_it() -> None:
    changed = picture(ETH, OWN, DEFAULT, VETH)
    assert changed.apply(ETH, False)
    assert changed.seen().facts == frozenset()
    assert not changed.apply(ETH, True)
    assert changed.seen().facts == frozenset()


@pytest.mark.parametrize(
    ("fact", "there"),
    [
        (OWN, False),
        (SECOND, True),
        (address("10.1.0.1", prefix=16), True),
        (address("2001:db8::1", prefix=64), True),
        (address("10.1.0.1", link=3), True),
        (DEFAULT, False),
        (route("10.1.0.8"), True),
        (DEFAULT._replace(priority=100), True),
        (DEFAULT._replace(prefix=8, destination=b"\x0b\0\0\0"), True),
        (FORBIDDEN, True),
        (ETH_UNPLUGGED, True),
        (ETH, False),
    ],
)
def test_a_change(fact: Link | Fact, there: bool) -> None:
    other = Link(3, True, False)
    changed = picture(LO, ETH, other, OWN, DEFAULT)
    before = changed.seen()
    assert changed.apply(fact, there)
    assert changed.seen().differs(before)


@pytest.mark.parametrize(
    ("fact", "there"),
    [
        (OWN, True),
        (SECOND, False),
        (DEFAULT, True),
        (route("10.1.0.8"), False),
        (ETH, True),
        (LINK_LOCAL, True),
        (address("127.0.0.2", 1), True),
        (route(link=1), True),
        (VETH, True),
        (VETHS, True),
        (route(link=7), True),
        (route(link=99), True),
        (Link(8, False, False), True),
        (Link(9, True, False), False),
    ],
)
def test_no_change(fact: Link | Fact, there: bool) -> None:
    same = picture(LO, ETH, OWN, DEFAULT)
    before = same.seen()
    assert not same.apply(fact, there)
    assert not same.seen().differs(before)


def test_containers_come_and_go_unnoticed() -> None:
    host = picture(LO, ETH, OWN, DEFAULT)
    before = host.seen()
    news: list[tuple[Link | Fact, bool]] = [
        (VETH._replace(carries=False), True),
        (VETH, True),
        (VETHS, True),
        (route(link=7), True),
    ]
    news += [(VETHS, False), (VETH._replace(carries=False), True), (VETH, False)]
    for fact, there in news:
        assert not host.apply(fact, there)
    assert host.seen() == before


def test_the_address_of_a_link_makes_its_routes_count() -> None:
    changed = picture(ETH, DEFAULT)
    assert changed.seen().facts == frozenset()
    assert changed.apply(OWN, True)
    assert changed.seen().facts == {OWN, DEFAULT}


def test_one_of_two_equal_addresses_may_go() -> None:
    changed = picture(ETH, OWN, OWN._replace(prefix=16))
    changed.apply(OWN, False)
    assert changed.seen().addresses == {"10.1.0.1"}


def test_routes_that_forbid_need_no_link() -> None:
    changed = picture(FORBIDDEN)
    assert changed.seen().facts == {FORBIDDEN}
    assert changed.apply(FORBIDDEN, False)


def test_reroutings_are_a_change() -> None:
    seen = picture(ETH, OWN).seen()
    assert seen._replace(reroutings=1).differs(seen)
    assert not seen._replace(addresses=frozenset()).differs(seen)


@pytest.mark.parametrize(
    ("ip", "local"),
    [("fe80::1", True), ("febf::1", True), ("fec0::1", False), ("2001:db8::1", False), ("169.254.0.1", False)],
)
def test_link_local_addresses(ip: str, local: bool) -> None:
    assert is_link_local(ipaddress.ip_address(ip).packed) is local
    assert text(ipaddress.ip_address(ip).packed) == ip
