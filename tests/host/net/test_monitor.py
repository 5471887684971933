"""The watch over the network, on sockets that play a kernel, and once on this computer's own."""

import asyncio
import errno
import logging
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any, Self

import pytest

from openclaw_tunnel.host.net.facts import Address, Link, Seen, text
from openclaw_tunnel.host.net.ifaddrs import own_addresses
from openclaw_tunnel.host.net.monitor import LinuxNetwork, MacNetwork, NetworkWatch, Source, system_source
from support.aio import async_test, settle
from support.rtnetlink import DELADDR, NO_CARRIER, address, done, link, listed, refused

QUICK = 0.001


def seen(*ips: str) -> Seen:
    """These addresses, all on one link."""
    return Seen(frozenset(Address(2, 24, socket.inet_aton(ip)) for ip in ips), frozenset(ips))


class Playing:
    """A source that says what the test makes it say.

    Attributes:
        now: what there is; None: that is being found out.
        reads: how often it was read.
        looks: how often it was asked to look.
        broken: what it raises from now on.
    """

    def __init__(self) -> None:
        self.now: Seen | None = seen("10.1.0.1")
        self.reads = 0
        self.looks = 0
        self.broken: OSError | None = None
        self.handle, self._far = socket.socketpair()
        self.handle.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.close()
        self._far.close()

    def say(self, hint: bool) -> None:
        self._far.send(b"!" if hint else b".")

    def read(self) -> bool:
        self.reads += 1
        if self.broken:
            raise self.broken
        return self.handle.recv(1) == b"!"

    def look(self) -> None:
        self.looks += 1
        if self.broken:
            raise self.broken

    def seen(self) -> Seen | None:
        return self.now


def has_messages(handle: socket.socket) -> bool:
    try:
        handle.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True


@pytest.fixture
def source() -> Iterator[Playing]:
    with Playing() as playing:
        yield playing


def watch(source: Source, told: list[frozenset[str]], settle: float = QUICK) -> NetworkWatch:
    made = NetworkWatch(told.append, open_source=lambda: source, settle=settle)
    made.start()
    return made


@async_test
async def test_a_change_is_told_with_the_addresses_that_there_are(source: Playing) -> None:
    told: list[frozenset[str]] = []
    watching = watch(source, told)
    source.now = seen("10.1.0.1", "10.1.0.2")
    source.say(True)
    await settle(lambda: told)
    source.now = seen("10.1.0.2")
    source.say(True)
    await settle(lambda: len(told) > 1)
    assert told == [{"10.1.0.1", "10.1.0.2"}, {"10.1.0.2"}]
    watching.close()


@async_test
async def test_what_comes_to_the_same_is_not_told(source: Playing) -> None:
    told: list[frozenset[str]] = []
    watching = watch(source, told)
    source.say(True)
    await settle(lambda: source.looks == 2)
    source.now = seen("10.1.0.2")
    source.say(True)
    await settle(lambda: told)
    assert told == [{"10.1.0.2"}]
    watching.close()


@async_test
async def test_noise_is_not_looked_into(source: Playing) -> None:
    told: list[frozenset[str]] = []
    watching = watch(source, told)
    for _ in range(20):
        source.say(False)
    source.now = seen("10.1.0.2")
    source.say(True)
    await settle(lambda: told)
    assert source.looks == 2
    watching.close()


@async_test
async def test_changes_within_a_moment_are_one(source: Playing) -> None:
    told: list[tuple[float, frozenset[str]]] = []
    loop = asyncio.get_running_loop()
    watching = NetworkWatch(lambda now: told.append((loop.time(), now)), open_source=lambda: source, settle=0.1)
    watching.start()
    began = loop.time()
    source.now = seen()
    source.say(True)
    await settle(lambda: loop.time() > began + 0.01)
    source.now = seen("10.1.0.2")
    source.say(True)
    await settle(lambda: told)
    assert told[0][1] == {"10.1.0.2"}
    assert told[0][0] >= began + 0.1
    source.now = seen("10.1.0.3")
    source.say(True)
    await settle(lambda: told[-1][1] == {"10.1.0.3"})
    watching.close()


@async_test
async def test_a_flood_of_changes_is_looked_into_now_and_then(source: Playing) -> None:
    told: list[frozenset[str]] = []
    watching = watch(source, told, settle=0.2)
    for _ in range(100):
        source.say(True)
    await settle(lambda: source.reads == 100)
    source.now = seen("10.1.0.2")
    source.say(True)
    await settle(lambda: told)
    assert source.looks < 20
    watching.close()


