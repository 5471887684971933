"""The background process is started before the command is read, and is nothing until it is told to begin."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.orders import Ping
from openclaw_tunnel.daemon.standby import (
    Standby,
    dismiss_early,
    is_standing_by,
    start,
    start_early,
    take_early,
    wants_background,
)
from openclaw_tunnel.host.paths import Paths
from support.cli import Cli, environment
from support.waiting import wait_until

PATIENCE = 30.0


@contextmanager
def standing_by(cli: Cli) -> Iterator[Standby]:
    """A process of the user of ``cli`` that stands by."""
    standby = start(environment(cli.home))
    try:
        yield standby
    finally:
        standby.release()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("up -d gw", True),
        ("up gw --detach", True),
        ("up -dn lab gw", True),
        ("up gw", False),
        ("up -d --help", False),
        ("up -h -d", False),
        ("status -d", False),
        ("", False),
    ],
)
def test_it_is_wanted_where_a_tunnel_is_opened_in_the_background(line: str, wanted: bool) -> None:
    assert wants_background(line.split()) is wanted


def test_it_makes_nothing_before_it_is_told_to_begin_and_answers_when_it_has(cli: Cli) -> None:
    paths = Paths.from_env(environment(cli.home))
    with standing_by(cli) as standby:
        assert not cli.tunnel_home.exists()
        assert standby.begin(PATIENCE)
        assert ControlClient(paths.socket_path).call(Ping()).pid
    assert standby.said == b"\0"
    assert (paths.log_dir / "daemon.err").read_bytes() == b""


def test_it_ends_with_the_command_that_started_it(cli: Cli) -> None:
    with standing_by(cli):
        assert cli.processes() != []
    wait_until(lambda: cli.processes() == [], PATIENCE, "the end of the process")
    assert not cli.tunnel_home.exists()


def test_of_two_that_begin_one_is_the_daemon_and_the_other_ends_in_order(cli: Cli) -> None:
    with standing_by(cli) as first, standing_by(cli) as second:
        assert first.begin(PATIENCE)
        assert not second.begin(PATIENCE)
        assert second.ended(PATIENCE) == 0
        assert first.ended(0) is None


@pytest.mark.parametrize("has_ended", [False, True])
def test_what_it_says_before_it_begins_is_heard(cli: Cli, has_ended: bool) -> None:
    standby = start(
        {**environment(cli.home), "PYTHONPATH": os.devnull, "PYTHONSAFEPATH": "1", "PYTHONHOME": "/nowhere"}
    )
    if has_ended:
        assert standby.ended(PATIENCE) == 1
    assert not standby.begin(PATIENCE)
    assert standby.ended(PATIENCE) == 1
    assert standby.said != b""
    standby.release()


def test_one_that_nobody_takes_is_gone_when_the_command_is(cli: Cli) -> None:
    start_early(["up", "-d", "gw"], environment(cli.home))
    assert is_standing_by()
    dismiss_early()
    assert not is_standing_by()
    assert cli.processes() == []


def test_none_is_started_beside_a_daemon(cli: Cli) -> None:
    with standing_by(cli) as standby:
        assert standby.begin(PATIENCE)
        start_early(["up", "-d", "gw"], environment(cli.home))
        assert take_early() is None
