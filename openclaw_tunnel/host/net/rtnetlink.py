"""What Linux tells of links, addresses and routes: the messages of rtnetlink(7), and how to ask for all there is.

Pure: bytes in, facts and bytes out. Numbers and layouts are those of Linux' include/uapi/linux: netlink.h, rtnetlink.h,
if.h, if_link.h and if_addr.h. What is cut off or makes no sense is passed over.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from openclaw_tunnel.host.net.facts import Address, Fact, Link, Picture, Route, Seen

GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""The multicast groups of changes: RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE."""

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ERRNO = struct.Struct("=i")
_NUMBER = struct.Struct("=I")
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix, flags, scope, index
_ROUTE = struct.Struct("=8BI")  # rtmsg: family, prefix, source's prefix, tos, table, protocol, scope, type; flags
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_HOP = struct.Struct("=HBBi")  # rtnexthop: length, flags, weight, index

_DUMP = 0x1 | 0x300  # NLM_F_REQUEST, NLM_F_DUMP
_LISTED, _INTERRUPTED = 0x2, 0x10  # NLM_F_MULTI, NLM_F_DUMP_INTR

_LOOPBACK, _CARRIES = 0x8, 0x1 | 0x40 | 0x10000  # IFF_LOOPBACK; IFF_UP, IFF_RUNNING, IFF_LOWER_UP
_OPTIMISTIC, _DAD_FAILED, _TENTATIVE = 0x4, 0x8, 0x40  # IFA_F_
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_VIA = 1, 4, 5, 6, 9, 18
_MAIN_TABLE, _CLONED = 254, 0x200  # RT_TABLE_MAIN, RTM_F_CLONED
_UNICAST, _BARRIERS = 1, (6, 7, 8)  # RTN_UNICAST; RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT
_ATTRIBUTE_TYPE = 0x3FFF  # NLA_TYPE_MASK
_SIZES = {2: 4, 10: 16}  # bytes of an address by its family: AF_INET, AF_INET6

_MOST_TRIES = 3


class _Type(IntEnum):
    ERROR = 2
    DONE = 3
    NEWLINK = 16
    DELLINK = 17
    GETLINK = 18
    NEWADDR = 20
    DELADDR = 21
    GETADDR = 22
    NEWROUTE = 24
    DELROUTE = 25
    GETROUTE = 26


_QUESTIONS = ((_Type.GETLINK, _LINK.size), (_Type.GETADDR, _ADDRESS.size), (_Type.GETROUTE, _ROUTE.size))


class Told(NamedTuple):
    """Something is there now, or there no longer; ``listed``: that is part of an answer, and no news."""

    fact: Link | Fact
    there: bool
    listed: bool = False


class Answer(NamedTuple):
    """The end of the answer to the question of that number.

    Attributes:
        sequence: of the question.
        error: the errno with which the kernel refuses to answer; 0: it has answered.
        flawed: things changed meanwhile, and the answer may lack some.
    """

    sequence: int
    error: int
    flawed: bool