@async_test
async def test_what_takes_time_to_find_out_is_told_then(source: Playing) -> None:
    told: list[frozenset[str]] = []
    source.now = None
    watching = watch(source, told)
    source.say(False)
    source.now = seen("10.1.0.1")
    source.say(False)
    await settle(lambda: not has_messages(source.handle))
    source.now = None
    source.say(True)
    await settle(lambda: source.looks == 2)
    source.say(True)
    await settle(lambda: not has_messages(source.handle))
    assert told == []
    source.now = seen("10.1.0.9")
    source.say(False)
    await settle(lambda: told)
    assert told == [{"10.1.0.9"}]
    assert source.looks == 2
    watching.close()


@async_test
async def test_closed_it_lets_go_of_everything_and_may_be_started_again() -> None:
    told: list[frozenset[str]] = []
    with Playing() as first, Playing() as second:
        sources = [second, first]
        watching = NetworkWatch(told.append, open_source=sources.pop, settle=0.05)
        watching.start()
        watching.start()
        number = first.handle.fileno()
        first.say(True)
        await settle(lambda: first.reads)
        watching.close()
        watching.close()
        assert first.handle.fileno() == -1
        assert not asyncio.get_running_loop().remove_reader(number)
        second.now = seen("10.1.0.3")
        watching.start()
        restarted = asyncio.get_running_loop().time()
        await settle(lambda: asyncio.get_running_loop().time() > restarted + 0.1)
        assert second.looks == 1
        second.now = seen("10.1.0.4")
        second.say(True)
        await settle(lambda: told)
        assert told == [{"10.1.0.4"}]
        watching.close()


@async_test
async def test_it_may_be_closed_by_what_it_tells(source: Playing) -> None:
    told: list[frozenset[str]] = []

    def last(addresses: frozenset[str]) -> None:
        told.append(addresses)
        watching.close()

    watching = NetworkWatch(last, open_source=lambda: source, settle=QUICK)
    watching.start()
    source.now = seen()
    source.say(True)
    await settle(lambda: told == [set()])
    assert source.handle.fileno() == -1


def no_source() -> Source | None:
    return None


def forbidden_source() -> Source | None:
    raise PermissionError(errno.EPERM, "in a sandbox")


@async_test
async def test_where_nothing_tells_there_is_nothing_to_tell() -> None:
    watching = NetworkWatch(lambda _: pytest.fail("told"), open_source=no_source)
    watching.start()
    watching.close()


def test_where_it_may_not_be_asked_that_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    @async_test
    async def start() -> None:
        watching = NetworkWatch(lambda _: pytest.fail("told"), open_source=forbidden_source)
        watching.start()
        watching.close()

    with caplog.at_level(logging.DEBUG, "openclaw_tunnel"):
        start()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "changes of the network are not noticed for the moment: [Errno 1] in a sandbox")
    ]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_source_that_breaks_is_let_go(source: Playing, at_once: bool, caplog: pytest.LogCaptureFixture) -> None:
    broken = OSError(errno.EIO, "broken")

    @async_test
    async def start() -> None:
        source.broken = broken if at_once else None
        watching = NetworkWatch(lambda _: pytest.fail("told"), open_source=lambda: source, settle=QUICK)
        watching.start()
        source.broken = broken
        if not at_once:
            source.say(True)
        await settle(lambda: source.handle.fileno() == -1)
        watching.close()

    with caplog.at_level(logging.DEBUG, "openclaw_tunnel"):
        start()
    assert [record.getMessage() for record in caplog.records] == [
        "changes of the network are not noticed for the moment: [Errno 5] broken"
    ]


@async_test
async def test_a_source_that_broke_is_opened_again_and_what_changed_meanwhile_is_noticed(source: Playing) -> None:
    told: list[frozenset[str]] = []
    opened: list[Playing] = []

    def open_source() -> Playing:
        if len(opened) == 1:
            opened.append(source)
            raise OSError(errno.EMFILE, "too many open files")  # not yet
        opened.append(source if not opened else Playing())
        opened[-1].now = seen("10.1.0.1" if len(opened) == 1 else "10.1.0.2")
        return opened[-1]

    watching = NetworkWatch(told.append, open_source=open_source, settle=QUICK, again=QUICK)
    watching.start()
    source.broken = OSError(errno.EIO, "broken")
    source.say(True)
    await settle(lambda: told)
    assert told == [frozenset({"10.1.0.2"})]
    assert len(opened) == 3
    watching.close()
    opened[-1].__exit__()


@async_test
async def test_a_wakeup_for_nothing_is_nothing(source: Playing) -> None:
    told: list[frozenset[str]] = []
    watching = watch(source, told)
    source.broken = BlockingIOError()
    source.say(True)
    await settle(lambda: source.reads)
    source.broken = None
    source.now = seen("10.1.0.2")
    await settle(lambda: told)
    watching.close()


