"""``status`` (cli/commands/status.py, cli/statusview.py, control/watched.py), against a daemon that only talks."""

import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.control.watched import Watched
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, Snapshot
from openclaw_tunnel.errors import DaemonUnreachable, TunnelError
from support.cli import Cli
from support.fakedaemon import FakeDaemon, serving
from support.waiting import wait_until

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
UP = Snapshot("default", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (FORWARD,))
DOWN = replace(
    UP,
    name="dev",
    state=State.FAILED,
    failure=FailureStatus("key_locked", "the key is locked", "ssh-add", True, 21, "2026-11-22T06:00:01Z"),
)


Serve = Callable[..., AbstractContextManager[Path]]

CONTRACT: dict[str, Any] = {
    "version": 1,
    "daemon": {
        "pid": os.getpid(),
        "started_at": "2026-11-22T06:00:00Z",
        "version": "0.1.0",
        "installed": "",
        "services": {},
    },
    "tunnels": [
        {
            "name": "dev",
            "state": "failed",
            "since": "2026-11-22T06:00:01Z",
            "target": "me@gateway.example:22",
            "alias": "gw",
            "forwards": [
                {
                    "listen": "127.0.0.1:18789",
                    "to": "127.0.0.1:18789",
                    "listening": True,
                    "clients": {"open": 0, "waiting": 0, "total": 0},
                    "bytes": {"sent": 0, "received": 0},
                    "role": "forward",
                    "also": [],
                    "note": None,
                }
            ],
            "ssh": {"connected": False, "server": None, "cipher": None, "rtt_ms": None, "rtt_recent_ms": []},
            "gateway": {
                "verdict": "unknown",
                "version": None,
                "latency_ms": None,
                "detail": None,
                "expected_in_s": None,
            },
            "retry": {
                "attempt": 0,
                "next_in_s": None,
                "flapping": False,
                "on": [],
                "files": [],
                "agent": None,
            },
            "counters": {"connects": 0, "losses": 0, "held_clients": 0},
            "failure": {
                "code": "key_locked",
                "message": "the key is locked",
                "hint": "ssh-add",
                "permanent": True,
                "exit_code": 21,
                "at": "2026-11-22T06:00:01Z",
                "said": None,
            },
            "down_since": None,
            "last_failure": None,
            "asks": None,
        }
    ],
}


@pytest.fixture
def serve(cli: Cli) -> Serve:
    """Let a fake daemon answer the commands of ``cli``."""
    cli.tunnel_home.mkdir(mode=0o700)
    return lambda *tunnels, **methods: serving(cli.tunnel_home, FakeDaemon(tunnels, **methods))


@pytest.mark.parametrize(
    ("tunnels", "arguments", "exit_code"),
    [
        ([UP], [], 0),
        ([UP], ["default"], 0),
        ([UP, DOWN], [], 1),
        ([UP, DOWN], ["default"], 0),
        ([UP, DOWN], ["dev"], 1),
        ([UP, DOWN], ["nobody"], 3),
        ([], [], 3),
    ],
)
def test_exit_codes(cli: Cli, serve: Serve, tunnels: list[Snapshot], arguments: list[str], exit_code: int) -> None:
    with serve(*tunnels):
        assert cli("status", *arguments).exit_code == exit_code
        assert cli("status", *arguments, "--json").exit_code == exit_code


def test_in_a_pipe_it_is_plain_text(cli: Cli, serve: Serve) -> None:
    with serve(UP, DOWN):
        answer = cli("status")
    first, second = answer.stdout.split("\n\n")
    assert first.splitlines()[0].startswith("default  up for ")
    assert second.splitlines() == [
        second.splitlines()[0],
        "  target    me@gateway.example:22 (gw)",
        "  local     http://127.0.0.1:18789 -> 127.0.0.1:18789",
        "  error     the key is locked",
        "  hint      ssh-add",
        "  then      it tries again only on request, because each try asks a person",
        "  now       openclaw-tunnel restart dev",
    ]
    assert second.startswith("dev  failed for ")
    assert "\x1b" not in answer.stdout
    assert answer.stderr == ""


