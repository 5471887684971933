"""A forward that leads back to its own local port, over a real sshd of this very computer."""

import contextlib
import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from openclaw_tunnel.relay.loop import SUSPICIOUS
from support.cli import Cli
from support.servers import Sshd
from support.waiting import free_port, wait_until

MOST = 2 * SUSPICIOUS + 10
"""Clients of itself that it takes to find out, and some that a probe is."""


def start(cli: Cli, sshd: Sshd, *more: str | int) -> int:
    """``up -d``; its exit code."""
    cli.use_ssh_config(sshd.ssh_config("gw"))
    return cli("up", "-d", "gw", "--no-extra-ports", *map(str, more)).exit_code


def shown(cli: Cli, name: str = "default") -> dict[str, Any]:
    tunnels = cli("status", "--json").json()["tunnels"]
    found: dict[str, Any] = next(tunnel for tunnel in tunnels if tunnel["name"] == name)
    return found


def clients(cli: Cli, name: str = "default", forward: int = 0) -> dict[str, int]:
    found: dict[str, int] = shown(cli, name)["forwards"][forward]["clients"]
    return found


def nobody_left(cli: Cli, name: str = "default", forward: int = 0) -> int:
    """How many there were, once none is there any more."""
    wait_until(lambda: not sum(clients(cli, name, forward)[kind] for kind in ("open", "waiting")), 10, "no client")
    return clients(cli, name, forward)["total"]


def error(port: int) -> tuple[int, dict[str, Any]]:
    """What the port answers: a status and what is wrong."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20)
    return caught.value.code, json.loads(caught.value.read())["error"]


def test_the_own_port_is_recognised_and_refused(cli: Cli, sshd: Sshd) -> None:
    port = free_port()
    assert start(cli, sshd, "-p", port, "-r", port) == 32
    tunnel = shown(cli)
    assert (tunnel["state"], tunnel["failure"]["code"]) == ("degraded", "loop")
    assert tunnel["gateway"]["verdict"] == "not_a_gateway"
    assert tunnel["failure"]["message"] == f"127.0.0.1:{port} is the local port of a tunnel that leads back to itself"
    assert "-r PORT" in tunnel["failure"]["hint"]
    before = nobody_left(cli)
    assert before <= MOST
    for _ in range(20):
        status, what = error(port)
        assert (status, what["code"]) == (503, "loop")
        assert "-r PORT" in what["hint"]
    assert nobody_left(cli) <= before + 20 + MOST
    fault = cli("doctor", "--json").json()["first_fault"]
    assert (fault["name"], fault["code"]) == ("gateway", "loop")
    for command in (["health"], ["probe"], ["call", "status"]):
        assert cli(*command).exit_code == 32


@pytest.mark.parametrize(
    ("listen", "to"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("localhost", "127.0.0.1"), ("::1", "::1")],
)
def test_a_further_forward(cli: Cli, sshd: Sshd, listen: str, to: str) -> None:
    """Whose clients say nothing, and to whom nothing can be said."""
    other = free_port()
    forward = f"[{listen}]:{other}:[{to}]:{other}" if ":" in listen else f"{listen}:{other}:{to}:{other}"
    assert start(cli, sshd, "--probe", "none", "-p", free_port(), "-L", forward) == 0
    with socket.create_connection((listen, other), timeout=20) as conn, contextlib.suppress(ConnectionError):
        assert conn.recv(1) == b""
    assert nobody_left(cli, forward=1) <= MOST
    assert "leads back to this tunnel's own local port" in shown(cli)["forwards"][1]["note"]


def test_a_ring_of_two_tunnels(cli: Cli, sshd: Sshd) -> None:
    one, two = free_port(), free_port()
    codes = [start(cli, sshd, "-n", "a", "-p", one, "-r", two), start(cli, sshd, "-n", "b", "-p", two, "-r", one)]
    assert codes == [30, 32]  # when the first one came up, nothing listened there yet
    wait_until(lambda: shown(cli, "a")["failure"]["code"] == "loop", 20, "the first one to see it")
    assert nobody_left(cli, "a") + nobody_left(cli, "b") <= 4 * MOST
    assert error(one)[1]["code"] == "loop"
