"""getifaddrs(3) of this computer, and the two ways to lay out a sockaddr."""

import ctypes
import ipaddress
import socket
import struct
import sys

import pytest

from openclaw_tunnel.host.net.facts import Address, Link
from openclaw_tunnel.host.net.ifaddrs import ip_in, own_addresses


def test_loopback_is_there() -> None:
    index = socket.if_nametoindex("lo" if sys.platform == "linux" else "lo0")
    assert (Link(index, True, True), Address(index, 0, b"\x7f\0\0\1")) in own_addresses()


def test_every_address_is_one_of_this_computer() -> None:
    found = own_addresses()
    for link, address in found:
        assert address.link == link.number
        assert socket.if_indextoname(link.number)
        ip = ipaddress.ip_address(address.ip)
        with socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0) if ip.version == 4 else (str(ip), 0, 0, link.number))
    assert len(set(found)) == len(found)


def sockaddr(family: int, ip: bytes, *, length_first: bool) -> ctypes.Array[ctypes.c_char]:
    start = struct.pack("=BB", 28, family) if length_first else struct.pack("=H", family)
    return ctypes.create_string_buffer(start + bytes(2 if len(ip) == 4 else 6) + ip, 64)


@pytest.mark.parametrize("length_first", [True, False])
@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1", "fe80::1"])
def test_both_layouts(ip: str, length_first: bool) -> None:
    raw = ipaddress.ip_address(ip).packed
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    made = sockaddr(family, raw, length_first=length_first)
    assert ip_in(ctypes.addressof(made), length_first=length_first) == raw


def test_other_families_have_no_address() -> None:
    made = sockaddr(18, bytes(16), length_first=True)
    assert ip_in(ctypes.addressof(made), length_first=True) == b""


def test_a_zone_within_the_address_is_left_out() -> None:
    made = sockaddr(socket.AF_INET6, ipaddress.ip_address("fe80:4::1").packed, length_first=True)
    assert ip_in(ctypes.addressof(made), length_first=True) == ipaddress.ip_address("fe80::1").packed