def parse(data: bytes) -> Iterator[Told | Answer]:
    """The messages in one datagram, as far as they matter here."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            return
        body = data[at + _HEADER.size : at + length]
        listed = bool(flags & _LISTED)
        at += _aligned(length)
        match kind:
            case _Type.ERROR | _Type.DONE if len(body) >= _ERRNO.size:
                error = -_ERRNO.unpack_from(body)[0]
                refused = error if kind == _Type.ERROR else 0
                yield Answer(sequence, refused, bool(flags & _INTERRUPTED or error))
            case _Type.NEWLINK | _Type.DELLINK if len(body) >= _LINK.size:
                yield from (Told(fact, kind == _Type.NEWLINK, listed) for fact in _link(body))
            case _Type.NEWADDR | _Type.DELADDR if len(body) >= _ADDRESS.size:
                yield from (Told(f, usable and kind == _Type.NEWADDR, listed) for f, usable in _address(body))
            case _Type.NEWROUTE | _Type.DELROUTE if len(body) >= _ROUTE.size:
                yield from (Told(fact, kind == _Type.NEWROUTE, listed) for fact in _routes(body))


class Dialogue:
    """What is said to the kernel and by it; keeps the picture that comes of it.

    The kernel's word on a change is only a hint: it changes more than it says (with an IPv4 address go the routes
    that have it as their source, with a link its routes, and a replaced route is not named). After one that may make
    a difference to the picture everything is asked for again.
    """

    def __init__(self) -> None:
        self._picture = Picture()
        self._question: int | None = None  # that is being answered
        self._sequence = 0
        self._tries = 0
        self._stale = True

    def ask(self) -> bytes:
        """The first question to send, where the picture may be out of date; empty where it is not, or soon will not."""
        if self._question is not None or not self._stale:
            return b""
        self._tries = 0
        return self._ask_everything()

    def missed(self) -> None:
        """Some of what the kernel said was lost."""
        self._stale = True

    def receive(self, data: bytes) -> tuple[bool, bytes]:
        """Take in one datagram: may the network have changed, and what is to be asked next, if anything?

        Raises:
            OSError: the kernel refuses to answer.
        """
        hint = False
        request = b""
        for message in parse(data):
            if isinstance(message, Answer):
                request = self._answered(message) or request
                continue
            hint |= self._picture.apply(message.fact, message.there) and not message.listed
        self._stale |= hint
        return hint, request

    def seen(self) -> Seen | None:
        """The network as it is now; None while that is being found out."""
        return self._picture.seen() if self._question is None else None

    def _answered(self, answer: Answer) -> bytes:
        if self._question is None or answer.sequence != self._sequence:
            return b""
        if answer.error:
            raise OSError(answer.error, f"the kernel does not tell ({_QUESTIONS[self._question][0].name})")
        self._stale |= answer.flawed
        if self._question + 1 < len(_QUESTIONS):
            return self._ask(self._question + 1)
        if self._stale and self._tries < _MOST_TRIES:
            return self._ask_everything()
        self._question = None
        return b""

    def _ask_everything(self) -> bytes:
        self._picture = Picture()
        self._stale = False
        self._tries += 1
        return self._ask(0)

    def _ask(self, question: int) -> bytes:
        self._question = question
        self._sequence += 1
        kind, size = _QUESTIONS[question]
        return _HEADER.pack(_HEADER.size + size, kind, _DUMP, self._sequence, 0) + bytes(size)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            break
        found[kind & _ATTRIBUTE_TYPE] = data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return found


def _number(value: bytes | None, otherwise: int) -> int:
    return int(_NUMBER.unpack(value)[0]) if value is not None and len(value) == _NUMBER.size else otherwise


def _link(body: bytes) -> Iterator[Link]:
    family, _, index, flags, _ = _LINK.unpack_from(body)
    if family == 0:  # others tell of a bridge's ports and the like
        carries = flags & _CARRIES == _CARRIES
        yield Link(index, carries, bool(flags & _LOOPBACK))


def _address(body: bytes) -> Iterator[tuple[Address, bool]]:
    """The address, and whether it can be used."""
    family, prefix, few_flags, _, index = _ADDRESS.unpack_from(body)
    attributes = _attributes(body[_ADDRESS.size :])
    # IFA_ADDRESS is the other end's on a point-to-point link, and IFA_LOCAL is often left out with IPv6.
    ip = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS, b""))
    flags = _number(attributes.get(_IFA_FLAGS), few_flags)
    usable = not flags & _DAD_FAILED and (not flags & _TENTATIVE or bool(flags & _OPTIMISTIC))
    if len(ip) == _SIZES.get(family):
        yield Address(index, prefix, ip), usable


def _routes(body: bytes) -> Iterator[Route]:
    family, prefix, _, _, table, _, _, kind, flags = _ROUTE.unpack_from(body)
    if family not in _SIZES or table != _MAIN_TABLE or flags & _CLONED:
        return
    attributes = _attributes(body[_ROUTE.size :])
    destination = attributes.get(_RTA_DST, bytes(_SIZES[family]))
    priority = _number(attributes.get(_RTA_PRIORITY), 0)
    if kind in _BARRIERS:
        yield Route(kind, destination, prefix, priority, b"", 0)
    elif kind == _UNICAST:
        for link, gateway in _hops(attributes):
            yield Route(kind, destination, prefix, priority, gateway, link)


def _hops(attributes: dict[int, bytes]) -> Iterator[tuple[int, bytes]]:
    """Link and gateway of each way that the route can take."""
    link = _number(attributes.get(_RTA_OIF), 0)
    if link:
        yield link, _gateway(attributes)
    data = attributes.get(_RTA_MULTIPATH, b"")
    at = 0
    while at + _HOP.size <= len(data):
        length, _, _, link = _HOP.unpack_from(data, at)
        if not _HOP.size <= length <= len(data) - at:
            return
        if link:
            yield link, _gateway(_attributes(data[at + _HOP.size : at + length]))
        at += _aligned(length)


def _gateway(attributes: dict[int, bytes]) -> bytes:
    return attributes.get(_RTA_GATEWAY, attributes.get(_RTA_VIA, b""))