class Netlink(socket.socket):
    """The near end of a netlink socket, whose far end the test holds.

    Attributes:
        sender: the port of whoever sends; 0 is the kernel.
        lost: messages were lost: the next read says so.
    """

    sender = 0
    lost = False

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, Any]:
        if self.lost:
            self.lost = False
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return self.recv(size, flags), (self.sender, 0)


class Kernel:
    """A Linux whose links and addresses the test lays down; it answers what it is asked."""

    def __init__(self) -> None:
        near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.near = Netlink(near.family, near.type, near.proto, near.detach())
        self.near.setblocking(False)
        self.far.setblocking(False)
        self.lists = {18: link(2), 22: address(2, "10.1.0.1"), 26: b""}
        self.asked = 0

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self.far, self._answer)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self.far)
        self.near.close()
        self.far.close()

    def _answer(self) -> None:
        _, kind, _, sequence, _ = struct.unpack_from("=IHHII", self.far.recv(100))
        self.asked += 1
        self.far.send(listed(self.lists[kind]) + done(sequence))


@async_test
async def test_linux_tells_of_changes() -> None:
    told: list[frozenset[str]] = []
    with Kernel() as kernel:
        watching = watch(LinuxNetwork(kernel.near), told)
        await settle(lambda: kernel.asked == 3)
        kernel.lists[22] += address(2, "10.1.0.2")
        kernel.far.send(address(2, "10.1.0.2"))
        await settle(lambda: told)
        kernel.lists[18] = link(2, NO_CARRIER)
        kernel.far.send(link(2, NO_CARRIER))
        await settle(lambda: len(told) > 1)
        assert told == [{"10.1.0.1", "10.1.0.2"}, set()]
        assert kernel.asked == 9
        watching.close()


@async_test
async def test_what_linux_says_is_only_a_hint() -> None:
    told: list[frozenset[str]] = []
    with Kernel() as kernel:
        watching = watch(LinuxNetwork(kernel.near), told)
        await settle(lambda: kernel.asked == 3)
        kernel.far.send(address(2, "10.1.0.2"))  # and it has gone again when the question comes
        await settle(lambda: kernel.asked == 6)
        kernel.lists[22] = address(2, "10.1.0.3")
        kernel.far.send(address(2, "10.1.0.4"))
        await settle(lambda: told)
        assert told == [{"10.1.0.3"}]
        watching.close()


@async_test
async def test_linux_is_asked_again_after_an_address_has_gone() -> None:
    told: list[frozenset[str]] = []
    with Kernel() as kernel:
        watching = watch(LinuxNetwork(kernel.near), told)
        await settle(lambda: kernel.asked == 3)
        kernel.lists[22] = b""
        kernel.far.send(address(2, "10.1.0.1", kind=DELADDR))
        await settle(lambda: told)
        assert told == [set()]
        assert kernel.asked == 6
        watching.close()


@async_test
async def test_linux_is_asked_again_after_a_loss() -> None:
    told: list[frozenset[str]] = []
    with Kernel() as kernel:
        watching = watch(LinuxNetwork(kernel.near), told)
        await settle(lambda: kernel.asked == 3)
        kernel.lists[22] = address(2, "10.1.0.7")
        kernel.near.lost = True
        kernel.far.send(link(2))
        await settle(lambda: told)
        assert told == [{"10.1.0.7"}]
        assert kernel.asked == 6
        watching.close()


@async_test
async def test_nobody_but_the_kernel_is_believed() -> None:
    told: list[frozenset[str]] = []
    with Kernel() as kernel:
        source = LinuxNetwork(kernel.near)
        watching = watch(source, told)
        await settle(lambda: kernel.asked == 3 and source.seen() is not None)
        kernel.near.sender = 4242
        kernel.far.send(address(2, "10.6.6.6"))
        kernel.far.send(link(99))
        await settle(lambda: not has_messages(kernel.near))
        kernel.near.sender = 0
        kernel.lists[22] += address(2, "10.1.0.2")
        kernel.far.send(address(2, "10.1.0.2"))
        await settle(lambda: told)
        assert told == [{"10.1.0.1", "10.1.0.2"}]
        watching.close()


@async_test
async def test_a_linux_that_refuses_to_answer_is_let_go() -> None:
    with Kernel() as kernel:
        asyncio.get_running_loop().remove_reader(kernel.far)
        watching = watch(LinuxNetwork(kernel.near), [])
        kernel.far.send(refused(1, errno.EACCES))
        await settle(lambda: kernel.near.fileno() == -1)
        watching.close()


