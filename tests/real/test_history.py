"""The history of a real tunnel: a cut connection, a killed daemon, and what ``status --history`` tells of them."""

import os
import re
import signal

from support.cli import Cli
from support.servers import Sshd
from support.waiting import free_port, wait_until


def test_a_loss_and_a_killed_daemon_are_told(cli: Cli) -> None:
    with Sshd() as sshd:
        cli.use_ssh_config(sshd.ssh_config("gw"))
        answer = cli("up", "-d", "gw", "-p", str(free_port()), "--probe", "none")
        assert answer.exit_code == 0, answer.stderr
        assert sshd.cut() > 0
        wait_until(lambda: cli("status", "--json").json()["tunnels"][0]["counters"]["connects"] == 2)
        running = cli("status", "--history")
        assert running.exit_code == 0, running.stdout
        assert re.search(r"  lost after .*127\.0\.0\.1:\d+.*; back after \d", running.stdout)
        (daemon,) = cli.processes()
        os.kill(daemon, signal.SIGKILL)
        wait_until(lambda: not cli.processes())
    ended = cli("status", "--history")
    assert (ended.exit_code, ended.stderr) == (3, "")
    assert ended.stdout.startswith("default  not running; seen last ")
    assert ended.stdout.endswith("ended without closing: killed, or the computer went down\n")
    assert "lost once" in ended.stdout
