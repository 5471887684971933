"""This computer as `setup` sees it: a daemon, ports, the service manager."""

import socket
from pathlib import Path

import pytest

from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.setup.computer import ThisComputer
from openclaw_tunnel.setup.facts import Computer
from support.faketool import Tool
from support.waiting import free_port


def computer(folder: Path) -> ThisComputer:
    env = {"HOME": str(folder), "PATH": str(folder), "OPENCLAW_TUNNEL_HOME": str(folder / "t")}
    return ThisComputer(env, Paths.from_env(env), agree=lambda question: False)


def test_no_daemon_no_tunnel(tmp_path: Path) -> None:
    assert computer(tmp_path).look("default").running is None


def test_who_has_a_port(tmp_path: Path) -> None:
    port = free_port()
    assert computer(tmp_path).why_taken(port) == ""
    with socket.create_server(("127.0.0.1", port)):
        assert "pid" in computer(tmp_path).why_taken(port)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_a_port_that_is_taken_on_the_other_family_only(tmp_path: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert computer(tmp_path).why_taken(server.getsockname()[1]) != ""


def test_no_service_manager(tmp_path: Path) -> None:
    here = computer(tmp_path).look("default")
    assert here.no_service.startswith("systemctl cannot be run")
    assert not here.has_service


def test_a_service_manager(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answer(show=(0, "ActiveState=active\n", ""))
    assert computer(tmp_path).look("default") == Computer("", False, None)
    units = tmp_path / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "openclaw-tunnel.service").write_text("")
    assert computer(tmp_path).look("default").has_service
