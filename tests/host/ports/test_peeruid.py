"""Whose program is at the other end of a local connection (host/ports/peeruid.py)."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from openclaw_tunnel.host.ports.peeruid import Address, owner_in_table, owner_of_peer, parse_lsof
from support.waiting import wait_until

HERE = ("127.0.0.1", 18789)
PEER = ("127.0.0.1", 49153)
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:4965 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1001        0 222 1 0 20 4 30 10 -1
   2: 0100007F:C001 0100007F:4965 01 00000000:00000000 00:00000000 00000000  1002        0 333 1 0 20 4 30 10 -1
   3: 0100007F:C002 0100007F:4965 05 00000000:00000000 00:00000000 00000000  1003        0 444 1 0 20 4 30 10 -1
   4: 0100007F:C003 0100007F:4965 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
   5: garbage
"""
TCP6 = """\
  sl  local_address                         remote_address                        st
   0: 0000000000000000FFFF00000100007F:C001 0000000000000000FFFF00000100007F:4965 01 0:0 00:0 0 1004 0 555 1
"""
LSOF = """\
p100
u1001
f7
n127.0.0.1:18789->127.0.0.1:49153
f9
n127.0.0.1:18789
p200
f3
n127.0.0.1:49154->127.0.0.1:18789
p300
u1002
f3
n127.0.0.1:49153->127.0.0.1:18789
"""


@pytest.mark.parametrize(
    ("table", "peer", "uid"),
    [
        (TCP, PEER, 1002),
        (TCP, HERE, None),  # not ours, whose ends are the other way round
        (TCP, ("127.0.0.1", 0xC002), None),  # it has begun to close
        (TCP, ("127.0.0.1", 0xC003), None),  # its program has closed it: uid 0 is nobody's
        (TCP, ("127.0.0.2", PEER[1]), None),
        (TCP6, PEER, 1004),
        ("", PEER, None),
    ],
)
def test_the_tables_of_linux(table: str, peer: Address, uid: int | None) -> None:
    assert owner_in_table(table, peer, HERE, little_endian=True) == uid


@pytest.mark.parametrize(
    ("peer", "uid"),
    [(PEER, 1002), (("127.0.0.1", 49154), None), (("127.0.0.1", 49155), None)],
)
def test_what_lsof_says(peer: Address, uid: int | None) -> None:
    assert parse_lsof(LSOF, peer, HERE) == uid


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: the end of the one who came, and ours."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        with closing(socket.create_connection(server.getsockname())) as client, closing(server.accept()[0]) as conn:
            yield client, conn


def test_our_own_program(ends: tuple[socket.socket, socket.socket]) -> None:
    client, conn = ends
    assert owner_of_peer(client.getsockname(), conn.getsockname()) == os.geteuid()


@pytest.mark.skipif(sys.platform != "linux", reason="lsof says nothing of closed connections either")
def test_a_program_that_has_hung_up(ends: tuple[socket.socket, socket.socket]) -> None:
    client, conn = ends
    peer = client.getsockname()
    client.close()
    wait_until(lambda: conn.recv(1) == b"", what="the end")
    assert owner_of_peer(peer, conn.getsockname()) is None


@pytest.mark.skipif(shutil.which("lsof") is None, reason="no lsof")
def test_lsof_itself(ends: tuple[socket.socket, socket.socket]) -> None:
    client, conn = ends
    peer, here = client.getsockname(), conn.getsockname()
    options = ["-nP", f"-iTCP:{peer[1]}", "-sTCP:ESTABLISHED", "-F", "pun"]
    said = subprocess.run(["lsof", *options], capture_output=True, text=True, timeout=30)
    assert parse_lsof(said.stdout, peer, here) == os.geteuid(), said
