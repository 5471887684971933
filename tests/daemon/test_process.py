"""The daemon as a process: what a hangup means to it."""

import os
import pty
import signal
from pathlib import Path

from support.cli import Cli, command, environment
from support.process import Child, program
from support.waiting import free_port, wait_until


def up(cli: Cli) -> list[str | Path]:
    """``up`` to a host that refuses: it goes on trying."""
    return command("up", f"me@127.0.0.1:{free_port()}", "-p", str(free_port()))


def is_there(cli: Cli) -> bool:
    return cli("status").exit_code == 1


def test_a_terminal_that_is_gone_ends_what_runs_on_it(cli: Cli) -> None:
    ours, theirs = pty.openpty()
    # setsid gives it a terminal of its own, as a login does
    child = Child(
        [program("setsid"), "--ctty", "--wait", *up(cli)], cli.home / "log", environment(cli.home), terminal=theirs
    )
    os.close(theirs)
    try:
        wait_until(lambda: is_there(cli), 15, "the tunnel")
        os.close(ours)
        wait_until(lambda: cli.processes() == [], 10, "its end")
        assert "SIGTERM: closing" in cli("logs").stdout
    finally:
        child.kill()


def test_a_hangup_without_one_is_a_reload_and_nohup_means_what_it_says(cli: Cli) -> None:
    for prefix, reloads in (([], True), ([program("nohup")], False)):
        child = Child([*prefix, *up(cli)], cli.home / "log", environment(cli.home))
        try:
            wait_until(lambda: is_there(cli), 15, "the tunnel")
            before = cli("logs", "-n", "1000").stdout.count("reading the settings again")
            os.kill(cli("status", "--json").json()["daemon"]["pid"], signal.SIGHUP)
            assert is_there(cli)
            if reloads:
                wait_until(lambda: "reading the settings again" in cli("logs").stdout, 10, "the reload")
            assert cli("down", "--all").exit_code == 0
            after = cli("logs", "-n", "1000").stdout.count("reading the settings again")
            assert after - before == reloads
        finally:
            child.kill()
