"""ssh/traffic.py: what the system tells of a TCP connection."""

import os
import socket
import sys

import pytest

from openclaw_tunnel.ssh.traffic import Traffic
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
