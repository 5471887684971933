"""Who holds a port: the tables of the kernel, and this very process."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openclaw_tunnel.host.ports.listeners import (
    Holder,
    Process,
    listening,
    parse_environment,
    parse_lsof,
    parse_ps,
    shown_command,
    who_holds,
)
from support.process import root_required

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:4965 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 20 4 30 10 -1
   3: garbage
"""
TCP6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:4965 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 444 1
   1: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 555 1
   2: 0000000000000000FFFF00000100007F:2710 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 666 1
"""


@pytest.mark.parametrize(
    ("table", "host", "port", "inodes"),
    [
        (TCP, "127.0.0.1", 18789, {"111"}),
        (TCP, "127.0.0.2", 18789, set()),
        (TCP, "0.0.0.0", 18789, {"111"}),
        (TCP, "localhost", 18789, {"111"}),
        (TCP, "127.0.0.1", 22, {"222"}),
        (TCP, "::1", 22, set()),
        (TCP, "127.0.0.1", 23, set()),
        (TCP6, "::1", 18789, {"444"}),
        (TCP6, "127.0.0.1", 18789, set()),
        (TCP6, "127.0.0.1", 8080, {"555"}),
        (TCP6, "127.0.0.1", 10000, {"666"}),
        ("", "127.0.0.1", 1, set()),
    ],
)
def test_the_tables_of_linux(table: str, host: str, port: int, inodes: set[str]) -> None:
    assert set(listening(table, host, port, little_endian=True)) == inodes


def test_the_tables_of_a_big_endian_linux() -> None:
    table = TCP.replace("0100007F", "7F000001")
    assert set(listening(table, "127.0.0.1", 18789, little_endian=False)) == {"111"}


def test_the_tables_tell_the_user_of_a_process_that_is_hidden() -> None:
    table = TCP.replace("00000000     0        0 111", "00000000  1000        0 111")
    assert listening(table, "127.0.0.1", 18789, little_endian=True) == {"111": 1000}
    assert str(Holder(None, user="bob")) == "a process of bob whose id the system hides"
    assert str(Holder(None)) == "a process the system hides"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_this_process_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        holder = who_holds("127.0.0.1", port)
        assert holder is not None
        assert holder.pid == os.getpid()
        assert "pytest" in holder.command or "python" in holder.command
        assert str(holder).startswith(f"pid {os.getpid()} (")
        assert holder.parent is not None
        assert holder.parent.pid == os.getppid()
        assert holder.parent.arguments
    assert who_holds("127.0.0.1", port) is None


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["ssh", "-N", "gw"], "ssh -N gw"),
        (["x", "--token", "abc", "y"], "x --token *** y"),
        (["x", "--token=abc", "y"], "x --token=*** y"),
        (["x", "--gateway-password", "abc"], "x --gateway-password ***"),
        (["x", "API_KEY=abc"], "x API_KEY=***"),
        (["x", "http://me:abc@host/"], "x http://me:***@host/"),
        (["x", "a\x1b[2J"], "x a?[2J"),
        (["x" * 200], "x" * 117 + "..."),
    ],
)
def test_a_command_line_is_shown_without_its_secrets(arguments: list[str], shown: str) -> None:
    assert shown_command(arguments) == shown


def test_what_lsof_says() -> None:
    assert parse_lsof("p4242\nLme\nf3\np5\nLyou\n") == (4242, "me")
    assert parse_lsof("p4242\n") == (4242, "")
    assert parse_lsof("") is None
    assert str(Holder(4242, "ssh", "")) == "pid 4242 (ssh)"
    assert str(Holder(4242, "ssh", "me")) == "pid 4242 (ssh) of me"


def test_what_ps_says() -> None:
    assert parse_ps("  17 ssh -N gw\n") == (17, ("ssh", "-N", "gw"))
    assert parse_ps("") == (0, ())
    assert parse_ps("ps: no such process") == (0, ())
    assert parse_environment("python3 -m x HOME=/me OPENCLAW_TUNNEL_HOME=/t LANG=C") == "/t"
    assert parse_environment("python3 -m x MY_OPENCLAW_TUNNEL_HOME=/t") is None


def test_what_may_be_secret_stays_out_of_sight() -> None:
    holder = Holder(1, "x ***", "me", ("x", "--token", "abc"), Process(2, ("sh", "-c", "x --token abc")))
    assert "abc" not in repr(holder) + str(holder)


LISTENS = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"


@contextmanager
def other_process(**env: str) -> Iterator[tuple[int, int]]:
    """A process that listens; its id and its port."""
    with subprocess.Popen(
        [sys.executable, "-c", LISTENS], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None
            yield other.pid, int(other.stdout.readline())
        finally:
            other.communicate("\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_another_user_s_process_is_hidden_but_not_its_user() -> None:
    root_required("becomes another user for a moment")
    with other_process() as (_, port):
        os.seteuid(65534)
        try:
            holder = who_holds("127.0.0.1", port)
        finally:
            os.seteuid(0)
    assert holder == Holder(None, user="root")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_settings_of_another_process_are_found(tmp_path: Path) -> None:
    with other_process(OPENCLAW_TUNNEL_HOME=str(tmp_path)) as (pid, port):
        holder = who_holds("127.0.0.1", port)
    assert holder is not None
    assert (holder.pid, holder.tunnel_home) == (pid, str(tmp_path))
    assert holder.arguments == (sys.executable, "-c", LISTENS)
    assert holder.parent is not None
    assert holder.parent.pid == os.getpid()
