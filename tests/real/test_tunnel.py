"""The main job, end to end: the real command line, a real sshd, a real gateway behind it."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import websockets

from support.agent import SshAgent
from support.cli import Answer, Cli
from support.gateway import HEALTHY, Gateway, healthz
from support.servers import Dropbear, Sshd, SshServer, Tinysshd
from support.waiting import accepts, free_port, wait_until


def up(cli: Cli, server: SshServer, remote_port: int, *more: str) -> int:
    """``up -d`` of an alias that leads to ``server``; the local port."""
    cli.use_ssh_config(server.ssh_config("gw"))
    port = free_port()
    answer = cli("up", "-d", "gw", "-p", str(port), "-r", str(remote_port), *more)
    assert answer.exit_code == 0, answer.stderr
    return port


def refusal(answer: Answer, code: int) -> tuple[str, str]:
    """Check the form of a refusal; its message and hint."""
    assert answer.exit_code == code, (answer.stdout, answer.stderr)
    errors = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    hints = [line for line in answer.stderr.splitlines() if line.startswith("hint: ")]
    assert len(errors) == len(hints) == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    return errors[0], hints[0]


def tunnel(cli: Cli) -> dict[str, Any]:
    found = cli("status", "--json").json()["tunnels"]
    assert len(found) == 1
    first: dict[str, Any] = found[0]
    return first


@contextmanager
def echo_server() -> Iterator[int]:
    """Sends everything back, until the client's end."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def serve(conn: socket.socket) -> None:
        with conn:
            while data := conn.recv(1 << 16):
                conn.sendall(data)

    def accept() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(conn,), daemon=True).start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()


