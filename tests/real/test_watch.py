"""``status`` follows a real gateway: its restart, a wrong token, a stop. The SSH link is untouched."""

import json
import re
from pathlib import Path

from support.cli import Cli
from support.gateway import Gateway
from support.servers import Sshd
from support.waiting import free_port, wait_until


def configure(cli: Cli, gateway: Gateway, token: str, port: int) -> None:
    remote = {"url": f"ws://127.0.0.1:{port}", "sshTarget": "gw", "remotePort": gateway.port, "token": token}
    folder = cli.home / ".openclaw"
    folder.mkdir(exist_ok=True)
    folder.joinpath("openclaw.json").write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote}}))


def verdict(cli: Cli) -> str:
    return str(cli("status", "--json").json()["tunnels"][0]["gateway"]["verdict"])


def test_a_restart_is_followed_and_a_stop_is_none(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    gateway.wait_ready()
    cli.use_ssh_config(sshd.ssh_config("gw"))
    configure(cli, gateway, gateway.token, free_port())
    assert cli("up", "-d").exit_code == 0
    link = sshd.connections()
    wait_until(lambda: sessions(gateway) == 1, 20, "the daemon's own session, and nothing else")
    assert verdict(cli) == "healthy"
    before = len(changes(cli))
    gateway.restart_itself()

    def back() -> bool:
        return len(changes(cli)) > before and verdict(cli) == "healthy"

    wait_until(back, 60, "the gateway to be back")
    assert changes(cli)[before:] == [("healthy", "starting"), ("starting", "healthy")]
    wait_until(lambda: sessions(gateway) == 1, 30, "the session over which a stop is announced")
    gateway.stop()
    wait_until(lambda: verdict(cli) == "not_listening", 30, "the stop to be seen as one")
    assert sshd.connections() == link
    history = cli("logs").stdout
    assert "gateway: healthy -> starting" in history
    assert gateway.token not in history


def changes(cli: Cli) -> list[tuple[str, str]]:
    """What the gateway was, and what it is from then on, as the log has it: a poll may miss what is short."""
    return re.findall(r"gateway: (\w+) -> (\w+)", cli("logs").stdout)


def sessions(gateway: Gateway) -> int:
    """How many connections the gateway has at this moment."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(1 for row in rows if row[1].endswith(f":{gateway.port:04X}") and row[3] == "01")


def test_a_wrong_token_is_shown_and_not_hammered(cli: Cli, sshd: Sshd, gateway: Gateway) -> None:
    gateway.wait_ready()
    cli.use_ssh_config(sshd.ssh_config("gw"))
    configure(cli, gateway, "not-the-token-at-all", free_port())
    assert cli("up", "-d").exit_code == 0
    wait_until(lambda: verdict(cli) == "auth_failed", 15, "the refusal")
    shown = cli("status")
    assert "gateway token mismatch" in shown.stdout
    assert "openclaw config set gateway.remote.token" in shown.stdout
    assert "not-the-token-at-all" not in shown.stdout + cli("logs").stdout + cli("status", "--json").stdout
