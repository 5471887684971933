"""``logs``: the end of the log, of one tunnel or of all, through rotations."""

import signal
from pathlib import Path

import pytest

from openclaw_tunnel.ui.loglines import of_tunnel
from support.cli import Cli
from support.waiting import wait_until

LINES = """\
2026-11-22T06:00:00Z INFO daemon 1 started, version 0.1.0
2026-11-22T06:00:01Z INFO dev: connecting -> up
2026-11-22T06:00:01Z INFO prod: connecting -> up
2026-11-22T06:00:02Z ERROR dev: dial 1 broke
  Traceback (most recent call last):
  ValueError: prod: no
2026-11-22T06:00:03Z INFO prod: up -> stopping
""".splitlines()
DEV = [LINES[1], *LINES[3:6]]


def test_a_tunnels_lines_are_its_own_with_what_is_indented_below() -> None:
    assert list(of_tunnel(LINES, "dev")) == DEV
    assert list(of_tunnel(LINES, "nobody")) == []
    assert list(of_tunnel(LINES, None)) == LINES


@pytest.fixture
def log(cli: Cli) -> Path:
    cli.tunnel_home.mkdir()
    path = cli.tunnel_home / "openclaw-tunnel.log"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_logs_need_no_daemon(cli: Cli, log: Path) -> None:
    assert cli("logs").stdout.splitlines() == LINES
    assert cli("logs", "dev").stdout.splitlines() == DEV
    assert cli("logs", "dev", "-n", "1").stdout.splitlines() == DEV[-1:]


def test_nothing_to_show(cli: Cli) -> None:
    answer = cli("logs", "dev")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert answer.stderr == f"note: nothing was logged of dev in {cli.tunnel_home}/openclaw-tunnel.log\n"
    assert cli("logs", "../x").exit_code == 2


def test_following_goes_through_a_rotation(cli: Cli, log: Path) -> None:
    child = cli.start("logs", "prod", "-f", "-n", "1")
    wait_until(lambda: child.output().splitlines() == [LINES[6]])
    with log.open("a") as file:
        file.write("2026-11-22T06:00:04Z INFO prod: a\n2026-11-22T06:00:04Z INFO dev: b\n2026-")
        file.flush()
        wait_until(lambda: "prod: a\n" in child.output())
        log.rename(log.with_name(log.name + ".1"))
        file.write("11-22T06:00:05Z INFO prod: c\n")
    log.write_text("2026-11-22T06:00:06Z INFO prod: d\n")
    wait_until(lambda: "prod: d\n" in child.output())
    assert child.end_with(signal.SIGINT) == 130
    assert [line.rpartition(" ")[2] for line in child.output().splitlines()[1:]] == ["a", "c", "d"]


def test_following_waits_for_a_log_that_does_not_exist_yet(cli: Cli) -> None:
    child = cli.start("logs", "-f")
    cli.tunnel_home.mkdir()
    (cli.tunnel_home / "openclaw-tunnel.log").write_text(LINES[0] + "\n")
    wait_until(lambda: child.output().splitlines() == [LINES[0]])
    child.stop()
