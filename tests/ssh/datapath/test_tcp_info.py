"""ssh/datapath/tcp_info.py: what the system tells of a TCP connection."""

import os
import socket
import struct
import sys

import pytest

from openclaw_tunnel.ssh.datapath.tcp_info import Queue, Traffic, of_linux, of_macos
from support.waiting import wait_until


def fill(sock: socket.socket) -> None:
    """Send until nothing more is taken: nobody reads, and the rest lies in our own buffer."""
    while True:
        sock.send(os.urandom(1 << 16))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the counters of Linux")
def test_bytes_that_the_other_side_has_are_progress_and_those_that_wait_are_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        traffic = Traffic(ours)
        assert traffic.local_address == "127.0.0.1"
        before = traffic.bytes_through()
        ours.sendall(b"x" * 1000)
        wait_until(lambda: traffic.bytes_through() == before + 1000, what="the acknowledgement")
        theirs.sendall(b"y" * 100)
        wait_until(lambda: traffic.bytes_through() == before + 1100, what="what arrived")
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            fill(ours)
        settled = traffic.bytes_through()
        assert traffic.bytes_through() == settled
        theirs.recv(1 << 20)
        wait_until(lambda: traffic.bytes_through() > settled, what="room for more")
        last = traffic.bytes_through()
        ours.close()
        assert traffic.bytes_through() >= last
        theirs.close()


def test_where_there_is_no_tcp_connection_nothing_is_told() -> None:
    assert (Traffic(None).bytes_through(), Traffic(None).local_address) == (0, "")
    one, other = socket.socketpair()
    with one, other:
        assert (Traffic(one).bytes_through(), Traffic(one).local_address) == (0, "")
    assert Traffic(None).queue() is None
    Traffic(None).acknowledge()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the queue of Linux")
def test_what_is_under_way_is_on_the_line_or_has_not_been_sent_yet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        with ours, theirs:
            traffic = Traffic(ours)
            empty = traffic.queue()
            assert empty is not None
            assert empty.under_way == 0
            assert 0 < empty.rtt < 10
            ours.sendall(b"x" * 1000)
            wait_until(lambda: traffic.queue() == Queue(0, traffic.queue().rtt), what="the acknowledgement")  # type: ignore[union-attr]
            ours.setblocking(False)
            with pytest.raises(BlockingIOError):
                fill(ours)
            full = traffic.queue()
            assert full is not None
            assert full.under_way > 1 << 16
            ours.close()
            assert traffic.queue() is None
            traffic.acknowledge()


def words(size: int, **at: int) -> bytes:
    """A structure of the system with some of its 32-bit words set; ``_24=5``: the one at byte 24."""
    told = bytearray(b"\xee" * size)
    for place, value in at.items():
        struct.pack_into("=I", told, int(place.removeprefix("_")), value)
    return bytes(told)


def test_the_queue_of_linux() -> None:
    told = words(136, _16=1448, _28=0, _68=40_250)
    assert of_linux(told, 10_000) == Queue(under_way=10_000, rtt=0.04025)
    behind_a_gap = words(136, _16=1000, _28=4, _68=40_250)
    assert of_linux(behind_a_gap, 10_000) == Queue(under_way=6000, rtt=0.04025)
    with pytest.raises(struct.error):
        of_linux(told[:64], 0)


def test_the_queue_of_macos() -> None:
    told = words(112, _32=20_000, _44=40)
    assert of_macos(told) == Queue(under_way=20_000, rtt=0.04)


def test_a_socket_that_is_no_tcp_connection_has_no_queue() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert Traffic(one).queue() is None
        Traffic(one).acknowledge()
