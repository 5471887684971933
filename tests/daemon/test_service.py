"""A service as its manager sees it: the real program, and a socket in systemd's place. Also daemon/follow.py."""

import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from support.cli import Cli
from support.process import Child
from support.waiting import accepts, free_port, wait_until


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, cli: Cli, name: str) -> None:
        self.path = str(cli.home / f"{name}.notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self._said: list[str] = []

    def said(self) -> list[str]:
        """Every message so far."""
        try:
            while True:
                self._said.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return self._said

    def status(self) -> str:
        """The last STATUS."""
        return next((line.removeprefix("STATUS=") for line in reversed(self.said()) if line.startswith("STATUS=")), "")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(cli: Cli) -> Iterator[Systemd]:
    made = Systemd(cli, "a")
    yield made
    made.close()


def run(cli: Cli, systemd: Systemd, port: int, *more: str, **env: str) -> Child:
    """A service for a host that refuses."""
    target = f"me@127.0.0.1:{free_port()}"
    told = {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "300000", **env}
    return cli.start("service", "run", target, "-p", str(port), *more, env=told)


def daemon(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = cli("status", "--json").json()
    return found


def test_its_life(cli: Cli, systemd: Systemd) -> None:
    port = free_port()
    child = run(cli, systemd, port)
    wait_until(lambda: "READY=1" in systemd.said(), 15, "READY")
    assert accepts(port)
    wait_until(lambda: systemd.status().startswith("default is in backoff: "), 10, "the words of backoff")
    wait_until(lambda: systemd.said().count("WATCHDOG=1") > 3, 10, "signs of life")
    report = daemon(cli)
    assert report["daemon"]["pid"] == child.pid
    assert report["daemon"]["services"] == {
        "default": {"manager": "systemd", "unit": "openclaw-tunnel.service", "system": False}
    }
    before = systemd.said().count("READY=1")
    os.kill(child.pid, signal.SIGHUP)
    wait_until(lambda: systemd.said().count("READY=1") > before, 10, "the end of the reload")
    assert [m.partition("\n")[0] for m in systemd.said() if m.startswith("RELOADING=1")] == ["RELOADING=1"]
    assert child.end_with(signal.SIGTERM) == 0
    assert systemd.said()[-1] == "STOPPING=1"
    assert not accepts(port)


def test_a_port_in_use_does_not_end_it(cli: Cli, systemd: Systemd) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        child = run(cli, systemd, port)
        wait_until(lambda: "READY=1" in systemd.said(), 15, "READY")
        shown = cli("status")
        assert shown.exit_code == 1
        assert "default  failed" in shown.stdout
        assert f"127.0.0.1:{port} is in use" in shown.stdout
        assert "is in use" in systemd.status()
        assert cli("wait").exit_code == 1
    os.kill(child.pid, signal.SIGHUP)  # what `reload` does: no need to wait for the next try
    wait_until(lambda: accepts(port), 10, "the port")
    wait_until(lambda: daemon(cli)["tunnels"][0]["failure"]["code"] == "refused", 10, "the tunnel")
    assert len(daemon(cli)["tunnels"]) == 1
    assert child.end_with(signal.SIGINT) == 0


def test_a_service_beside_another_daemon(cli: Cli, systemd: Systemd) -> None:
    """It leaves its tunnel to the daemon that runs, and takes its place when that is killed."""
    first = run(cli, systemd, free_port())
    wait_until(lambda: "READY=1" in systemd.said(), 15, "READY")
    port = free_port()
    other = Systemd(cli, "b")
    second = run(cli, other, port, "-n", "lab")
    wait_until(lambda: "READY=1" in other.said() and other.status().startswith("lab is in backoff"), 15, "lab")
    assert sorted(daemon(cli)["daemon"]["services"]) == ["default", "lab"]
    assert daemon(cli)["daemon"]["pid"] == first.pid
    first.kill()
    wait_until(lambda: accepts(port) and daemon(cli)["daemon"]["pid"] == second.pid, 15, "lab in its own process")
    assert second.running
    assert second.end_with(signal.SIGTERM) == 0
    other.close()


def test_its_tunnel_closed_elsewhere_it_ends(cli: Cli, systemd: Systemd) -> None:
    """Exit code 0: the manager does not start it again."""
    assert cli("up", "-d", f"me@127.0.0.1:{free_port()}", "-n", "x", "-p", str(free_port())).exit_code == 20
    port = free_port()
    child = run(cli, systemd, port, NOTIFY_SOCKET="")  # run by hand: nobody else is to be asked to stop it
    wait_until(lambda: accepts(port), 15, "the tunnel")
    assert cli("down", "default").exit_code == 0
    assert child.wait(10) == 0
    assert [tunnel["name"] for tunnel in daemon(cli)["tunnels"]] == ["x"]


def test_a_service_that_has_the_port_waits_for_its_turn(cli: Cli, systemd: Systemd) -> None:
    assert cli("up", "-d", f"me@127.0.0.1:{free_port()}", "-n", "x", "-p", str(free_port())).exit_code == 20
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        os.set_inheritable(held.fileno(), True)
        # the shell puts the socket where systemd does
        script = f'exec 3<&{held.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        child = cli.start_in_shell(
            script,
            ("service", "run", f"me@127.0.0.1:{free_port()}", "-p", str(port)),
            env={"NOTIFY_SOCKET": systemd.path},
            descriptors=[held.fileno()],
        )
        wait_until(lambda: systemd.status().startswith("waits: another openclaw-tunnel daemon"), 15, "its words")
        assert cli("down", "--all").exit_code == 0
        wait_until(lambda: systemd.status().startswith("default is in backoff"), 15, "its turn")
        assert daemon(cli)["tunnels"][0]["forwards"][0]["listening"] is True
        assert child.end_with(signal.SIGTERM) == 0
        assert accepts(port)  # it is still ours, the manager's


def test_its_folder_is_removed_and_it_begins_anew(cli: Cli, systemd: Systemd) -> None:
    """A cleaner of temporary folders: nobody could reach the daemon any more, and a service does not end of that."""
    port = free_port()
    child = run(cli, systemd, port)
    wait_until(lambda: accepts(port), 15, "the tunnel")
    cli.tunnel_home.rename(cli.home / "gone")
    wait_until(lambda: cli("status").exit_code == 1, 20, "the daemon in a new folder")
    assert daemon(cli)["daemon"]["pid"] == child.pid
    assert accepts(port)
    assert child.end_with(signal.SIGTERM) == 0