@pytest.mark.skipif(sys.platform != "linux", reason="asks rtnetlink")
@async_test
async def test_this_linux_and_getifaddrs_agree() -> None:
    source = system_source()
    assert isinstance(source, LinuxNetwork)
    with source.handle:
        source.look()
        while source.seen() is None:
            await settle(lambda: has_messages(source.handle))
            source.read()
        there = source.seen()
        assert there is not None
        assert there.addresses == {text(own.ip) for on, own in own_addresses() if on.carries}
        assert "127.0.0.1" in there.addresses


MAC_ADDRESS_ADDED = struct.pack("=HBB16x", 20, 5, 12)
EN0, UTUN0, LO0 = Link(4, True, False), Link(9, True, False), Link(1, True, True)


def mac_default_route(index: int) -> bytes:
    start = struct.pack("=HBBHxxiiiiiiI56x", 108, 5, 1, index, 0x2, 0x1, 0, 0, 0, 0, 0)
    return start + struct.pack("=BBH12x", 16, 2, 0)


class Mac:
    """A Mac whose addresses the test lays down."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.near.setblocking(False)
        self.addresses = [
            (LO0, Address(1, 0, b"\x7f\0\0\1")),
            (EN0, Address(4, 0, b"\x0a\1\0\1")),
            (UTUN0, Address(9, 0, b"\xfe\x80" + bytes(13) + b"\1")),
        ]
        self.looks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.near.close()
        self.far.close()

    def look(self) -> list[tuple[Link, Address]]:
        self.looks += 1
        return self.addresses


@async_test
async def test_macos_tells_of_changes() -> None:
    told: list[frozenset[str]] = []
    with Mac() as mac:
        watching = watch(MacNetwork(mac.near, mac.look), told)
        mac.addresses.append((EN0, Address(4, 0, b"\x0a\1\0\2")))
        mac.far.send(MAC_ADDRESS_ADDED)
        await settle(lambda: told)
        assert told == [{"127.0.0.1", "10.1.0.1", "10.1.0.2", "fe80::1"}]
        watching.close()


@async_test
async def test_macos_is_looked_at_when_it_says_something_that_matters() -> None:
    told: list[frozenset[str]] = []
    with Mac() as mac:
        watching = watch(MacNetwork(mac.near, mac.look), told)
        mac.far.send(struct.pack("=HBB12x", 16, 5, 15))
        mac.far.send(mac_default_route(9))
        await settle(lambda: mac.looks == 2)
        mac.far.send(MAC_ADDRESS_ADDED)
        await settle(lambda: mac.looks == 3)
        assert told == []
        mac.far.send(mac_default_route(4))
        await settle(lambda: told)
        mac.addresses.pop(1)
        mac.far.send(MAC_ADDRESS_ADDED + mac_default_route(4))
        await settle(lambda: len(told) == 2)
        mac.far.send(mac_default_route(4))
        await settle(lambda: mac.looks == 6)
        mac.addresses.append((UTUN0, Address(9, 0, b"\x0a\7\0\1")))
        mac.far.send(mac_default_route(9))
        await settle(lambda: len(told) == 3)
        mac.far.send(MAC_ADDRESS_ADDED)
        await settle(lambda: mac.looks == 8)
        assert len(told) == 3
        watching.close()


class Refusing(socket.socket):
    """May not be bound, as in a sandbox."""

    def bind(self, address: Any) -> None:
        raise PermissionError(errno.EPERM, "in a sandbox")


def test_each_system_has_its_source() -> None:
    made: list[tuple[int, int, int]] = []
    near, far = socket.socketpair()

    def make(family: int, kind: int, protocol: int) -> socket.socket:
        made.append((family, kind, protocol))
        return near

    with near, far:
        assert isinstance(system_source("darwin", make), MacNetwork)
        assert made == [(17, socket.SOCK_RAW, 0)]
        assert not near.getblocking()
    assert system_source("sunos", make) is None
    assert len(made) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="AF_NETLINK")
def test_linux_is_asked_for_all_groups() -> None:
    source = system_source("linux")
    assert source is not None
    with source.handle as handle:
        assert handle.getsockname()[1] == 0x1 | 0x10 | 0x40 | 0x100 | 0x400
        assert not handle.getblocking()
        assert not os.get_inheritable(handle.fileno())


@pytest.mark.skipif(sys.platform != "linux", reason="AF_NETLINK")
def test_a_socket_that_may_not_be_bound_is_closed() -> None:
    refusing = Refusing()
    with pytest.raises(PermissionError):
        system_source("linux", lambda *_: refusing)
    assert refusing.fileno() == -1
