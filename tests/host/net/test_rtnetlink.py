"""The messages of the kernel, recorded from Linux 6.18, and what is asked of it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.host.net.facts import Address, Link, Route
from openclaw_tunnel.host.net.rtnetlink import Answer, Dialogue, Told, parse
from support.rtnetlink import (
    DELADDR,
    DELLINK,
    DELROUTE,
    INTERRUPTED,
    LOOPBACK,
    NO_CARRIER,
    REPLACE,
    address,
    attribute,
    done,
    link,
    listed,
    message,
    refused,
    route,
)

FE80_7, FE80_8, FE80_9 = (bytes.fromhex(f"fe80{'00' * 13}0{n}") for n in (7, 8, 9))
DB8_1 = bytes.fromhex(f"20010db8{'00' * 11}01")

RECORDED: dict[str, tuple[str, list[Told]]] = {
    "ip addr add 10.1.0.1/24": (
        "4c000000140000006f56056b9e5900000218800003000000080001000a010001080002000a010001070003006430000008000800"
        "8000000014000600ffffffffffffffffa6ec0200a6ec0200",
        [Told(Address(3, 24, b"\n\1\0\1"), True)],
    ),
    "ip addr add 10.3.0.1 peer 10.3.0.2/32": (
        "4c000000140000007456056b235a00000220800003000000080001000a030002080002000a030001070003006430000008000800"
        "8000000014000600ffffffffffffffffbcee0200bcee0200",
        [Told(Address(3, 32, b"\n\3\0\1"), True)],
    ),
    "ip addr del 10.1.0.1/24": (
        "4c000000150000007556056b3b5a00000218800003000000080001000a010001080002000a010001070003006430000008000800"
        "8000000014000600ffffffffffffffffa6ec0200a6ec0200",
        [Told(Address(3, 24, b"\n\1\0\1"), False)],
    ),
    "ip addr add 2001:db8::1/64, while it is tentative": (
        "480000001400000000000000000000000a40c000030000001400010020010db800000000000000000000000114000600ffffffff"
        "ffffffff7bed02007bed020008000800c0000000",
        [Told(Address(3, 64, DB8_1), False)],
    ),
    "ip addr add 2001:db8::1/64, after that": (
        "480000001400000000000000000000000a408000030000001400010020010db800000000000000000000000114000600ffffffff"
        "ffffffff7bed02007bed02000800080080000000",
        [Told(Address(3, 64, DB8_1), True)],
    ),
    "ip link del, of an address": (
        "480000001500000000000000000000000a408000030000001400010020010db800000000000000000000000114000600ffffffff"
        "ffffffff7bed02007bed02000800080080000000",
        [Told(Address(3, 64, DB8_1), False)],
    ),
    "ip route add default via 10.1.0.2": (
        "34000000180000066f56056baa59000002000000fe0300010000000008000f00fe000000080005000a0100020800040003000000",
        [Told(Route(1, bytes(4), 0, 0, b"\n\1\0\2", 3), True)],
    ),
    "ip route replace default via 10.1.0.3": (
        "34000000180000017056056bb059000002000000fe0300010000000008000f00fe000000080005000a0100030800040003000000",
        [Told(Route(1, bytes(4), 0, 0, b"\n\1\0\3", 3), True)],
    ),
    "ip route add 10.6.0.0/16 nexthop via 10.1.0.3 nexthop via 10.1.0.4": (
        "50000000180000067056056bc259000002100000fe0300010000000008000f00fe000000080001000a0600002400090010000000"
        "03000000080005000a0100031000000003000000080005000a010004",
        [
            Told(Route(1, b"\n\6\0\0", 16, 0, b"\n\1\0\3", 3), True),
            Told(Route(1, b"\n\6\0\0", 16, 0, b"\n\1\0\4", 3), True),
        ],
    ),
    "ip route add blackhole 10.7.0.0/16": (
        "2c000000180000067156056bc959000002100000fe0300060000000008000f00fe000000080001000a070000",
        [Told(Route(6, b"\n\7\0\0", 16, 0, b"", 0), True)],
    ),
    "ip route add 10.8.0.0/16 via inet6 fe80::7": (
        "4c000000180000067156056bcf59000002100000fe0300010000000008000f00fe000000080001000a080000160012000a00fe80"
        "000000000000000000000000000700000800040003000000",
        [Told(Route(1, b"\n\x08\0\0", 16, 0, b"\n\0" + FE80_7, 3), True)],
    ),
    "ip -6 route add default via fe80::9": (
        "74000000180000067456056b0a5a00000a000000fe0300010000000008000f00fe000000080006000004000014000500fe800000"
        "000000000000000000000009080004000300000024000c0000000000000000000000000000000000000000000000000000000000"
        "000000000500140000000000",
        [Told(Route(1, bytes(16), 0, 1024, FE80_9, 3), True)],
    ),
    "ip -6 route add unreachable 2001:db8:6::/48": (
        "74000000180000067456056b115a00000a300000fe0300070000000008000f00fe0000001400010020010db80006000000000000"
        "00000000080006000004000008000400010000002400 0c0000000000000000000000000000000000000000000000000000000000"
        "000000000500140000000000",
        [Told(Route(7, bytes.fromhex("20010db80006") + bytes(10), 48, 1024, b"", 0), True)],
    ),
    "ip -6 route add 2001:db8:7::/48 nexthop via fe80::8 nexthop via fe80::9": (
        "a8000000180000047456056b175a00000a300000fe0300010000000008000f00fe0000001400010020010db80007000000000000"
        "00000000080006000004 00003c0009001c0000000300000014000500fe8000000000000000000000000000081c000000030000001"
        "4000500fe80000000000000000000000000000924000c0000000000000000000000000000000000000000000000000000000000"
        "000000000500140000000000",
        [
            Told(Route(1, bytes.fromhex("20010db80007") + bytes(10), 48, 1024, FE80_8, 3), True),
            Told(Route(1, bytes.fromhex("20010db80007") + bytes(10), 48, 1024, FE80_9, 3), True),
        ],
    ),
    "and one of its two ways, as the link goes": (
        "880000001900000000000000000000000a300000fe0300010000000008000f00fe0000001400010020010db80007000000000000"
        "00000000080006000004000014000500fe800000000000000000000000000008080004000300000024000c000000000000000000"
        "0000000000000000000000000000000000000000000000000500140000000000",
        [Told(Route(1, bytes.fromhex("20010db80007") + bytes(10), 48, 1024, FE80_8, 3), False)],
    ),
    "ip route add 10.9.0.0/16 via 10.1.0.3 table 100": (
        "3c000000180000067556056b295a000002100000640300010000000008000f0064000000080001000a090000080005000a010003"
        "0800040003000000",
        [],
    ),
    "ip route add 10.9.0.0/16 via 10.1.0.3 table 1000": (
        "3c000000180000067556056b305a000002100000fc0300010000000008000f00e8030000080001000a090000080005000a010003"
        "0800040003000000",
        [],
    ),
    "the local route of an address": (
        "3c00000018000006000000000000000002200000ff02fe020000000008000f00ff000000080001000a010001080007000a010001"
        "0800040003000000",
        [],
    ),
    "the broadcast route of an address": (
        "3c00000018000006000000000000000002200000ff02fd030000000008000f00ff000000080001000a0100ff080007000a010001"
        "0800040003000000",
        [],
    ),
    "the multicast route of a link": (
        "740000001800000600000000000000000a080000ff0200050000000008000f00ff00000014000100ff0000000000000000000000"
        "00000000080006000001000008000400030000002400 0c0000000000000000000000000000000000000000000000000000000000"
        "000000000500140000000000",
        [],
    ),
}


def recorded(what: str) -> bytes:
    return bytes.fromhex(RECORDED[what][0].replace(" ", ""))


EVERYTHING = b"".join(map(recorded, RECORDED))


@pytest.mark.parametrize("what", RECORDED)
def test_what_the_kernel_said(what: str) -> None:
    assert list(parse(recorded(what))) == RECORDED[what][1]


def test_several_messages_in_one_datagram() -> None:
    assert list(parse(EVERYTHING)) == [told for _, expected in RECORDED.values() for told in expected]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0x11043, Link(4, True, False)),
        (0x11003, Link(4, False, False)),  # carrier, but the authenticator of the WiFi has not agreed yet
        (0x1003, Link(4, False, False)),
        (0x1043, Link(4, False, False)),
        (0x11042, Link(4, False, False)),
        (0x1002, Link(4, False, False)),
        (0x10049, Link(4, True, True)),
    ],
)
def test_links(flags: int, expected: Link) -> None:
    assert list(parse(link(4, flags))) == [Told(expected, True)]
    assert list(parse(link(4, flags, kind=DELLINK))) == [Told(expected, False)]
    assert list(parse(listed(link(4, flags)))) == [Told(expected, True, listed=True)]


def test_that_a_bridge_lost_a_port_is_not_that_the_link_is_gone() -> None:
    assert list(parse(link(4, kind=DELLINK, family=7))) == []


@pytest.mark.parametrize(
    ("flags", "usable"), [(None, True), (0x80, True), (0xC0, False), (0xC4, True), (0x88, False), (0x20, True)]
)
def test_addresses_count_when_they_can_be_used(flags: int | None, usable: bool) -> None:
    assert list(parse(address(2, "2001:db8::1", flags=flags))) == [Told(Address(2, 24, DB8_1), usable)]


def test_the_flags_of_old_kernels_are_in_the_message_itself() -> None:
    body = struct.pack("=BBBBI", 10, 64, 0x40, 0, 2) + attribute(1, DB8_1)
    assert list(parse(message(20, body))) == [Told(Address(2, 64, DB8_1), False)]


def test_attributes_may_be_marked_as_nested() -> None:
    hop = struct.pack("=HBBi", 16, 0, 0, 2) + attribute(5, b"\n\1\0\2")
    body = struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(0x8000 | 9, hop)
    assert list(parse(message(24, body))) == [Told(Route(1, bytes(4), 0, 0, b"\n\1\0\2", 2), True)]


def test_notes_on_single_destinations_are_no_routes() -> None:
    assert list(parse(route(2, to="10.5.0.1/32", cloned=True))) == []
    assert list(parse(route(2, to="10.5.0.1/32"))) != []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (done(7), Answer(7, 0, False)),
        (done(7, flags=INTERRUPTED), Answer(7, 0, True)),
        (done(7, error=12), Answer(7, 0, True)),
        (refused(7, 1), Answer(7, 1, True)),
        (refused(7, 0), Answer(7, 0, False)),
    ],
)
def test_the_end_of_an_answer(data: bytes, expected: Answer) -> None:
    assert list(parse(data)) == [expected]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 15,
        b"\0" * 16,
        b"\xff" * 64,
        message(16, b"\0" * 15),
        message(20, b"\2\x18\0"),
        message(20, struct.pack("=BBBBI", 2, 24, 0, 0, 2)),
        message(20, struct.pack("=BBBBI", 2, 24, 0, 0, 2) + attribute(1, b"\n\1\0")),
        message(20, struct.pack("=BBBBI", 10, 24, 0, 0, 2) + attribute(1, b"\n\1\0\1")),
        message(20, struct.pack("=BBBBI", 99, 24, 0, 0, 2) + attribute(1, b"\n\1\0\1")),
        message(20, struct.pack("=BBBBI", 2, 24, 0, 0, 2) + struct.pack("=HH", 400, 1) + b"\n\1\0\1"),
        message(20, struct.pack("=BBBBI", 2, 24, 0, 0, 2) + struct.pack("=HH", 0, 1) + b"\n\1\0\1"),
        message(24, b"\2\0\0\0\xfe\0\0"),
        message(24, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 1, 0)),
        message(24, struct.pack("=8BI", 7, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(4, b"\2\0\0\0")),
        message(24, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(4, b"\2\0")),
        message(
            24, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(9, struct.pack("=HBBi", 900, 0, 0, 2))
        ),
        message(24, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(9, struct.pack("=HBBi", 0, 0, 0, 2))),
        message(24, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(9, struct.pack("=HBBi", 8, 0, 0, 0))),
        message(24, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 5, 0) + attribute(4, b"\2\0\0\0")),
        message(3, b"\0"),
        message(28, bytes(40)),
    ],
)
def test_what_makes_no_sense_says_nothing(data: bytes) -> None:
    assert list(parse(data)) == []


def test_what_is_cut_off_says_what_is_left() -> None:
    whole = list(parse(EVERYTHING))
    counts = []
    for length in range(len(EVERYTHING) + 1):
        found = list(parse(EVERYTHING[:length]))
        assert found == whole[: len(found)]
        counts.append(len(found))
    assert counts == sorted(counts)
    assert set(counts) >= {0, 1, len(whole)}


@given(st.binary(max_size=200), st.integers(0, len(EVERYTHING) - 1))
def test_nothing_in_a_message_is_an_error(noise: bytes, at: int) -> None:
    for message_ in parse(EVERYTHING[:at] + noise + EVERYTHING[at + len(noise) :]):
        assert isinstance(message_, Told | Answer)


ETH = link(2)
OWN = address(2, "10.1.0.1")


class Kernel:
    """Answers a :class:`Dialogue` with what ``links``, ``addresses`` and ``routes`` are at the moment."""

    def __init__(self) -> None:
        self.dialogue = Dialogue()
        self.lists = {18: ETH, 22: OWN, 26: route(2)}
        self.asked: list[int] = []
        self.flags = 0

    def answer(self, request: bytes) -> bytes:
        length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", request)
        assert (length, flags) == (len(request), 0x301)
        self.asked.append(kind)
        return listed(self.lists[kind]) + done(sequence, flags=self.flags)

    def answer_all(self, request: bytes) -> None:
        while request:
            hint, request = self.dialogue.receive(self.answer(request))
            assert not hint

    def addresses(self) -> set[str]:
        seen = self.dialogue.seen()
        assert seen is not None
        return set(seen.addresses)


def started() -> Kernel:
    kernel = Kernel()
    kernel.answer_all(kernel.dialogue.ask())
    kernel.asked.clear()
    return kernel


def test_links_addresses_and_routes_are_asked_for_in_turn() -> None:
    kernel = Kernel()
    request = kernel.dialogue.ask()
    assert kernel.dialogue.seen() is None
    kernel.answer_all(request)
    assert kernel.asked == [18, 22, 26]
    assert kernel.addresses() == {"10.1.0.1"}


def test_nothing_is_asked_twice_at_a_time() -> None:
    dialogue = Dialogue()
    assert dialogue.ask() != b""
    dialogue.missed()
    assert dialogue.ask() == b""


def test_after_a_change_all_is_asked_for_again() -> None:
    kernel = started()
    assert kernel.dialogue.receive(address(2, "10.1.0.2")) == (True, b"")
    kernel.lists = {18: ETH, 22: address(2, "10.1.0.5"), 26: b""}
    kernel.answer_all(kernel.dialogue.ask())
    assert kernel.asked == [18, 22, 26]
    assert kernel.addresses() == {"10.1.0.5"}
    assert kernel.dialogue.ask() == b""


def test_no_change_is_no_hint() -> None:
    kernel = started()
    assert kernel.dialogue.receive(ETH + OWN + route(2)) == (False, b"")
    assert kernel.dialogue.receive(address(2, "10.1.0.1", flags=0x20)) == (False, b"")
    assert kernel.dialogue.receive(link(1, LOOPBACK) + address(9, "10.1.0.1")) == (False, b"")
    assert kernel.dialogue.ask() == b""


def test_the_message_that_matters_may_come_before_others() -> None:
    assert started().dialogue.receive(address(2, "10.1.0.2") + ETH) == (True, b"")


@pytest.mark.parametrize(
    "change",
    [
        address(2, "10.1.0.1", kind=DELADDR),
        route(2, "10.1.0.8", flags=REPLACE),
        route(2, kind=DELROUTE),
        link(2, NO_CARRIER),
        link(2, kind=DELLINK),
    ],
    ids=["address deleted", "route replaced", "route deleted", "carrier lost", "link gone"],
)
def test_whatever_makes_a_difference_is_a_hint(change: bytes) -> None:
    kernel = started()
    assert kernel.dialogue.receive(change) == (True, b"")
    assert kernel.dialogue.ask() != b""


def test_after_a_loss_all_is_asked_for_again() -> None:
    kernel = started()
    kernel.dialogue.missed()
    assert kernel.dialogue.ask() != b""


@pytest.mark.parametrize("doubt", ["a change meanwhile", "an interruption", "a loss"])
def test_a_doubtful_answer_is_asked_for_again(doubt: str) -> None:
    kernel = Kernel()
    answer = kernel.answer(kernel.dialogue.ask())
    if doubt == "a change meanwhile":
        _, request = kernel.dialogue.receive(answer)
        assert kernel.dialogue.receive(address(2, "10.1.0.7")) == (True, b"")
        kernel.lists[22] = OWN + address(2, "10.1.0.7")
        kernel.answer_all(request)
    else:
        if doubt == "a loss":
            kernel.dialogue.missed()
        else:
            answer = listed(ETH) + done(1, flags=INTERRUPTED)
        kernel.answer_all(kernel.dialogue.receive(answer)[1])
    assert kernel.asked == [18, 22, 26] * 2
    assert kernel.addresses() == {"10.1.0.1", *(["10.1.0.7"] if doubt == "a change meanwhile" else [])}


def test_a_network_that_never_rests_is_taken_as_it_is() -> None:
    kernel = Kernel()
    kernel.flags = INTERRUPTED
    kernel.answer_all(kernel.dialogue.ask())
    assert kernel.asked == [18, 22, 26] * 3
    assert kernel.addresses() == {"10.1.0.1"}
    kernel.answer_all(kernel.dialogue.ask())
    assert len(kernel.asked) == 18
    kernel.flags = 0
    kernel.answer_all(kernel.dialogue.ask())
    assert len(kernel.asked) == 21
    assert kernel.dialogue.ask() == b""


def test_answers_to_other_questions_are_passed_over() -> None:
    kernel = Kernel()
    request = kernel.dialogue.ask()
    assert kernel.dialogue.receive(done(99)) == (False, b"")
    assert kernel.dialogue.receive(refused(99, 1)) == (False, b"")
    kernel.answer_all(request)
    assert kernel.dialogue.receive(done(3)) == (False, b"")
    assert kernel.addresses() == {"10.1.0.1"}


def test_a_refusal_is_an_error() -> None:
    dialogue = Dialogue()
    dialogue.ask()
    with pytest.raises(PermissionError, match="GETLINK"):
        dialogue.receive(refused(1, 1))