def test_json_has_the_fields_of_the_contract(cli: Cli, serve: Serve) -> None:
    with serve(UP, DOWN):
        answer = cli("status", "dev", "--json")
    assert answer.json() == CONTRACT
    assert list(answer.json()["tunnels"][0]) == list(CONTRACT["tunnels"][0])
    assert answer.stderr == ""


def test_json_of_an_unknown_name_names_the_daemon_and_no_tunnel(cli: Cli, serve: Serve) -> None:
    with serve(UP):
        answer = cli("status", "nobody", "--json")
    assert (answer.exit_code, answer.json()) == (3, {**CONTRACT, "tunnels": []})


def test_without_a_daemon(cli: Cli) -> None:
    words = cli("status")
    assert (words.exit_code, words.stdout) == (3, "")
    assert words.stderr == "error: no tunnel is running\n\nhint: start one: openclaw-tunnel up\n"
    objects = cli("status", "--json")
    assert (objects.exit_code, objects.stderr) == (3, "")
    assert objects.json() == {"version": 1, "daemon": None, "tunnels": []}


def test_an_unknown_name_is_told_which_there_are(cli: Cli, serve: Serve) -> None:
    with serve(UP, DOWN):
        answer = cli("status", "nobody")
    assert answer.stderr == "error: no tunnel named nobody is running\n\nhint: running: default, dev\n"


def test_watch_prints_each_change_in_a_pipe(cli: Cli) -> None:
    cli.tunnel_home.mkdir(mode=0o700)
    daemon = FakeDaemon([UP])
    with serving(cli.tunnel_home, daemon):
        child = cli.start("status", "--watch")
        wait_until(lambda: "default is up" in child.output())
        daemon.tunnels[:] = [replace(UP, state=State.CONNECTING)]
        wait_until(lambda: "default is connecting" in child.output())
        assert child.end_with(signal.SIGINT) == 130
    assert child.output().splitlines() == [
        "default is up: http://127.0.0.1:18789 -> me@gateway.example:22",
        "default is connecting to me@gateway.example:22",
    ]


def test_watch_says_which_tunnels_are_closed_and_that_the_daemon_ended(cli: Cli) -> None:
    cli.tunnel_home.mkdir(mode=0o700)
    daemon = FakeDaemon([UP, DOWN])
    with serving(cli.tunnel_home, daemon):
        child = cli.start("status", "--watch")
        wait_until(lambda: "dev has failed" in child.output())
        daemon.tunnels[:] = [UP]
        wait_until(lambda: "dev is closed" in child.output())
        daemon.tunnels[:] = []
        wait_until(lambda: child.output().endswith("no tunnel is running\n"))
        daemon.tunnels[:] = [UP]
        wait_until(lambda: child.output().count("default is up") == 2)
    wait_until(lambda: "no tunnel is running any more: the daemon ended " in child.output())
    child.stop()
    assert len(child.output().splitlines()) == 6


GONE = DaemonUnreachable("no tunnel is running", hint="start one: openclaw-tunnel up")


def test_what_watch_says_where_there_is_no_tunnel() -> None:
    watched = Watched(None)
    watched.take([], GONE, 100.0)
    assert watched.nothing(101.0) == "is running; start one: openclaw-tunnel up"
    watched.take([], None, 102.0)
    assert watched.nothing(103.0) == "is running"
    for now in (104.0, 105.0):
        watched.take([], GONE, now)
    assert watched.nothing(110.0).startswith(
        "is running any more: the daemon ended 6s ago. This goes on when it is back"
    )
    watched.take([], TunnelError("the daemon (pid 5) does not answer", hint="kill -9 5"), 111.0)
    assert watched.nothing(112.0) == "can be shown: the daemon (pid 5) does not answer; to mend it: kill -9 5"
    named = Watched("dev")
    named.take([], None, 100.0)
    assert [[row.text for row in table] for table in named.tables(101.0)] == [["named dev is running"]]
    named.take([UP], None, 102.0)
    assert named.tables(103.0)[0][0].label == "default"


def test_watch_with_json_prints_objects(cli: Cli, serve: Serve) -> None:
    with serve(DOWN):
        child = cli.start("status", "--watch", "--json")
        wait_until(lambda: child.output().endswith("\n"))
        child.stop()
    assert json.loads(child.output()) == CONTRACT
