"""What people see: whole screens in a real terminal (tmux), at several sizes, with and without colours."""

import asyncio
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import (
    ByteCounts,
    ClientCounts,
    FailureStatus,
    ForwardStatus,
    GatewayStatus,
    PastFailure,
    RetryStatus,
    Snapshot,
    SshStatus,
    Verdict,
    Was,
)
from support.cli import Cli, command, environment
from support.fakedaemon import FakeDaemon, serving
from support.remote import Remote
from support.screen import Screen
from support.waiting import free_port

Show = Callable[..., Screen]

_DURATION = re.compile(r"\b\d+[dhms]( \d+[hms])?\b")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(failure: Failure) -> FailureStatus:
    return FailureStatus(**failure.to_json())


MAIN = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
BUSY = replace(MAIN, clients=ClientCounts(2, 0, 17), bytes=ByteCounts(1200, 98000))
RTTS = (21.4, 20.9, 22.0, 35.2, 21.1, 24.4, 21.0, 44.1, 20.8, 21.4)
LOST = "me@gateway.example:22 no longer answers: the connection is taken for dead"
SSH = SshStatus(True, "OpenSSH_9.2p1", "aes128-gcm@openssh.com", 21.4, RTTS)
UP = Snapshot(
    "default",
    State.UP,
    ago(11_530),
    "me@gateway.example:22",
    "gw",
    (BUSY,),
    ssh=SSH,
    gateway=GatewayStatus(Verdict.HEALTHY, "2026.9.6", 24.0),
    last_failure=PastFailure(Was.LOST, "keepalive_timeout", LOST, "", ago(11_590), 41.7),
)
REFUSED = Failure(Code.REFUSED, "lab.example:22 refused the connection", {"host": "lab.example:22"})
BACKOFF = replace(
    UP,
    name="lab",
    state=State.BACKOFF,
    since=ago(5),
    down_since=ago(12_010),
    target="me@lab.example:22",
    alias="lab",
    forwards=(replace(MAIN, clients=ClientCounts(0, 2, 2)),),
    ssh=SshStatus(),
    gateway=GatewayStatus(),
    retry=RetryStatus(4, 9.0),
    failure=told(REFUSED),
    last_failure=None,
)
CHANGED = Failure(
    Code.HOST_KEY_CHANGED,
    "the host key of gateway.example:22 has changed: it is ssh-ed25519 "
    "SHA256:q1w2e3r4t5z6u7i8o9p0a1s2d3f4g5h6j7k8l9y0x1c, and /home/me/.ssh/known_hosts:3 has another",
    {"trust": "openclaw-tunnel trust gw --replace"},
)
FAILED = replace(
    BACKOFF,
    name="default",
    state=State.FAILED,
    since=ago(12_010),
    target=UP.target,
    alias="gw",
    forwards=(MAIN,),
    retry=RetryStatus(1, 250.0, on=("files", "wake", "network")),
    failure=told(CHANGED),
)
DEAF = Failure(
    Code.NOT_LISTENING, "nothing listens on 127.0.0.1:18789 of gw", {"target": "gw", "to": "127.0.0.1:18789"}
)
DEGRADED = replace(
    UP,
    state=State.DEGRADED,
    gateway=GatewayStatus(Verdict.NOT_LISTENING, detail=DEAF.message),
    failure=told(DEAF),
    last_failure=None,
    ssh=replace(SSH, rtt_recent_ms=RTTS[:3]),
)


def normal(text: str) -> str:
    """Every duration is T: it differs from run to run, and so may how a line with one ends."""
    return _DURATION.sub("T", text)


@pytest.fixture
def show(cli: Cli) -> Show:
    """Run a command in a window."""
    return lambda *arguments, columns=80, lines=24, **env: Screen(
        command(*arguments), environment(cli.home, {**cli.env, **env}), columns, lines
    )


@pytest.fixture
def serve(cli: Cli) -> Callable[..., AbstractContextManager[Path]]:
    """Let a daemon that only talks show these tunnels."""
    cli.tunnel_home.mkdir(mode=0o700)
    return lambda *tunnels, **methods: serving(cli.tunnel_home, FakeDaemon(tunnels, **methods))


UP_SCREEN = """\
default  up for T
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  gateway   healthy, version 2026.9.6, 24 ms
  ping      21 ms  ▁▁▁▅▁▂▁█▁▁  21 to 44 ms, median 21
  clients   2 open, 17 in all; 1.2 kB sent, 98 kB received
  earlier   lost T ago, back after T: me@gateway.example:22 no longer
            answers: the connection is taken for dead"""

BACKOFF_SCREEN = """\
lab  backoff for T: no connection, next try in T (4 failed)
  target    me@lab.example:22
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  clients   0 open, 2 waiting, 2 in all; 0 B sent, 0 B received
  error     lab.example:22 refused the connection
  hint      is the SSH server running on lab.example:22, and is that its port?
            On that machine: systemctl status ssh"""

