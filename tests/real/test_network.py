"""Changes of a real Linux network, in a namespace of its own, as a process in it notices them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.watchednet import WatchedNetwork

pytestmark = pytest.mark.machine


@pytest.fixture
def network(tmp_path: Path) -> Iterator[WatchedNetwork]:
    """With the address 10.1.0.1 on eth0, and a default route."""
    with WatchedNetwork(tmp_path, "addr add 10.1.0.1/24 dev eth0", "route add default via 10.1.0.9") as made:
        yield made


def test_addresses_come_and_go(network: WatchedNetwork) -> None:
    network.ip("addr add 10.1.0.2/24 dev eth0")
    network.changed("10.1.0.1", "10.1.0.2")
    network.ip("addr del 10.1.0.1/24 dev eth0")  # the primary one: the second of its subnet goes with it
    network.changed()


def test_an_address_is_replaced_within_a_moment(network: WatchedNetwork) -> None:
    network.pause()
    network.ip("addr del 10.1.0.1/24 dev eth0", "addr add 10.1.0.11/24 dev eth0")
    network.go_on()
    before = network.changed("10.1.0.11")
    assert [line for line in before if line.startswith("changed")] == []


def test_carrier_goes_and_comes(network: WatchedNetwork) -> None:
    network.ip("link set far0 down")
    network.changed()
    network.ip("link set far0 up")
    network.changed("10.1.0.1")


def test_a_link_is_switched_off_and_on(network: WatchedNetwork) -> None:
    network.ip("link set eth0 down")
    network.changed()
    network.ip("link set eth0 up")
    network.changed("10.1.0.1")
    # The kernel dropped it without a word, so that this is a change, and the one that makes the network usable.
    network.ip("route add default via 10.1.0.9")
    network.changed("10.1.0.1")


def test_the_default_route_is_replaced_deleted_and_forbidden(network: WatchedNetwork) -> None:
    for command in (
        "route replace default via 10.1.0.8",
        "route replace default via 10.1.0.9",
        "route del default",
        "route add default via 10.1.0.9",
        "route add blackhole 10.6.0.0/16",
        "route del blackhole 10.6.0.0/16",
    ):
        network.ip(command)
        network.changed("10.1.0.1")


def test_a_default_route_that_went_with_the_last_address_is_known_to_be_gone(network: WatchedNetwork) -> None:
    network.ip("addr del 10.1.0.1/24 dev eth0")
    network.changed()
    network.ip("addr add 10.1.0.1/24 dev eth0")
    network.changed("10.1.0.1")
    network.ip("route add default via 10.1.0.9")
    network.changed("10.1.0.1")


def test_an_ipv6_address_counts_once_it_can_be_used(network: WatchedNetwork) -> None:
    network.ip("addr add 2001:db8::1/64 dev eth0")
    network.changed("10.1.0.1")  # its route
    network.changed("10.1.0.1", "2001:db8::1")  # a second or two later, when the kernel knows that nobody else has it


@pytest.mark.parametrize(
    "commands",
    [
        ["link set eth0 alias foo", "link set eth0 mtu 1400", "link set eth0 promisc on"],
        ["addr change 10.1.0.1/24 dev eth0 valid_lft 1000 preferred_lft 900"],
        ["route replace default via 10.1.0.9", "route add 10.9.0.0/16 via 10.1.0.9 table 100"],
        ["addr add 127.0.0.2/8 dev lo", "route add 10.9.0.0/16 dev lo"],
        ["link add v1 type veth peer name v2", "link set v1 up", "link set v2 up", "link del v1"],
        ["link add br0 type bridge", "link set br0 up", "link del br0"],
    ],
    ids=lambda commands: commands[0],
)
def test_what_makes_no_difference_is_not_even_looked_into(network: WatchedNetwork, commands: list[str]) -> None:
    network.ip(*commands, "addr add 10.1.0.2/24 dev eth0")
    said = network.changed("10.1.0.1", "10.1.0.2", *(["127.0.0.2"] if "lo" in commands[0].split() else []))
    assert set(said[: said.index("read hint")]) == {"read noise"}
    assert [line for line in said if line.startswith("changed")] == []


def test_the_lifetime_of_an_ipv6_address_is_refreshed_unnoticed(network: WatchedNetwork) -> None:
    network.ip("addr add 2001:db8::1/64 dev eth0 nodad")
    network.changed("10.1.0.1", "2001:db8::1")
    network.ip("addr change 2001:db8::1/64 dev eth0 valid_lft 1000 preferred_lft 900 nodad")
    network.ip("addr add 10.1.0.2/24 dev eth0")
    said = network.changed("10.1.0.1", "10.1.0.2", "2001:db8::1")
    assert set(said[: said.index("read hint")]) == {"read noise"}


def test_more_changes_than_the_socket_holds(network: WatchedNetwork) -> None:
    network.pause()
    flood = [f"link set eth0 alias {number}" for number in range(2000)]
    network.ip(*flood, "addr add 10.1.0.3/24 dev eth0", *flood, "addr add 10.1.0.4/24 dev eth0")
    network.go_on()
    network.changed("10.1.0.1", "10.1.0.3", "10.1.0.4")
    network.ip("addr add 10.1.0.5/24 dev eth0")
    network.changed("10.1.0.1", "10.1.0.3", "10.1.0.4", "10.1.0.5")
