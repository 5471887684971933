"""``wait``, ``restart`` and ``down`` (cli/commands/wait.py, cli/commands/restart.py, cli/commands/down.py,
actions/close_tunnel.py, actions/restart_tunnel.py, actions/wait_for_tunnel.py, control/follow.py), against a daemon
that only talks."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from openclaw_tunnel.control.server import Emit
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, RetryStatus, Snapshot
from support.cli import Cli
from support.fakedaemon import FakeDaemon, serving

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
UP = Snapshot("default", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (FORWARD,))
CONNECTING = replace(UP, state=State.CONNECTING)
REFUSED = replace(
    UP,
    state=State.BACKOFF,
    failure=FailureStatus("refused", "gateway.example:22 refused the connection", "is it running?", False, 20),
)
LOCKED = replace(
    UP,
    state=State.FAILED,
    failure=FailureStatus("key_locked", "the key is locked", "ssh-add", True, 21),
    retry=RetryStatus(1, 59.0, on=("agent",)),
)
IS_UP = "default is up: http://127.0.0.1:18789 -> me@gateway.example:22\n"


def script(*states: Snapshot, then_closed: bool = False) -> Any:
    """A ``watch`` that shows these states one after the other."""

    async def watch(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        for state in states:
            emit({"snapshot": state.to_json()})
        if not then_closed:
            await asyncio.Event().wait()
        return {}

    return watch


@pytest.fixture(autouse=True)
def _home(cli: Cli) -> None:
    cli.tunnel_home.mkdir(mode=0o700)


def test_wait_returns_at_once_when_it_is_up(cli: Cli) -> None:
    with serving(cli.tunnel_home, FakeDaemon([UP])):
        answer = cli("wait")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, IS_UP, "")


def test_wait_sees_it_come_up(cli: Cli) -> None:
    daemon = FakeDaemon([CONNECTING], watch=script(CONNECTING, REFUSED, CONNECTING, UP))
    with serving(cli.tunnel_home, daemon):
        answer = cli("wait", "default")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, IS_UP, "")
    assert daemon.asked == [("status", {}), ("watch", {"name": "default", "waits": True, "asks": True})]


def test_wait_says_why_it_is_not_up_in_time(cli: Cli) -> None:
    with serving(cli.tunnel_home, FakeDaemon([CONNECTING], watch=script(CONNECTING, REFUSED))):
        answer = cli("wait", "--timeout", "3")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr == (
        "error: default is not up after 3 s (backoff): gateway.example:22 refused the connection\n"
        "\nhint: is it running?\n"
    )


def test_wait_does_not_wait_for_what_a_person_must_do(cli: Cli) -> None:
    with serving(cli.tunnel_home, FakeDaemon([CONNECTING], watch=script(CONNECTING, LOCKED))):
        answer = cli("wait", "--timeout", "600")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr == (
        "error: the key is locked\n\nhint: ssh-add\n"
        "note: default tries again in 59s, when the keys in the SSH agent change; try now: openclaw-tunnel restart "
        "default; close it: openclaw-tunnel down default\n"
    )


def test_wait_shows_what_a_person_is_asked(cli: Cli) -> None:
    asked = replace(CONNECTING, asks="open https://login.example/abc")
    with serving(cli.tunnel_home, FakeDaemon([CONNECTING], watch=script(CONNECTING, asked))):
        answer = cli("wait", "--timeout", "3")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr.startswith("error: default waits for you: open https://login.example/abc\n")


def test_wait_for_a_tunnel_that_is_closed_meanwhile(cli: Cli) -> None:
    with serving(cli.tunnel_home, FakeDaemon([CONNECTING], watch=script(CONNECTING, then_closed=True))):
        answer = cli("wait")
    assert (answer.exit_code, answer.stderr) == (3, "error: default was closed meanwhile\n")


@pytest.mark.parametrize("command", ["wait", "restart", "down"])
def test_no_daemon_and_no_such_tunnel(cli: Cli, command: str) -> None:
    answer = cli(command)
    assert answer.exit_code == 3
    assert answer.stderr == "error: no tunnel is running\n\nhint: start one: openclaw-tunnel up\n"
    with serving(cli.tunnel_home, FakeDaemon([UP])):
        answer = cli(command, "dev")
    assert answer.exit_code == 3
    assert answer.stderr == "error: no tunnel named dev is running\n\nhint: running: default\n"


@pytest.mark.parametrize("command", ["wait", "restart", "down"])
def test_without_a_name_it_must_be_clear_which_is_meant(cli: Cli, command: str) -> None:
    tunnels = [replace(UP, name="dev"), replace(UP, name="prod")]
    with serving(cli.tunnel_home, FakeDaemon(tunnels)):
        answer = cli(command)
    assert answer.exit_code == 2
    assert answer.stderr == "error: which tunnel is meant?\n\nhint: give one of these names: dev, prod\n"


def test_without_a_name_default_is_meant_or_the_only_one(cli: Cli) -> None:
    with serving(cli.tunnel_home, FakeDaemon([replace(UP, name="dev"), UP])):
        assert cli("wait").stdout == IS_UP
    with serving(cli.tunnel_home, FakeDaemon([replace(UP, name="dev")])):
        assert cli("wait").stdout.startswith("dev is up")


def test_restart_returns_when_it_is_up_again(cli: Cli) -> None:
    daemon = FakeDaemon([UP], watch=script(CONNECTING, UP), restart=lambda params, emit: {})
    with serving(cli.tunnel_home, daemon):
        answer = cli("restart")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, IS_UP, "")
    assert daemon.asked == [
        ("status", {}),
        ("restart", {"name": "default"}),
        ("watch", {"name": "default", "waits": True}),
    ]


def test_restart_ends_with_the_code_of_the_failure(cli: Cli) -> None:
    daemon = FakeDaemon([UP], watch=script(CONNECTING, REFUSED), restart=lambda params, emit: {})
    with serving(cli.tunnel_home, daemon):
        answer = cli("restart")
    assert (answer.exit_code, answer.stdout) == (20, "")
    assert answer.stderr == (
        "error: gateway.example:22 refused the connection\n\nhint: is it running?\n"
        "note: default keeps trying in the background; watch it: openclaw-tunnel status default, "
        "close it: openclaw-tunnel down default\n"
    )


def test_down_closes_one(cli: Cli) -> None:
    daemon = FakeDaemon([UP, replace(UP, name="dev")])

    def close(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        daemon.tunnels[:] = [t for t in daemon.tunnels if t.name != params["name"]]
        return {"closed": [params["name"]]}

    daemon.methods = {"down": close}
    with serving(cli.tunnel_home, daemon):
        answer = cli("down", "dev")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, "closed: dev\n", "")


def test_down_waits_until_the_daemon_is_gone(cli: Cli) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ended: list[int] = []

        def kill() -> None:
            ended.append(process.pid)
            process.kill()

        async def end(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
            assert params == {"all": True}
            daemon.tunnels.clear()
            asyncio.get_running_loop().call_later(0.3, kill)
            return {"closed": ["default"]}

        daemon = FakeDaemon([UP], down=end, ping=lambda params, emit: {"pid": process.pid})
        with serving(cli.tunnel_home, daemon):
            answer = cli("down", "--all")
        assert (answer.exit_code, answer.stdout) == (0, "closed: default\n")
        assert ended == [process.pid]


def test_down_all_with_nothing_to_close(cli: Cli) -> None:
    answer = cli("down", "--all")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, "no tunnel is running\n", "")