FAILED_SCREEN = """\
default  failed for T: action required
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  error     the host key of gateway.example:22 has changed: it is ssh-ed25519
            SHA256:q1w2e3r4t5z6u7i8o9p0a1s2d3f4g5h6j7k8l9y0x1c, and
            /home/me/.ssh/known_hosts:3 has another
  hint      do not go on unless you know why it changed (host reinstalled?);
            then replace the old key: openclaw-tunnel trust gw --replace
  then      it tries again in T, when a key, known_hosts, ssh_config or a
            settings file changes, when the computer wakes up, when the network
            changes
  now       openclaw-tunnel restart default"""

DEGRADED_SCREEN = """\
default  degraded for T: SSH is connected, the gateway is not well
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  gateway   not listening
  ping      21 ms  ▁▁▁  21 to 22 ms, median 21
  clients   2 open, 17 in all; 1.2 kB sent, 98 kB received
  error     nothing listens on 127.0.0.1:18789 of gw
  hint      start the gateway on gw: openclaw gateway run; if it listens there
            on another port than 127.0.0.1:18789, say so: -r PORT"""

NARROW_SCREEN = """\
default  up for T
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 ->
            127.0.0.1:18789
  gateway   healthy, version 2026.9.6,
            24 ms
  ping      21 ms  ▁▁▁▅▁▂▁█▁▁  21 to 44
            ms, median 21
  clients   2 open, 17 in all; 1.2 kB
            sent, 98 kB received
  earlier   lost T ago, back after
            T: me@gateway.example:22
            no longer answers: the
            connection is taken for dead

lab  backoff for T: no connection,
     next try in T (4 failed)
  target    me@lab.example:22
  local     http://127.0.0.1:18789 ->
            127.0.0.1:18789
  clients   0 open, 2 waiting, 2 in all;
            0 B sent, 0 B received
  error     lab.example:22 refused the
            connection
  hint      is the SSH server running on
            lab.example:22, and is that
            its port? On that machine:
            systemctl status ssh
exit code 1"""

WIDE_LINE = f"  hint      {REFUSED.hint}"
FOOT = "  Ctrl-C    ends this view, and nothing else"


@pytest.mark.parametrize(
    ("tunnels", "screen"),
    [
        ([UP, BACKOFF], f"{UP_SCREEN}\n\n{BACKOFF_SCREEN}\nexit code 1"),
        ([UP], f"{UP_SCREEN}\nexit code 0"),
        ([FAILED], f"{FAILED_SCREEN}\nexit code 1"),
        ([DEGRADED], f"{DEGRADED_SCREEN}\nexit code 1"),
    ],
    ids=["up and backoff with clients that wait", "up", "failed", "degraded"],
)
def test_status_says_what_is_wrong_and_what_to_do(show: Show, serve: Any, tunnels: list[Snapshot], screen: str) -> None:
    with serve(*tunnels), show("status") as window:
        assert normal(window.wait_for("exit code")) == screen


def test_status_in_a_narrow_window_and_in_a_wide_one(show: Show, serve: Any) -> None:
    with serve(UP, BACKOFF):
        with show("status", columns=40, lines=32) as window:
            assert normal(window.wait_for("exit code")) == NARROW_SCREEN
        with show("status", columns=120) as window:
            assert WIDE_LINE in window.wait_for("exit code").splitlines()


def test_colours_where_they_are_wanted_and_blocks_where_they_can_be_shown(show: Show, serve: Any) -> None:
    with serve(UP, BACKOFF):
        with show("status") as window:
            window.wait_for("exit code")
            seen = window.colours()
            assert re.search(r"\x1b\[32m(\x1b\[49m)?up for ", seen)
            assert re.search(r"\x1b\[31m(\x1b\[49m)?backoff for ", seen)
        ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, ascii_only):
            with show("status", **env) as window:
                text = window.wait_for("exit code")
                assert not _COLOUR.search(window.colours())
                blocks = "  ▁▁▁▅▁▂▁█▁▁" if "NO_COLOR" in env else ""
                assert f"  ping      21 ms{blocks}  21 to 44 ms, median 21" in text


def test_watching_while_the_window_changes_its_size(show: Show, serve: Any) -> None:
    whole = f"{UP_SCREEN}\n\n{BACKOFF_SCREEN}\n\n{FOOT}"
    narrow = f"{NARROW_SCREEN.removesuffix('exit code 1')}\n  Ctrl-C    ends this view, and nothing\n            else"
    urgent = "\n".join([BACKOFF_SCREEN.splitlines()[0], *BACKOFF_SCREEN.splitlines()[-3:]])
    with serve(UP, BACKOFF), show("status", "--watch") as window:

        def shows(screen: str) -> None:
            window.wait_until(lambda text: normal(text) == screen, what=screen)

        shows(whole)
        window.resize(40, 40)
        shows(narrow)
        window.resize(80, 24)
        shows(whole)
        window.resize(80, 9)
        shows(f"default  up for T\n\n{urgent}\n\n{FOOT}")
        window.resize(80, 24)
        shows(whole)
        window.type("C-c")
        shows(f"{UP_SCREEN}\n\n{BACKOFF_SCREEN}\nexit code 130")


