"""The addresses of this computer by getifaddrs(3), for systems without rtnetlink."""

import ctypes
import os
import socket
import sys
from collections.abc import Iterator

from openclaw_tunnel.host.net.facts import Address, Link, is_link_local

_LOOPBACK, _CARRIES = 0x8, 0x1 | 0x40  # IFF_LOOPBACK; IFF_UP, IFF_RUNNING
_PLACES: dict[int, tuple[int, int]] = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}  # offset and size in sockaddr


class _Entry(ctypes.Structure):
    """struct ifaddrs, the same on macOS and Linux."""


_Entry._fields_ = [
    ("next", ctypes.POINTER(_Entry)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
    ("netmask", ctypes.c_void_p),
    ("other", ctypes.c_void_p),
    ("data", ctypes.c_void_p),
]


def own_addresses() -> list[tuple[Link, Address]]:
    """Every address of this computer, with its link. The prefix is given as 0.

    A link carries if it is up and running; macOS does not tell its carrier here, and takes the addresses of a link
    without carrier away.

    Raises:
        OSError: the system does not tell.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.getifaddrs.argtypes = [ctypes.POINTER(ctypes.POINTER(_Entry))]
    libc.freeifaddrs.argtypes = [ctypes.POINTER(_Entry)]
    libc.freeifaddrs.restype = None
    first = ctypes.POINTER(_Entry)()
    if libc.getifaddrs(ctypes.byref(first)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    try:
        return list(_read(first))
    finally:
        libc.freeifaddrs(first)


def _read(entry: "ctypes._Pointer[_Entry]") -> Iterator[tuple[Link, Address]]:
    while entry:
        found = entry.contents
        ip = ip_in(found.address) if found.address else b""
        index = _index(found.name)
        if ip and index:
            link = Link(index, found.flags & _CARRIES == _CARRIES, bool(found.flags & _LOOPBACK))
            yield link, Address(index, 0, ip)
        entry = found.next


def ip_in(sockaddr: int, *, length_first: bool = sys.platform == "darwin") -> bytes:
    """The IP address in a sockaddr; empty where it is of another kind.

    Args:
        sockaddr: where it lies in memory.
        length_first: it starts with its length, and the family is one byte, as in BSD.
    """
    start = ctypes.string_at(sockaddr, 2)
    at, size = _PLACES.get(start[1] if length_first else int.from_bytes(start, sys.byteorder), (0, 0))
    ip = ctypes.string_at(sockaddr + at, size)
    # BSD keeps the zone in the third and fourth byte of a link-local address.
    return ip[:2] + bytes(2) + ip[4:] if is_link_local(ip) else ip


def _index(name: bytes) -> int:
    """The index of a link by its name; 0 where it has just gone."""
    try:
        return socket.if_nametoindex(os.fsdecode(name))
    except OSError:
        return 0
