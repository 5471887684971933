"""``status --history`` (cli/historyview.py), with and without a daemon, from files as a daemon leaves them."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.history.entries import Entry, stamp
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from openclaw_tunnel.host.historyfile import Recorder, history_file
from support.cli import Cli
from support.fakedaemon import FakeDaemon, serving

S = State
FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
NOTHING = "error: no tunnel is running\n\nhint: start one: openclaw-tunnel up\n"
LOST = Failure(Code.LOST, "the connection to gateway.example:22 was lost")


@pytest.fixture(autouse=True)
def _home(cli: Cli) -> None:
    cli.tunnel_home.mkdir(mode=0o700)


def snapshot(name: str = "default", state: State = S.UP) -> Snapshot:
    return Snapshot(name, state, stamp(time.time() - 90), "me@gateway.example:22", "gw", (FORWARD,))


@contextmanager
def a_past(cli: Cli, name: str = "default", *, ago: float = 3 * 3600.0) -> Iterator[Recorder]:
    """Up ``ago`` seconds ago, lost for half a second an hour later, up since then; ends a second ago."""
    begun = time.time() - ago
    passed = 0.0
    recorder = Recorder(
        history_file(cli.tunnel_home, name),
        logging.getLogger("test.history"),
        wall=lambda: begun + passed,
        awake=lambda: passed,
    )
    recorder.note(S.STOPPED, S.CONNECTING)
    recorder.note(S.CONNECTING, S.UP)
    passed = 3600.0
    recorder.note(S.UP, S.BACKOFF, LOST)
    passed += 0.5
    recorder.note(S.BACKOFF, S.CONNECTING, LOST)
    recorder.note(S.CONNECTING, S.UP)
    passed = ago - 1
    recorder.beat()
    yield recorder


def test_a_tunnel_that_runs(cli: Cli) -> None:
    with a_past(cli), serving(cli.tunnel_home, FakeDaemon([snapshot()])):
        answer = cli("status", "--history", env={"TERM": "xterm"})
    lines = answer.stdout.splitlines()
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert lines[0].startswith("default  up for 1m ")
    assert lines[1].startswith("  last day  ····")
    assert lines[1].rstrip("·").endswith("█████")  # at the stroke of a half hour the last block is still empty
    assert lines[4] == "  uptime    99.99% of the 3h it ran; lost once; longest outage 0.5s"
    assert "started; up after 0ms" in answer.stdout
    assert lines[-1].endswith(f"  lost after 1h: {LOST.message}; back after 0.5s")
    assert "\x1b" not in answer.stdout


@pytest.mark.parametrize(
    "env", [{"TERM": "dumb"}, {"TERM": "linux"}, {}, {"TERM": "xterm", "PYTHONIOENCODING": "ascii"}]
)
def test_a_terminal_without_block_characters(cli: Cli, env: dict[str, str]) -> None:
    with a_past(cli), serving(cli.tunnel_home, FakeDaemon([snapshot()])):
        answer = cli("status", "--history", env=env)
    assert answer.stdout.isascii()
    assert answer.stdout.splitlines()[1].rstrip(".").endswith("#####")
    assert "# up, + mostly up, ~ degraded, ! down, . off or asleep" in answer.stdout


def test_without_a_daemon_the_file_tells_it_all(cli: Cli) -> None:
    with a_past(cli):
        answer = cli("status", "--history")
    assert (answer.exit_code, answer.stderr) == (3, "")
    assert answer.stdout.startswith("default  not running; seen last ")
    assert answer.stdout.endswith("ended without closing: killed, or the computer went down\n")
    with a_past(cli) as recorder:
        recorder.note(S.UP, S.STOPPING)
        recorder.note(S.STOPPING, S.STOPPED)
    answer = cli("status", "default", "--history")
    assert answer.exit_code == 3
    assert answer.stdout.startswith("default  not running; closed ")
    assert answer.stdout.endswith("closed after 1h 59m\n")


def test_nothing_to_show(cli: Cli) -> None:
    answer = cli("status", "--history")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (3, "", NOTHING)
    answer = cli("status", "dev", "--history")
    assert (answer.exit_code, answer.stdout) == (3, "")
    assert answer.stderr == "error: no tunnel named dev is running\n\nhint: start one: openclaw-tunnel up\n"
    with a_past(cli, ago=9 * 86400):  # longer ago than it is kept, if it had not been noted again just now
        old = history_file(cli.tunnel_home, "default").read_text().splitlines()[:-1]
    history_file(cli.tunnel_home, "default").write_text("\n".join(old))
    assert cli("status", "--history").stderr == NOTHING


def test_a_name_that_is_none(cli: Cli) -> None:
    answer = cli("status", "../x", "--history")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: not a tunnel name: '../x'\n")


def test_several_tunnels_those_that_are_closed_included(cli: Cli) -> None:
    tunnels = [snapshot("dev"), snapshot("new", S.BACKOFF)]
    with a_past(cli, "dev"), a_past(cli, "Old"), serving(cli.tunnel_home, FakeDaemon(tunnels)):
        answer = cli("status", "--history")
        assert answer.exit_code == 1
        heads = [line.split("  ")[0] for line in answer.stdout.splitlines() if line[:1].strip()]
        assert heads == ["Old", "dev", "new"]
        assert answer.stdout.endswith("\n  history   nothing is recorded yet\n")
        assert cli("status", "dev", "--history").exit_code == 0
        assert cli("status", "Old", "--history").exit_code == 3


def test_of_several_tunnels_only_the_newest(cli: Cli) -> None:
    with a_past(cli, "dev") as recorder, a_past(cli, "old"):
        for _ in range(10):
            recorder.note(S.UP, S.BACKOFF, LOST)
            recorder.note(S.BACKOFF, S.UP)
    answer = cli("status", "--history")
    first = answer.stdout[: answer.stdout.index("\nold  ")]
    assert first.count(LOST.message) == 4
    assert "\n  more      openclaw-tunnel status dev --history\n" in first
    assert cli("status", "dev", "--history").stdout.count(LOST.message) == 11


def test_json_is_the_object_of_status_with_the_histories(cli: Cli) -> None:
    with a_past(cli), serving(cli.tunnel_home, FakeDaemon([snapshot()])):
        answer = cli("status", "--history", "--json")
        plain = cli("status", "--json")
    assert (answer.exit_code, answer.stderr) == (0, "")
    told: dict[str, Any] = answer.json()
    (history,) = told.pop("history")
    assert told == plain.json()
    assert list(history) == ["name", "day", "entries"]
    day = history["day"]
    assert {**day, "blocks": len(day["blocks"])} == {
        "uptime": pytest.approx(0.99995, abs=1e-4),
        "up_s": pytest.approx(3 * 3600, abs=60),
        "degraded_s": 0.0,
        "down_s": 0.5,
        "losses": 1,
        "longest_outage_s": 0.5,
        "blocks": 48,
    }
    assert set(day["blocks"][0]) == {"start", "length_s", "look", "up_s", "degraded_s", "down_s", "losses"}
    assert (day["blocks"][0]["look"], day["blocks"][-2]["look"]) == ("none", "up")
    assert [entry["state"] for entry in history["entries"]] == ["connecting", "up", "backoff", "up"]
    assert history["entries"][2]["message"] == LOST.message


def test_json_without_a_daemon(cli: Cli) -> None:
    answer = cli("status", "--history", "--json")
    nothing: dict[str, Any] = {"version": 1, "daemon": None, "tunnels": [], "history": []}
    assert (answer.exit_code, answer.json(), answer.stderr) == (3, nothing, "")
    with a_past(cli):
        told = cli("status", "--history", "--json").json()
    assert {**told, "history": []} == nothing
    assert told["history"][0]["entries"][-1]["state"] is None


def test_a_file_that_cannot_be_read_is_passed_over_with_a_note(cli: Cli) -> None:
    path = history_file(cli.tunnel_home, "default")
    with a_past(cli):
        path.write_bytes(b"half a li\n" + path.read_bytes())
    answer = cli("status", "--history")
    assert "lost after 1h" in answer.stdout
    assert answer.stderr == f"note: lines of the history of default that cannot be read, passed over: 1, in {path}\n"
    assert cli("status", "--history", "--json").stderr == ""
    path.unlink()
    path.mkdir()
    with serving(cli.tunnel_home, FakeDaemon([snapshot()])):
        answer = cli("status", "--history")
        assert cli("status", "--history", "--json").json()["history"][0]["entries"] == []
    assert answer.exit_code == 0
    assert answer.stderr == f"note: the history of default cannot be read: {path}: Is a directory\n"


def test_history_is_no_view_that_goes_on(cli: Cli) -> None:
    answer = cli("status", "--history", "--watch")
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: give --history or --watch, not both\n")


def test_a_message_from_a_file_cannot_play_with_the_terminal(cli: Cli) -> None:
    entry = Entry(time.time() - 60, S.BACKOFF, S.UP, 5.0, message="a\x1b]0;title\x07\nb")
    history_file(cli.tunnel_home, "default").write_text(entry.line() + "\n")
    answer = cli("status", "--history")
    assert "lost after 5.0s: a?]0;title??b\n" in answer.stdout
    assert (
        json.loads(cli("status", "--history", "--json").stdout)["history"][0]["entries"][0]["message"] == entry.message
    )


def test_other_snapshots_of_the_same_tunnel_are_no_concern(cli: Cli) -> None:
    """The daemon says backoff, the file ends with up: what happened since the last record is not known."""
    with a_past(cli), serving(cli.tunnel_home, FakeDaemon([replace(snapshot(), state=S.BACKOFF)])):
        answer = cli("status", "--history", "--json")
    assert answer.exit_code == 1
    assert answer.json()["history"][0]["day"]["down_s"] == 0.5