def test_watching_more_tunnels_than_there_is_room_for(show: Show, serve: Any) -> None:
    many = [replace(UP, name=f"t{number:02}") for number in range(30)]
    with serve(*many), show("status", "--watch") as window:
        heads = [f"t{number:02}  up for T" for number in range(20)]
        assert normal(window.wait_for("Ctrl-C")) == "\n".join([*heads, "... 10 more lines", "", FOOT])
        window.resize(80, 40)
        window.wait_until(lambda text: "t29  up for" in text and "more lines" not in text)
        os.kill(window.pid(), signal.SIGTERM)
        text = window.wait_for("exit code 143")
        assert "t29  up for" in text
        assert FOOT not in text


def test_watching_goes_on_below_after_it_was_stopped_for_a_while(cli: Cli, serve: Any) -> None:
    watch = " ".join(map(str, command("status", "--watch")))
    shell = Screen(["bash", "--norc", "-i"], {**environment(cli.home), "PS1": "$ "}, lines=50)
    with serve(UP), shell as window:
        window.type(watch, "Enter")
        window.wait_for(FOOT)
        window.type("C-z")
        window.wait_for("Stopped")
        window.type("fg", "Enter")
        window.wait_until(lambda text: normal(text).endswith(f"{UP_SCREEN}\n\n{FOOT}"))
        assert normal(window.text()).count(UP_SCREEN) == 2
        window.type("C-c")
        window.wait_until(lambda text: normal(text).endswith(f"{UP_SCREEN}\n$"))
        window.type("exit", "Enter")
        window.wait_for("exit code")


@pytest.mark.parametrize("lines", [24, 11], ids=["in the middle of the screen", "at its bottom"])
def test_enter_leaves_no_stale_line(show: Show, cli: Cli, lines: int) -> None:
    cli.tunnel_home.mkdir(mode=0o700)
    daemon = FakeDaemon([BACKOFF])
    with serving(cli.tunnel_home, daemon), show("status", "--watch", lines=lines) as window:
        window.wait_for(FOOT)
        window.type("Enter", "Enter", "x", "Enter")
        daemon.tunnels[:] = [UP]
        window.wait_until(lambda text: normal(text) == f"{UP_SCREEN}\n\n{FOOT}")
        window.type("C-c")
        assert normal(window.wait_for("exit code 130")) == f"{UP_SCREEN}\nexit code 130"


def test_watching_a_daemon_that_goes_and_comes_back(show: Show, cli: Cli) -> None:
    cli.tunnel_home.mkdir(mode=0o700)
    with show("status", "--watch") as window:
        window.wait_for("no tunnel  is running; start one: openclaw-tunnel up")
        with serving(cli.tunnel_home, FakeDaemon([UP])):
            window.wait_for("default  up for")
        gone = window.wait_for("the daemon ended")
        assert normal(gone).startswith("no tunnel  is running any more: the daemon ended T ago. This goes on when it")
        with serving(cli.tunnel_home, FakeDaemon([UP])):
            window.wait_until(lambda text: normal(text) == f"{UP_SCREEN}\n\n{FOOT}")


def test_watching_on_a_dumb_terminal_is_a_line_for_each_change(show: Show, cli: Cli) -> None:
    cli.tunnel_home.mkdir(mode=0o700)
    daemon = FakeDaemon([UP, BACKOFF])
    with show("status", "--watch", TERM="dumb") as window:
        window.wait_for("no tunnel is running")
        with serving(cli.tunnel_home, daemon):
            window.wait_for("lab is in backoff")
            daemon.tunnels[:] = [UP]
            window.wait_for("lab is closed")
        window.wait_for("the daemon ended")
        window.type("C-c")
        lines = window.wait_for("exit code 130").splitlines()
    assert lines[:2] == [
        "no tunnel is running; start one: openclaw-tunnel up",
        "default is up: http://127.0.0.1:18789 -> me@gateway.example:22",
    ]
    assert sum("default is up" in line for line in lines) == 1


@pytest.fixture
def remote(tmp_path: Path, cli: Cli) -> Iterator[Remote]:
    with Remote(tmp_path) as running:
        cli.use_ssh_config(running.config)
        yield running


