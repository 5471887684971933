"""The rig itself: the real servers do what the other tests rely on, seen with plain ssh instead of our program."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websockets

from support.agent import SshAgent
from support.gateway import HEALTHY, Gateway, healthz
from support.process import Child, make, pids_with_environment, program
from support.servers import Dropbear, Sshd, SshServer, Tinysshd
from support.waiting import DeadlinePassed, accepts, free_port, free_ports, wait_until


@contextmanager
def plain_ssh(server: SshServer, remote_port: int, *, config: Path | None = None) -> Iterator[int]:
    """``ssh -N -L`` through ``server`` to a port of its loopback; the local port."""
    local = free_port()
    options = ["-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"]
    forward = f"127.0.0.1:{local}:127.0.0.1:{remote_port}"
    argv: list[str | Path] = [program("ssh"), "-F", config or server.ssh_config(), *options, "-L", forward, "gw"]
    client = Child(argv, server.folder / "ssh.log")
    try:
        wait_until(lambda: accepts(local) or not client.running, 15, "ssh to listen")
        assert client.running, client.output()
        yield local
    finally:
        client.kill()


def test_sshd_carries_to_the_gateway(sshd: Sshd, gateway: Gateway) -> None:
    with plain_ssh(sshd, gateway.port) as port:
        assert healthz(port) == HEALTHY


def test_dropbear_carries_to_the_gateway(dropbear: Dropbear, gateway: Gateway) -> None:
    with plain_ssh(dropbear, gateway.port) as port:
        assert healthz(port) == HEALTHY


def test_tinysshd_forbids_forwarding(tinysshd: Tinysshd, gateway: Gateway) -> None:
    with plain_ssh(tinysshd, gateway.port) as port:
        assert healthz(port) is None
        wait_until(lambda: "open failed" in (tinysshd.folder / "ssh.log").read_text(), 5, "ssh to report the refusal")


def test_gateway_greets_a_websocket_through_sshd(sshd: Sshd, gateway: Gateway) -> None:
    async def first_frame(port: int) -> str | bytes:
        async with websockets.connect(f"ws://127.0.0.1:{port}/", proxy=None) as socket:
            return await asyncio.wait_for(socket.recv(), 10)

    with plain_ssh(sshd, gateway.port) as port:
        frame = json.loads(asyncio.run(first_frame(port)))
    assert (frame["type"], frame["event"]) == ("event", "connect.challenge")
    assert frame["payload"]["nonce"]


def test_gateway_stops_and_comes_back_on_its_port(gateway: Gateway) -> None:
    port = gateway.port
    gateway.stop()
    assert not accepts(port)
    gateway.start()
    assert gateway.port == port
    assert gateway.healthy()


def test_sshd_restarts_on_its_port_and_drops_its_connections(sshd: Sshd) -> None:
    port = sshd.port
    with plain_ssh(sshd, port) as local:
        assert accepts(local)
        sshd.restart()
        wait_until(lambda: not accepts(local), 5, "ssh to notice")
    assert sshd.port == port
    assert accepts(port)


def test_sshd_cuts_connections_and_keeps_listening(sshd: Sshd) -> None:
    with plain_ssh(sshd, sshd.port) as local:
        assert sshd.cut() > 0
        wait_until(lambda: not accepts(local), 5, "ssh to notice")
    wait_until(lambda: sshd.connections() == [], 5, "the connections to be gone")
    assert accepts(sshd.port)


def test_sshd_stops_listening_and_keeps_connections(sshd: Sshd, gateway: Gateway) -> None:
    with plain_ssh(sshd, gateway.port) as local:
        sshd.stop_listening()
        assert not accepts(sshd.port)
        assert healthz(local) == HEALTHY


def test_sshd_stands_still_and_goes_on(sshd: Sshd, gateway: Gateway) -> None:
    with plain_ssh(sshd, gateway.port) as local:
        sshd.freeze()
        assert healthz(local, timeout=0.3) is None
        sshd.thaw()
        wait_until(lambda: healthz(local) == HEALTHY, 5, "sshd to go on")


def test_sshd_takes_extra_configuration(gateway: Gateway) -> None:
    with Sshd(extra=["AllowTcpForwarding no"]) as sshd, plain_ssh(sshd, gateway.port) as local:
        assert healthz(local) is None


def test_unknown_host_key_is_refused(sshd: Sshd) -> None:
    config = sshd.ssh_config(known=False)
    with pytest.raises(AssertionError, match="Host key verification failed"), plain_ssh(sshd, sshd.port, config=config):
        pass


def test_changed_host_key_is_refused(sshd: Sshd) -> None:
    config = sshd.ssh_config()
    before = sshd.fingerprint()
    sshd.new_host_keys()
    sshd.restart()
    assert sshd.fingerprint() != before
    with pytest.raises(AssertionError, match="HOST IDENTIFICATION HAS CHANGED"):
        with plain_ssh(sshd, sshd.port, config=config):
            pass


def test_agent_holds_a_key(ssh_agent: SshAgent, sshd: Sshd, gateway: Gateway) -> None:
    ssh_agent.add(sshd.client_key)
    public = f"IdentityFile {sshd.client_key}.pub"
    sshd.client_key.rename(sshd.folder / "away")
    config = sshd.ssh_config(extra=[f"IdentityAgent {ssh_agent.socket}", public])
    with plain_ssh(sshd, gateway.port, config=config) as local:
        assert healthz(local) == HEALTHY


def test_nothing_is_left_of_a_server() -> None:
    with Sshd() as sshd, plain_ssh(sshd, sshd.port):
        folder, port = sshd.folder, sshd.port
    assert not folder.exists()
    assert not accepts(port)


def test_processes_are_found_by_their_environment(tmp_path: Path) -> None:
    entry = f"RIG_TEST={tmp_path}"
    child = Child([program("sleep"), "60"], tmp_path / "log", {"RIG_TEST": str(tmp_path)})
    wait_until(lambda: pids_with_environment(entry) == [child.pid], 5, "the process to show up")
    child.end()
    assert pids_with_environment(entry) == []


def test_neighbouring_ports_are_free() -> None:
    first = free_ports(3)
    assert not any(accepts(port) for port in range(first, first + 3))


def test_waiting_ends_at_its_deadline() -> None:
    with pytest.raises(DeadlinePassed, match=r"waited 0\.2 s for a miracle"):
        wait_until(lambda: False, 0.05, "a miracle")


def test_a_program_that_fails_says_why() -> None:
    with pytest.raises(AssertionError, match="failed"):
        make([program("false")])
