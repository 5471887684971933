"""What systemd is told, and that nothing is where it does not ask."""

import os
import socket
from pathlib import Path

import pytest

from openclaw_tunnel.host.sdnotify import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> socket.socket:
    """The end of NOTIFY_SOCKET that systemd has."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "n"))
    sock.settimeout(60)
    return sock


def test_it_says_what_happens(systemd: socket.socket) -> None:
    env = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    with systemd:
        notifier = Notifier(env)
        assert bool(notifier)
        assert env == {}
        assert notifier.watchdog == 30
        notifier.ready()
        notifier.status("up\nREADY=1")
        notifier.status("up\nREADY=1")
        notifier.reloading()
        notifier.alive()
        notifier.stopping()
        said = [systemd.recv(1000).decode() for _ in range(5)]
    assert said[:2] == ["READY=1", "STATUS=up?READY=1"]
    reloading, at = said[2].split("\n")
    assert reloading == "RELOADING=1"
    assert int(at.removeprefix("MONOTONIC_USEC=")) > 0
    assert said[3:] == ["WATCHDOG=1", "STOPPING=1"]


def test_an_abstract_socket() -> None:
    name = f"oct-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(60)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert sock.recv(100) == b"READY=1"


def test_nobody_asked() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "1000"})
    assert not notifier
    assert notifier.watchdog is None
    notifier.ready()


def test_the_watchdog_of_another_process_is_none_of_ours() -> None:
    env = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
    notifier = Notifier(env)
    assert notifier.watchdog is None
    notifier.ready()  # nobody listens there: no error