def test_up_in_the_foreground_is_the_same_view(show: Show, remote: Remote) -> None:
    port = free_port()
    with show("up", "gw", "-p", str(port), "-r", str(remote.gateway)) as window:
        window.wait_for("default  up for")
        window.wait_until(lambda text: "  ping " in text)
        shown = normal(re.sub(r"\d+(\.\d)? ms", "N ms", window.text()))
        assert shown == "\n".join(
            [
                "default  up for T",
                f"  target    {remote.address} (gw)",
                f"  local     http://127.0.0.1:{port} -> 127.0.0.1:{remote.gateway}",
                "  gateway   healthy, version demo, N ms",
                "  ping      N ms",
                "",
                "  Ctrl-C    closes the tunnel",
            ]
        )
        window.resize(30, 24)
        window.wait_until(lambda text: text.splitlines()[-1] == "  Ctrl-C    closes the tunnel"[:30])
        window.resize(80, 24)
        window.type("Enter", "Enter")
        for _ in range(2):  # the first of them may have been under way
            before = {window.text().splitlines()[0]}
            window.wait_until(lambda text, seen=before: {text.splitlines()[0]}.isdisjoint(seen))  # type: ignore[misc]
        window.type("C-c")
        assert window.wait_for("exit code 130") == "default  closed\nexit code 130"
    with show("up", "gw", "-p", str(port), "-r", str(remote.gateway)) as window:
        window.wait_for("default  up for")
        window.type("C-c", "C-c")
        assert window.wait_for("exit code 130").startswith("default  ")


def test_up_in_the_foreground_of_what_cannot_be_is_an_error_alone(show: Show, remote: Remote) -> None:
    with show("up", "stranger", "-p", str(free_port())) as window:
        text = window.wait_for("exit code 22")
        assert text.startswith("error: host key of 127.0.0.1:")
        assert "\n\nhint: compare the fingerprint" in text


def test_up_that_joins_a_daemon_closes_on_the_second_ctrl_c_at_once(show: Show, serve: Any) -> None:
    """The daemon takes for ever to close."""

    def up(params: dict[str, Any], emit: Any) -> dict[str, Any]:
        return {"started": True, "note": "", "snapshot": UP.to_json()}

    def watch(params: dict[str, Any], emit: Any) -> Any:
        emit({"snapshot": UP.to_json()})
        return never()

    with serve(UP, up=up, watch=watch, down=lambda params, emit: never()), show("up", "gw") as window:
        window.wait_until(lambda text: normal(text) == f"{UP_SCREEN}\n\n  Ctrl-C    closes the tunnel")
        window.type("C-c")
        window.wait_until(lambda text: normal(text) == f"{UP_SCREEN}\n\nclosing ...  Ctrl-C again ends it at once")
        window.type("C-c")
        window.wait_for("exit code 130")


async def never() -> dict[str, Any]:
    """An answer that does not come."""
    await asyncio.Event().wait()
    return {}


def test_what_takes_long_is_seen_and_then_gone(show: Show, serve: Any) -> None:
    with serve(UP, ask=lambda params, emit: never()):
        with show("health", "--timeout", "0.5") as window:
            window.wait_for("asking the gateway ")
            text = window.wait_for("exit code")
            assert "asking the gateway" not in text
        with show("health", TERM="dumb") as window:
            window.wait_until(lambda text: text == "asking the gateway ...")
            window.type("C-c")
            window.wait_for("exit code 130")


LOG = """\
2026-11-22T06:00:00Z INFO daemon 1 started, version 0.1.0
2026-11-22T06:00:01Z INFO default: verifying -> up after 0.2s
2026-11-22T06:00:09Z INFO lab: up -> backoff after 3h 12m (lab.example:22 refused the connection), retry in 4.2s
"""


def test_the_log_is_easy_to_read_and_goes_on_through_a_rotation(show: Show, cli: Cli) -> None:
    cli.tunnel_home.mkdir(mode=0o700)
    log = cli.tunnel_home / "openclaw-tunnel.log"
    log.write_text(LOG)
    with show("logs", "-f", TZ="Asia/Kathmandu") as window:
        text = window.wait_for("retry in 4.2s")
        assert text.splitlines() == [
            "Sun 22 Nov 2026, times in UTC+0545",
            "11:45:00           daemon 1 started, version 0.1.0",
            "11:45:01  default  verifying -> up after 0.2s",
            "11:45:09  lab      up -> backoff after 3h 12m (lab.example:22 refused the",
            "                   connection), retry in 4.2s",
        ]
        assert re.search(r"\x1b\[32m(\x1b\[49m)?verifying -> up", window.colours())
        log.rename(log.with_name(f"{log.name}.1"))
        log.write_text("2026-11-22T06:00:14Z INFO lab: backoff -> connecting\n")
        window.wait_for("11:45:14  lab      backoff -> connecting")
        window.type("C-c")
        window.wait_for("exit code 130")
