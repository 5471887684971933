"""The user with an empty home, ``support.cli``: what other tests rely on."""

import json
import os
import subprocess

import pytest

from support.cli import Cli, environment
from support.process import Child, program


def test_a_command_runs_in_a_home_of_its_own(cli: Cli) -> None:
    answer = cli("status", "--json")
    assert (answer.exit_code, json.loads(answer.stdout)) == (3, {**answer.json(), "daemon": None, "tunnels": []})
    assert 0 < answer.seconds < 30


def test_the_account_stays_outside(cli: Cli) -> None:
    env = environment(cli.home, {"MORE": "1"})
    assert {env["HOME"], env["OPENCLAW_TUNNEL_HOME"]} == {str(cli.home), str(cli.home / "t")}
    assert "SSH_AUTH_SOCK" not in env
    assert env["MORE"] == "1"
    assert os.path.getsize(env["OPENCLAW_TUNNEL_SSH_CONFIG"]) == 0
    assert len(str(cli.tunnel_home / "control.sock")) < 60


def test_a_process_that_is_left_over_is_killed_and_fails_the_test() -> None:
    user = Cli()
    left = subprocess.Popen([program("sleep"), "60"], env=environment(user.home))
    try:
        with pytest.raises(AssertionError, match=r"sleep 60"), user:
            assert user.processes() == [left.pid]
        assert left.wait(5) < 0
        assert not user.home.exists()
    finally:
        left.kill()
        left.wait()


def test_a_command_that_goes_on_is_ended_with_its_user() -> None:
    with Cli() as user:
        child: Child = user.start("status", "--watch")
        assert child.running
    assert not child.running
