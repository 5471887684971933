"""Messages of rtnetlink(7) as the kernel sends them: recorded ones, and made ones for what is hard to bring about."""

import ipaddress
import struct

NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE = 16, 17, 20, 21, 24, 25
ERROR, DONE = 2, 3
LISTED, INTERRUPTED, REPLACE = 0x2, 0x10, 0x100
CARRIES = 0x11043  # IFF_UP, _BROADCAST, _RUNNING, _MULTICAST, _LOWER_UP
NO_CARRIER = 0x1003
LOOPBACK = 0x10049


def message(kind: int, body: bytes, *, flags: int = 0, sequence: int = 0) -> bytes:
    """One message with its header, filled up to a multiple of four bytes."""
    header = struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0)
    return header + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, filled up."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(index: int, flags: int = CARRIES, *, kind: int = NEWLINK, family: int = 0) -> bytes:
    """A link, with no more than its name."""
    return message(kind, struct.pack("=BxHiII", family, 1, index, flags, 0) + attribute(3, b"eth0\0"))


def address(index: int, ip: str, *, prefix: int = 24, kind: int = NEWADDR, flags: int | None = None) -> bytes:
    """An address of a link; ``flags`` as the attribute that has room for all of them."""
    raw = ipaddress.ip_address(ip).packed
    more = b"" if flags is None else attribute(8, struct.pack("=I", flags))
    return message(kind, struct.pack("=BBBBI", _family(raw), prefix, 0, 0, index) + attribute(1, raw) + more)


def route(
    index: int,
    gateway: str = "10.1.0.9",
    *,
    to: str = "0.0.0.0/0",
    kind: int = NEWROUTE,
    flags: int = 0,
    table: int = 254,
    cloned: bool = False,
) -> bytes:
    """A route through a link and a gateway."""
    network = ipaddress.ip_network(to)
    raw = network.network_address.packed
    start = struct.pack("=8BI", _family(raw), network.prefixlen, 0, 0, table, 3, 0, 1, 0x200 if cloned else 0)
    attributes = attribute(5, ipaddress.ip_address(gateway).packed) + attribute(4, struct.pack("=I", index))
    return message(kind, start + attribute(1, raw) + attributes, flags=flags)


def listed(messages: bytes) -> bytes:
    """Messages as parts of an answer."""
    answer, at = bytearray(messages), 0
    while at < len(answer):
        length, kind, flags = struct.unpack_from("=IHH", answer, at)
        struct.pack_into("=IHH", answer, at, length, kind, flags | LISTED)
        at += length + -length % 4
    return bytes(answer)


def done(sequence: int, *, flags: int = 0, error: int = 0) -> bytes:
    """The end of an answer."""
    return message(DONE, struct.pack("=i", -error), flags=flags, sequence=sequence)


def refused(sequence: int, error: int) -> bytes:
    """No answer."""
    return message(ERROR, struct.pack("=i", -error) + bytes(16), sequence=sequence)


def _family(raw: bytes) -> int:
    return 2 if len(raw) == 4 else 10
