"""This computer as `setup` sees it: a daemon, ports, the service manager."""

import socket
from pathlib import Path

import pytest

from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.setup.computer import ThisComputer
from openclaw_tunnel.setup.sshhost import SshHost
from support.aio import async_test
from support.faketool import Tool
from support.waiting import free_port


def computer(folder: Path) -> ThisComputer:
    env = {"HOME": str(folder), "PATH": str(folder), "OPENCLAW_TUNNEL_HOME": str(folder / "t")}
    return ThisComputer(env, Paths.from_env(env))


def test_no_daemon_no_tunnel(tmp_path: Path) -> None:
    assert computer(tmp_path).running("default") is None


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
    here = computer(tmp_path)
    assert here.no_service().startswith("systemctl cannot be run")
    assert not here.has_service("default")


def test_a_service_manager(tmp_path: Path) -> None:
    tool = Tool(tmp_path)
    tool.answer(show=(0, "ActiveState=active\n", ""))
    here = computer(tmp_path)
    assert here.no_service() == ""
    assert not here.has_service("default")
    units = tmp_path / ".config" / "systemd" / "user"
    units.mkdir(parents=True)
    (units / "openclaw-tunnel.service").write_text("")
    assert here.has_service("default")


def test_another_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert computer(tmp_path).command("--version") == 0
    assert capsys.readouterr().out.startswith("openclaw-tunnel ")


@async_test
async def test_a_host_that_nobody_logged_in_to() -> None:
    host = SshHost("me@127.0.0.1:1", identity="", ssh_config="none", env={})
    with pytest.raises(TunnelError, match="not logged in"):
        await host.gateway()
    await host.close()
