"""``up`` (actions/open_tunnel.py, actions/hold_tunnel.py) as a user runs it: the real program, an SSH server and a
stand-in gateway in this process."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_tunnel.host.process import is_running
from support.cli import Cli, command, environment
from support.process import send
from support.remote import Remote
from support.waiting import accepts, free_port, wait_until


@pytest.fixture
def remote(tmp_path: Path, cli: Cli) -> Iterator[Remote]:
    with Remote(tmp_path) as running:
        cli.use_ssh_config(running.config)
        yield running


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def arguments(remote: Remote, port: int) -> list[str]:
    """What leads from ``port`` to the gateway."""
    return ["gw", "-p", str(port), "-r", str(remote.gateway)]


def test_detached_it_returns_when_it_is_up(cli: Cli, remote: Remote, port: int, arguments: list[str]) -> None:
    answer = cli("up", "-d", *arguments)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == f"default is up: http://127.0.0.1:{port} -> {remote.address}\n"
    again = cli("up", "-d", *arguments)
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout.startswith("default  up for ")
    here = cli("up", *arguments)
    assert (here.exit_code, here.stdout.splitlines()[1:]) == (0, again.stdout.splitlines()[1:])
    assert cli("down").stdout == "closed: default\n"
    assert not cli.processes()
    assert not accepts(port)


def test_two_at_the_same_moment_share_one_daemon(cli: Cli, arguments: list[str]) -> None:
    env = environment(cli.home, cli.env)
    racers = [
        subprocess.Popen(
            list(map(str, command("up", "-d", *arguments, "-n", name, "-p", str(free_port())))),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two", "three")
    ]
    said = [racer.communicate(timeout=60) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0], said
    assert [t["name"] for t in cli("status", "--json").json()["tunnels"]] == ["one", "three", "two"]
    wait_until(lambda: len(cli.processes()) == 1, 10, "the daemons that lost the race to end")


def test_a_gateway_that_is_not_there(cli: Cli, port: int) -> None:
    with Remote(cli.home) as remote:
        cli.use_ssh_config(remote.config)
        closed_port = free_port()
        answer = cli("up", "-d", "gw", "-p", str(port), "-r", str(closed_port))
        assert (answer.exit_code, answer.stdout) == (30, "")
        error, _, hint = answer.stderr.partition("\n\n")
        assert error.startswith(f"error: nothing listens on 127.0.0.1:{closed_port}")
        assert hint.startswith("hint: start the gateway on gw")
        assert hint.endswith(
            "note: default keeps trying in the background; watch it: openclaw-tunnel status default, "
            "close it: openclaw-tunnel down default\n"
        )
        assert cli("status").exit_code == 1


def test_what_a_person_must_do_is_said_and_waited_for(cli: Cli, remote: Remote, port: int) -> None:
    answer = cli("up", "-d", "stranger", "-p", str(port))
    assert answer.exit_code == 22
    assert answer.stderr.startswith("error: ")
    assert "\n\nhint: " in answer.stderr
    assert answer.stderr.endswith(
        "s, when a key, known_hosts, ssh_config or a settings file changes, when the computer wakes up, when the "
        "network changes; try now: openclaw-tunnel restart default; close it: openclaw-tunnel down default\n"
    )
    assert "note: default tries again in 1" in answer.stderr
    assert cli("status", "--json").json()["tunnels"][0]["state"] == "failed"
    assert cli("wait", "--timeout", "0").exit_code == 1


def test_in_the_foreground_each_change_is_a_line(cli: Cli, remote: Remote, port: int, arguments: list[str]) -> None:
    child = cli.start("up", *arguments)
    wait_until(lambda: "default is up" in child.output())
    assert cli("status").exit_code == 0
    assert child.end_with(signal.SIGINT) == 130
    assert child.output().splitlines() == [
        f"default is connecting to {remote.address}",
        "default is verifying: SSH is connected, the gateway is asked",
        f"default is up: http://127.0.0.1:{port} -> {remote.address}",
        "default is stopping",
        "default is stopped",
    ]
    assert cli("status").exit_code == 3


def test_in_the_foreground_a_permanent_failure_is_the_end(cli: Cli, remote: Remote, port: int) -> None:
    answer = cli("up", "stranger", "-p", str(port))
    assert answer.exit_code == 22
    assert answer.stderr.startswith("error: ")
    assert "\n\nhint: " in answer.stderr
    assert cli("status").exit_code == 3


def test_in_the_foreground_nothing_is_promised_of_a_tunnel_that_is_gone(cli: Cli, remote: Remote, port: int) -> None:
    """It ends with the command: nothing tries again once the key is repaired. The same where a daemon holds it."""
    key = remote.config.parent / "id"
    want = f"hint: let nobody else read the key: chmod 600 {key}\n"
    key.chmod(0o644)
    assert cli("up", "gw", "-p", str(port)).stderr.endswith(want)
    key.chmod(0o600)
    assert cli("up", "-d", "gw", "-p", str(free_port()), "-r", str(remote.gateway)).exit_code == 0
    key.chmod(0o644)
    assert cli("up", "gw", "-n", "two", "-p", str(port)).stderr.endswith(want)


def test_the_second_ctrl_c_ends_a_hook_that_takes_its_time(cli: Cli, arguments: list[str]) -> None:
    cli.tunnel_home.mkdir(mode=0o700)
    script = f"echo $$ > {cli.home}/made; mv {cli.home}/made {cli.home}/pid; trap '' TERM; sleep 67"
    (cli.tunnel_home / "tunnels.json5").write_text(json.dumps({"hooks": {"up": ["sh", "-c", script]}}))
    (cli.tunnel_home / "tunnels.json5").chmod(0o600)
    child = cli.start("up", *arguments)
    wait_until((cli.home / "pid").exists, what="the hook")
    hook = int((cli.home / "pid").read_text())
    send(child.pid, signal.SIGINT)
    wait_until(lambda: "default is stopped" in child.output())
    assert is_running(hook)
    assert child.end_with(signal.SIGINT) == 130
    wait_until(lambda: not is_running(hook))


def test_in_the_foreground_it_joins_a_daemon_that_runs(cli: Cli, arguments: list[str], remote: Remote) -> None:
    assert cli("up", "-d", *arguments).exit_code == 0
    other = str(free_port())
    child = cli.start("up", *arguments, "-n", "two", "-p", other)
    wait_until(lambda: "two is up" in child.output())
    assert len(cli("status", "--json").json()["tunnels"]) == 2
    assert child.end_with(signal.SIGINT) == 130
    assert [t["name"] for t in cli("status", "--json").json()["tunnels"]] == ["default"]
    for number in (signal.SIGTERM, signal.SIGHUP):  # the latter when its terminal is closed
        child = cli.start("up", *arguments, "-n", "two", "-p", other)
        wait_until(lambda child=child: "two is up" in child.output())  # type: ignore[misc]
        assert child.end_with(number) == 0
        assert [t["name"] for t in cli("status", "--json").json()["tunnels"]] == ["default"]
    failed = cli("up", "stranger", "-n", "three", "-p", other)
    assert failed.exit_code == 22
    assert [t["name"] for t in cli("status", "--json").json()["tunnels"]] == ["default"]


def test_in_the_foreground_it_shows_the_tunnels_that_join_it(cli: Cli, arguments: list[str]) -> None:
    """They are closed with it, and keep it alive when its own is closed."""
    child = cli.start("up", *arguments)
    wait_until(lambda: "default is up" in child.output())
    two = cli("up", "-d", *arguments, "-n", "two", "-p", str(free_port()))
    assert (two.exit_code, two.stderr) == (
        0,
        f"note: two closes with the openclaw-tunnel up that runs in the foreground and holds it (pid {child.pid})\n",
    )
    wait_until(lambda: "two is up" in child.output())
    assert cli("down", "default").exit_code == 0
    assert child.running
    assert child.output().count("default is up") == 1
    assert child.end_with(signal.SIGINT) == 130
    assert child.output().endswith("two is stopped\n")


def test_a_joined_tunnel_that_is_closed_elsewhere_ends_the_command(cli: Cli, arguments: list[str]) -> None:
    assert cli("up", "-d", *arguments).exit_code == 0
    child = cli.start("up", *arguments, "-n", "two", "-p", str(free_port()))
    wait_until(lambda: "two is up" in child.output())
    assert cli("down", "two").exit_code == 0
    wait_until(lambda: not child.running)
    child = cli.start("up", *arguments, "-n", "two", "-p", str(free_port()))
    wait_until(lambda: "two is up" in child.output())
    send(cli("status", "--json").json()["daemon"]["pid"], signal.SIGKILL)
    assert child.wait() == 3
    assert "error: two is closed: the daemon that held it has ended\n\nhint: " in child.output()


def test_what_others_can_reach_is_said_loudly(cli: Cli, port: int, arguments: list[str]) -> None:
    refused = cli("up", "-d", *arguments, "--bind", "0.0.0.0")
    assert refused.exit_code == 2
    assert "--allow-remote-clients" in refused.stderr
    answer = cli("up", "-d", *arguments, "--bind", "0.0.0.0", "--allow-remote-clients")
    assert answer.exit_code == 0
    assert answer.stderr == (f"warning: other computers can reach 0.0.0.0:{port}: whoever does talks to the gateway\n")
    assert f"  warning   other computers can reach 0.0.0.0:{port}\n" in cli("status").stdout


def test_without_a_target_both_ways_to_name_one_are_shown(cli: Cli) -> None:
    answer = cli("up", "-d")
    assert answer.exit_code == 2
    assert "openclaw-tunnel up " in answer.stderr
    assert "gateway.remote.sshTarget" in answer.stderr
    assert not cli.processes()
