"""What macOS tells of addresses and routes: the messages of its routing socket, route(4).

Pure. Layouts and numbers are those of xnu, bsd/net/route.h, if.h and bsd/sys/socket.h (RTM_VERSION 5); the tests make
such bytes, but no Mac has been asked.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum

_START = struct.Struct("=HBB")  # of every message: length, version, type
_ROUTE = struct.Struct("=HBBHxxiiiiiiI56x")  # rt_msghdr: ..., index, flags, addrs, pid, seq, errno, use, inits, metrics
_VERSION = 5

_HOST = 0x4  # RTF_HOST
_DST = 0x1  # RTA_DST
_ADDRESSES = {2: (4, 4), 30: (8, 16)}  # where in a sockaddr, how long, by its family: AF_INET, AF_INET6

ANY_LINK = 0
"""In place of a link's index: addresses or links have changed, somewhere."""


class _Type(IntEnum):
    ADD = 0x1
    DELETE = 0x2
    CHANGE = 0x3
    NEWADDR = 0xC
    DELADDR = 0xD
    IFINFO = 0xE


def changes(data: bytes) -> Iterator[int]:
    """What the messages of one read tell of: ``ANY_LINK``, or the index of the link of a default route.

    A default route is any to a network whose address is all zeros: 0.0.0.0/1, with which VPNs override the real one,
    is another. All other routes are passed over, because most are the kernel's own notes on its neighbours.
    """
    at = 0
    while at + _START.size <= len(data):
        length, version, kind = _START.unpack_from(data, at)
        if not _START.size <= length <= len(data) - at:
            return
        message = data[at : at + length]
        at += length
        if version != _VERSION:
            continue
        if kind in (_Type.NEWADDR, _Type.DELADDR, _Type.IFINFO):
            yield ANY_LINK
        elif kind in (_Type.ADD, _Type.DELETE, _Type.CHANGE) and len(message) >= _ROUTE.size:
            _, _, _, index, flags, addresses, _, _, error, _, _ = _ROUTE.unpack_from(message)
            if not error and not flags & _HOST and addresses & _DST and _is_zero(message[_ROUTE.size :]):
                yield index


def _is_zero(sockaddr: bytes) -> bool:
    """Whether it is the address 0.0.0.0 or ::, of which the kernel may leave the zeros at the end out."""
    if len(sockaddr) < 2 or sockaddr[1] not in _ADDRESSES:
        return False
    start, size = _ADDRESSES[sockaddr[1]]
    return not any(sockaddr[start : min(start + size, sockaddr[0])])