def test_http_and_websocket_reach_the_gateway(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    port = up(cli, sshd, gateway.port)
    assert healthz(port) == HEALTHY

    async def first_frame() -> dict[str, object]:
        async with websockets.connect(f"ws://127.0.0.1:{port}/", proxy=None) as ws:
            frame = json.loads(await asyncio.wait_for(ws.recv(), 10))
            assert isinstance(frame, dict)
            return frame

    assert asyncio.run(first_frame())["event"] == "connect.challenge"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
        assert b"<html" in page.read()

    shown = cli("status", "--json")
    assert shown.exit_code == 0
    state = shown.json()["tunnels"][0]
    assert state["state"] == "up"
    assert state["gateway"]["verdict"] == "healthy"
    assert state["gateway"]["version"] == "2026.9.6"
    assert state["ssh"]["server"].startswith("OpenSSH_")
    assert state["target"] == f"{sshd.user}@127.0.0.1:{sshd.port}"
    again = cli("up", "-d", "gw", "-p", str(port), "-r", str(gateway.port))
    assert (again.exit_code, "up" in again.stdout) == (0, True)
    again = cli("up", "-d")  # it runs already: no destination is needed to be shown that
    assert (again.exit_code, "up" in again.stdout) == (0, True)
    assert cli("wait").exit_code == 0
    assert cli("down").exit_code == 0
    assert not accepts(port)
    assert cli.processes() == []


def test_twenty_megabytes_both_ways_unchanged(cli: Cli, sshd: Sshd) -> None:
    data = os.urandom(20 << 20)
    with echo_server() as remote:
        port = up(cli, sshd, remote, "--probe", "tcp")
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:

            def send() -> None:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            back = hashlib.sha256()
            while received := client.recv(1 << 20):
                back.update(received)
            sender.join()
    assert back.digest() == hashlib.sha256(data).digest()


def test_two_hundred_clients_during_a_restart_are_all_served(cli: Cli, sshd: Sshd) -> None:
    """They connect while sshd is away for three seconds; none is refused, each gets its own bytes back."""
    with echo_server() as remote:
        port = up(cli, sshd, remote, "--probe", "tcp")
        outcomes: list[str] = []

        def client(number: int) -> None:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=30) as conn:
                    conn.sendall(f"{number:04}".encode())
                    got = b""
                    while len(got) < 4 and (data := conn.recv(4)):
                        got += data
                    outcomes.append("served" if got == f"{number:04}".encode() else f"wrong {got!r}")
            except OSError as error:
                outcomes.append(repr(error))

        sshd.kill()
        back = threading.Timer(3.0, sshd.start)
        back.start()
        clients = [threading.Thread(target=client, args=(n,)) for n in range(200)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        back.join()
        assert outcomes == ["served"] * 200
    counters = tunnel(cli)["counters"]
    assert counters == {"connects": 2, "losses": 1, "held_clients": 200}


def test_a_download_keeps_running_while_another_client_is_held(cli: Cli, sshd: Sshd) -> None:
    """The held client waits for an address that does not answer; the download does not notice."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(3)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(silent.getsockname())
    with echo_server() as remote:
        second = free_port()
        extra = f"{second}:127.0.0.1:{silent.getsockname()[1]}"
        port = up(cli, sshd, remote, "--probe", "tcp", "-L", extra)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as download,
            socket.create_connection(("127.0.0.1", second), timeout=10) as held,
        ):
            held.sendall(b"anybody there?")
            block = os.urandom(1 << 16)
            for _ in range(64):
                download.sendall(block)
                got = b""
                while len(got) < len(block):
                    got += download.recv(1 << 16)
                assert got == block
            counts = [f["clients"] for f in cli("status", "--json").json()["tunnels"][0]["forwards"]]
            assert counts == [{"open": 1, "waiting": 0, "total": 1}, {"open": 0, "waiting": 1, "total": 1}]
    for filler in fillers:
        filler.close()
    silent.close()


def test_kill_nine_leaves_nothing_in_the_way(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    port = up(cli, sshd, gateway.port)
    first = cli("status", "--json").json()["daemon"]["pid"]
    os.kill(first, 9)
    wait_until(lambda: cli.processes() == [], 10, "the daemon's end")
    assert cli("status").exit_code == 3
    answer = cli("up", "-d", "gw", "-p", str(port), "-r", str(gateway.port))
    assert answer.exit_code == 0, answer.stderr
    assert healthz(port) == HEALTHY
    assert len(cli.processes()) == 1
    assert cli("status", "--json").json()["daemon"]["pid"] != first


def test_a_gateway_that_stops_is_degraded_and_comes_back(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    up(cli, sshd, gateway.port)
    link = sshd.connections()
    gateway.stop()
    wait_until(lambda: tunnel(cli)["state"] == "degraded", 30, "degraded")
    state = cli("status", "--json")
    assert state.exit_code == 1
    shown = state.json()["tunnels"][0]
    assert shown["gateway"]["verdict"] == "not_listening"
    assert shown["failure"]["code"] == "not_listening"
    gateway.start()
    wait_until(lambda: tunnel(cli)["state"] == "up", 30, "up again")
    assert sshd.connections() == link


def test_a_host_that_stands_still_is_noticed_before_the_keepalive(cli: Cli, sshd: Sshd) -> None:
    """TCP answers, SSH does not: the probe and a ping notice what the keepalive would after 45 s or more."""
    cli.tunnel_home.mkdir()
    (cli.tunnel_home / "tunnels.json5").write_text("{ policy: { probeInterval: 1, probeTimeout: 1 } }")
    with echo_server() as remote:
        up(cli, sshd, remote, "--probe", "tcp")
        wait_until(lambda: tunnel(cli)["ssh"]["rtt_ms"] is not None, 10, "an answered ping")
        sshd.freeze()
        wait_until(lambda: tunnel(cli)["state"] in ("backoff", "connecting"), 15, "the loss")
        failure = tunnel(cli)["failure"]
        assert failure["code"] == "keepalive_timeout"
        sshd.thaw()
        wait_until(lambda: tunnel(cli)["state"] == "up", 30, "up again")


def test_nobody_listens_on_the_gateway_port(cli: Cli, sshd: Sshd) -> None:
    cli.use_ssh_config(sshd.ssh_config("gw"))
    answer = cli("up", "-d", "gw", "-p", str(free_port()), "-r", str(free_port()))
    error, hint = refusal(answer, 30)
    assert "listen" in error
    assert "openclaw gateway" in hint


def test_something_else_on_the_gateway_port(cli: Cli, sshd: Sshd) -> None:
    cli.use_ssh_config(sshd.ssh_config("gw"))
    answer = cli("up", "-d", "gw", "-p", str(free_port()), "-r", str(sshd.port))
    error, _ = refusal(answer, 32)
    assert "does not speak HTTP" in error


def test_unknown_host_key(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    """Refused with the fingerprint; the hinted command, copied, repairs it, and the tunnel comes up by itself."""
    cli.use_ssh_config(sshd.ssh_config("gw", known=False))
    port = free_port()
    args = ("up", "-d", "gw", "-p", str(port), "-r", str(gateway.port))
    error, hint = refusal(cli(*args), 22)
    assert sshd.fingerprint() in error
    command = hint[hint.index("openclaw-tunnel trust") :].split()[1:]
    trusted = cli(*command, "--fingerprint", sshd.fingerprint())
    assert trusted.exit_code == 0, trusted.stderr
    assert cli("wait").exit_code == 0
    assert healthz(port) == HEALTHY


def test_changed_host_key(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    port = up(cli, sshd, gateway.port)
    old = sshd.fingerprint()
    sshd.kill()
    sshd.new_host_keys()
    sshd.start()
    wait_until(lambda: tunnel(cli)["state"] == "failed", 20, "failed")
    failure = tunnel(cli)["failure"]
    assert failure["code"] == "host_key_changed"
    assert old in failure["message"]
    assert sshd.fingerprint() in failure["message"]
    error, _ = refusal(cli("up", "-d", "gw", "-p", str(port), "-r", str(gateway.port)), 22)
    assert "changed" in error


def test_wrong_key(cli: Cli, sshd: Sshd) -> None:
    cli.use_ssh_config(sshd.ssh_config("gw", extra=["IdentitiesOnly yes"]))
    sshd.folder.joinpath("authorized_keys").write_text("")
    error, hint = refusal(cli("up", "-d", "gw", "-p", str(free_port())), 21)
    assert "SHA256:" in error
    assert "ssh-copy-id" in hint


def test_the_agent_of_the_session_that_asks(cli: Cli, sshd: Sshd, gateway: Gateway, ssh_agent: SshAgent) -> None:
    """A daemon outlives the login that started it, and that login's agent."""
    config = sshd.ssh_config("gw")
    config.write_text(config.read_text().replace(f"{sshd.client_key}\n", f"{sshd.client_key}.pub\n"))
    cli.use_ssh_config(config)
    arguments = ("up", "-d", "gw", "-p", str(free_port()), "-r", str(gateway.port))
    refusal(cli(*arguments, env={"SSH_AUTH_SOCK": str(cli.home / "gone")}), 21)
    ssh_agent.add(sshd.client_key)
    new_login = {"SSH_AUTH_SOCK": str(ssh_agent.socket)}
    assert cli("restart", env=new_login).exit_code == 0
    assert cli("restart").exit_code == 0  # a session without an agent takes none away
    assert cli("down").exit_code == 0
    refusal(cli(*arguments, env={"SSH_AUTH_SOCK": str(cli.home / "gone")}), 21)
    assert cli(*arguments, env=new_login).exit_code == 0


def test_dead_host(cli: Cli) -> None:
    """An address that answers nothing at all: a listener whose queue is full."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = [socket.socket() for _ in range(3)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(silent.getsockname())
    error, hint = refusal(cli("up", "-d", f"me@127.0.0.1:{silent.getsockname()[1]}", "-p", str(free_port())), 20)
    assert "did not answer within 10 s" in error
    assert "ssh -v" in hint
    for filler in fillers:
        filler.close()
    silent.close()


def test_refused_and_unknown_name(cli: Cli) -> None:
    error, _ = refusal(cli("up", "-d", f"me@127.0.0.1:{free_port()}", "-p", str(free_port())), 20)
    assert "refused" in error
    error, _ = refusal(cli("up", "-d", "me@no-such-host.invalid", "-n", "b", "-p", str(free_port())), 20)
    assert "no-such-host.invalid" in error
    states = [t["state"] for t in cli("status", "--json").json()["tunnels"]]
    assert len(states) == 2
    assert set(states) <= {"backoff", "connecting"}  # both are tried again and again


def test_bad_config(cli: Cli) -> None:
    cli.home.joinpath("ssh_config").write_text("Host gw\n  HostNam typo\n")
    error, _ = refusal(cli("up", "-d", "gw"), 10)
    assert "line 2" in error
    assert "hostnam" in error.lower()
    cli.home.joinpath("ssh_config").write_text("")
    folder = cli.home / ".openclaw"
    folder.mkdir()
    folder.joinpath("openclaw.json").write_text('{\n  gateway: {\n    port: "eighteen",\n  },\n}\n')
    error, _ = refusal(cli("up", "-d"), 10)
    assert f"{folder / 'openclaw.json'} line 3: gateway.port" in error


def test_port_in_use(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    cli.use_ssh_config(sshd.ssh_config("gw"))
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        error, _ = refusal(cli("up", "-d", "gw", "-p", str(port), "-r", str(gateway.port)), 23)
        assert str(port) in error
        assert f"pid {os.getpid()}" in error
    answer = cli("up", "-d", "gw", "-p", str(port), "-r", str(gateway.port))
    assert answer.exit_code == 0, answer.stderr


def test_forwarding_forbidden_by_sshd(cli: Cli, gateway: Gateway) -> None:
    with Sshd(extra=["AllowTcpForwarding no"]) as server:
        cli.use_ssh_config(server.ssh_config("gw"))
        error, hint = refusal(cli("up", "-d", "gw", "-p", str(free_port()), "-r", str(gateway.port)), 24)
        assert "forward" in error
        assert "AllowTcpForwarding" in hint


def test_forwarding_forbidden_by_tinysshd(cli: Cli, tinysshd: Tinysshd) -> None:
    cli.use_ssh_config(tinysshd.ssh_config("gw"))
    refusal(cli("up", "-d", "gw", "-p", str(free_port())), 24)


def test_through_dropbear(cli: Cli, dropbear: Dropbear, gateway: Gateway) -> None:
    port = up(cli, dropbear, gateway.port)
    assert healthz(port) == HEALTHY
    nobody = cli("up", "-d", "gw", "-n", "nobody", "-p", str(free_port()), "-r", str(free_port()))
    error, _ = refusal(nobody, 30)  # dropbear refuses a channel in words of its own
    assert "listen" in error


def test_the_alias_alone_is_enough(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    """A LocalForward of ssh_config that leads to the gateway says both ports."""
    port = free_port()
    cli.use_ssh_config(sshd.ssh_config("gw", extra=[f"LocalForward {port} 127.0.0.1:{gateway.port}"]))
    answer = cli("up", "-d", "gw")
    assert answer.exit_code == 0, answer.stderr
    assert healthz(port) == HEALTHY


def test_nothing_at_all_is_enough(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    """openclaw.json names the host."""
    port = free_port()
    cli.use_ssh_config(sshd.ssh_config("gw"))
    remote = {"url": f"ws://127.0.0.1:{port}", "sshTarget": "gw", "remotePort": gateway.port}
    folder = cli.home / ".openclaw"
    folder.mkdir()
    folder.joinpath("openclaw.json").write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote}}))
    answer = cli("up", "-d")
    assert answer.exit_code == 0, answer.stderr
    assert healthz(port) == HEALTHY


def test_restart_keeps_the_port_and_a_foreground_up_joins(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    port = up(cli, sshd, gateway.port)
    before = sshd.connections()
    assert cli("restart").exit_code == 0
    assert healthz(port) == HEALTHY
    assert sshd.connections() != before
    second = free_port()
    child = cli.start("up", "gw", "-n", "second", "-p", str(second), "-r", str(gateway.port))
    wait_until(lambda: healthz(second) == HEALTHY, 15, "the joined tunnel")
    names = [t["name"] for t in cli("status", "--json").json()["tunnels"]]
    assert names == ["default", "second"]
    assert child.end_with(signal.SIGINT) == 130
    wait_until(lambda: not accepts(second), 10, "the joined tunnel's end")
    assert healthz(port) == HEALTHY


def test_foreground_up_is_the_daemon(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    cli.use_ssh_config(sshd.ssh_config("gw"))
    port = free_port()
    child = cli.start("up", "gw", "-p", str(port), "-r", str(gateway.port))
    wait_until(lambda: healthz(port) == HEALTHY, 15, "up")
    assert cli("status", "--json").json()["daemon"]["pid"] == child.pid
    assert child.end_with(signal.SIGINT) == 130
    assert not accepts(port)
    assert "error" not in child.output()


@pytest.mark.parametrize("signal_number", [15, 1])
def test_signals(cli: Cli, sshd: Sshd, gateway: Gateway, signal_number: int) -> None:
    """SIGTERM closes in order; SIGHUP reads the settings again and the tunnel stays."""
    port = up(cli, sshd, gateway.port)
    pid = cli("status", "--json").json()["daemon"]["pid"]
    os.kill(pid, signal_number)
    if signal_number == 15:
        wait_until(lambda: cli.processes() == [], 10, "the daemon's end")
        assert not accepts(port)
        assert "up -> stopping" in cli("logs").stdout
    else:
        wait_until(lambda: "reading the settings again" in cli("logs").stdout, 10, "the reload")
        assert healthz(port) == HEALTHY
        assert tunnel(cli)["state"] == "up"
