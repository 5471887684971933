"""The messages of macOS' routing socket, made after the structures of its headers."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.host.net.routesocket import ANY_LINK, changes

ADD, DELETE, CHANGE, GET, MISS, NEWADDR, DELADDR, IFINFO, NEWMADDR = 1, 2, 3, 4, 7, 12, 13, 14, 15
HOST, GATEWAY = 0x4, 0x2


def sockaddr(ip: str) -> bytes:
    """sockaddr_in or sockaddr_in6."""
    address = ipaddress.ip_address(ip)
    if address.version == 4:
        return struct.pack("=BBH4s8x", 16, 2, 0, address.packed)
    return struct.pack("=BBHI16sI", 28, 30, 0, 0, address.packed, 0)


def route(
    kind: int, destination: bytes, *, index: int = 4, flags: int = GATEWAY, error: int = 0, addresses: int = 0x3
) -> bytes:
    """struct rt_msghdr, with its metrics, a destination and a gateway."""
    body = destination + sockaddr("192.0.2.1")
    header = struct.pack("=HBBHxxiiiiiiI", 92 + len(body), 5, kind, index, flags, addresses, 1, 2, error, 0, 0)
    return header + bytes(56) + body


def interface(kind: int, size: int) -> bytes:
    """struct ifa_msghdr (20 bytes) or if_msghdr (112 bytes)."""
    return struct.pack("=HBB", size, 5, kind) + bytes(size - 4)


@pytest.mark.parametrize("message", [interface(NEWADDR, 20), interface(DELADDR, 20), interface(IFINFO, 112)])
def test_addresses_and_links(message: bytes) -> None:
    assert list(changes(message)) == [ANY_LINK]


@pytest.mark.parametrize("kind", [ADD, DELETE, CHANGE])
@pytest.mark.parametrize("ip", ["0.0.0.0", "::"])
def test_default_routes(kind: int, ip: str) -> None:
    assert list(changes(route(kind, sockaddr(ip)))) == [4]


def test_zeros_may_be_left_out() -> None:
    assert list(changes(route(ADD, b"\x05\x02\0\0\0\xff\xff\xff"))) == [4]


@pytest.mark.parametrize(
    "message",
    [
        route(ADD, sockaddr("192.0.2.7"), flags=HOST),
        route(ADD, sockaddr("192.0.2.0")),
        route(ADD, sockaddr("2001:db8::")),
        route(ADD, sockaddr("0.0.0.0"), flags=HOST),
        route(ADD, sockaddr("0.0.0.0"), error=17),
        route(ADD, sockaddr("0.0.0.0"), addresses=0x2),
        route(GET, sockaddr("0.0.0.0")),
        route(MISS, sockaddr("0.0.0.0")),
        route(ADD, b"\x14\x12" + bytes(18)),
        interface(NEWMADDR, 16),
    ],
)
def test_what_is_passed_over(message: bytes) -> None:
    assert list(changes(message)) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\4\0\5",
        b"\0\0\5\x0c",
        b"\xff\xff\5\x0c" + bytes(100),
        b"\x14\0\4\x0c" + bytes(16),
        route(ADD, sockaddr("0.0.0.0"))[:80],
        struct.pack("=HBB", 40, 5, ADD) + bytes(36),
        struct.pack("=HBBHxxiiiiiiI", 92, 5, ADD, 4, GATEWAY, 1, 0, 0, 0, 0, 0) + bytes(56),
    ],
)
def test_what_makes_no_sense_says_nothing(data: bytes) -> None:
    assert list(changes(data)) == []


def test_several_messages_in_one_read() -> None:
    data = interface(NEWMADDR, 16) + route(ADD, sockaddr("0.0.0.0"), index=9) + interface(DELADDR, 20)
    assert list(changes(data)) == [9, ANY_LINK]


@given(st.binary(max_size=250), st.integers(0, 100))
def test_nothing_in_a_message_is_an_error(noise: bytes, at: int) -> None:
    data = route(ADD, sockaddr("0.0.0.0")) + interface(NEWADDR, 20)
    assert all(index >= 0 for index in changes(data[:at] + noise + data[at + len(noise) :]))
