"""A tunnel in words, compared as whole text for each state."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import (
    ByteCounts,
    ClientCounts,
    FailureStatus,
    ForwardStatus,
    GatewayStatus,
    PastFailure,
    RetryStatus,
    Role,
    Snapshot,
    SshStatus,
    Verdict,
    Was,
)
from openclaw_tunnel.ui import tunnelrows
from openclaw_tunnel.ui.live import URGENT, condensed

NOW = datetime(2026, 11, 22, 9, 12, 1, tzinfo=UTC)
MAIN = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
QUIET = Snapshot("default", State.CONNECTING, "2026-11-22T09:12:00Z", "me@gateway.example:22", "gw", (MAIN,))
CONNECTED = replace(QUIET, ssh=SshStatus(True, "OpenSSH_9.2p1", "aes128-gcm@openssh.com", 21.4))
REFUSED = FailureStatus("refused", "gateway.example:22 refused the connection", "is it running?", False, 20)
LOCKED = FailureStatus("key_locked", "the key ~/.ssh/id is locked", "ssh-add ~/.ssh/id", True, 21)
DEAF = FailureStatus("not_listening", "nothing listens on 127.0.0.1:18789", "start the gateway", False, 30)

TAKEN = FailureStatus("cannot_begin", "the port is in use", "stop the other one", True, 23)
PAST = PastFailure(Was.LOST, "keepalive_timeout", "the server no longer answers", "wait", "2026-11-22T09:11:17Z", 41.7)
RTTS = (25.0, 10.0, 14.0, 9.0)

UP = replace(
    CONNECTED,
    state=State.UP,
    since="2026-11-22T06:00:01Z",
    forwards=(replace(MAIN, clients=ClientCounts(2, 0, 17), bytes=ByteCounts(1200, 98000)),),
    gateway=GatewayStatus(Verdict.HEALTHY, "2026.9.6", 24.0),
)
BACKOFF = replace(
    QUIET,
    state=State.BACKOFF,
    retry=RetryStatus(3, 4.2),
    failure=REFUSED,
    forwards=(replace(MAIN, clients=ClientCounts(0, 1, 1)),),
)

FILES = "when a key, known_hosts, ssh_config or a settings file changes"
WORDS = {
    "up": (
        UP,
        """\
default  up for 3h 12m
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  gateway   healthy, version 2026.9.6, 24 ms
  ping      21 ms
  clients   2 open, 17 in all; 1.2 kB sent, 98 kB received""",
    ),
    "connecting": (
        QUIET,
        """\
default  connecting for 1s
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789""",
    ),
    "verifying": (
        replace(CONNECTED, state=State.VERIFYING),
        """\
default  verifying for 1s: SSH is connected, the gateway is asked
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  gateway   unknown
  ping      21 ms""",
    ),
    "degraded": (
        replace(
            CONNECTED,
            state=State.DEGRADED,
            gateway=GatewayStatus(Verdict.NOT_LISTENING, detail=DEAF.message),
            failure=DEAF,
        ),
        """\
default  degraded for 1s: SSH is connected, the gateway is not well
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  gateway   not listening
  ping      21 ms
  error     nothing listens on 127.0.0.1:18789
  hint      start the gateway""",
    ),
    "backoff": (
        BACKOFF,
        """\
default  backoff for 1s: no connection, next try in 5s (3 failed)
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  clients   0 open, 1 waiting, 1 in all; 0 B sent, 0 B received
  error     gateway.example:22 refused the connection
  hint      is it running?""",
    ),
    "flapping": (
        replace(BACKOFF, retry=RetryStatus(1, 0.0, True), forwards=(MAIN,)),
        """\
default  backoff for 1s: no connection, next try now, flapping: its connections do not last
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  error     gateway.example:22 refused the connection
  hint      is it running?""",
    ),
    "failed": (
        replace(
            QUIET,
            state=State.FAILED,
            failure=replace(LOCKED, said="Welcome\nno more tries"),
            alias="me@gateway.example",
            retry=RetryStatus(2, 47.3, on=("files", "wake")),
        ),
        """\
default  failed for 1s: action required
  target    me@gateway.example:22
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  error     the key ~/.ssh/id is locked
  it said   Welcome
            no more tries
  hint      ssh-add ~/.ssh/id
  then      it tries again in 48s, {FILES}, when the computer wakes up (2 failed)
  now       openclaw-tunnel restart default""".replace("{FILES}", FILES),
    ),
    "somebody said no": (
        replace(QUIET, state=State.FAILED, failure=LOCKED),
        """\
default  failed for 1s: action required
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  error     the key ~/.ssh/id is locked
  hint      ssh-add ~/.ssh/id
  then      it tries again only on request, because each try asks a person
  now       openclaw-tunnel restart default""",
    ),
    "a person is asked": (
        replace(QUIET, asks="open https://login.example/abc", failure=REFUSED, retry=RetryStatus(2)),
        """\
default  connecting for 1s: waiting for you
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  asks you  open https://login.example/abc
  error     gateway.example:22 refused the connection
  hint      is it running?""",
    ),
    "cannot even begin": (
        replace(QUIET, state=State.FAILED, failure=TAKEN, forwards=(replace(MAIN, listening=False),)),
        """\
default  failed for 1s: action required
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789 (not listening)
  error     the port is in use
  hint      stop the other one
  then      it tries again automatically, every few seconds""",
    ),
    "up again after a loss": (
        replace(
            UP, since="2026-11-22T09:11:59Z", last_failure=PAST, ssh=SshStatus(True, rtt_ms=9.0, rtt_recent_ms=RTTS)
        ),
        """\
default  up for 2s
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  gateway   healthy, version 2026.9.6, 24 ms
  ping      9.0 ms  9.0 to 25 ms, median 12
  clients   2 open, 17 in all; 1.2 kB sent, 98 kB received
  earlier   lost 44s ago, back after 41s: the server no longer answers""",
    ),
    "stopping": (
        replace(QUIET, state=State.STOPPING, forwards=(replace(MAIN, listening=False),)),
        """\
default  stopping for 1s
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789 (not listening)""",
    ),
    "open to others, and more than one forward": (
        replace(
            QUIET,
            forwards=(
                replace(MAIN, listen="0.0.0.0:18789"),
                ForwardStatus("127.0.0.1:8080", "db:80", True),
                ForwardStatus("/run/a.sock", "/run/b.sock", True),
            ),
        ),
        """\
default  connecting for 1s
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  forward   127.0.0.1:8080 -> db:80
  forward   /run/a.sock -> /run/b.sock
  warning   other computers can reach 0.0.0.0:18789""",
    ),
    "the other loopback address is taken, and so is the sandbox's": (
        replace(
            QUIET,
            forwards=(
                replace(MAIN, note="[::1]:18789 is in use"),
                replace(MAIN, listen="127.0.0.1:18790", listening=False, role=Role.SANDBOX, note="it is in use"),
                replace(MAIN, listen="127.0.0.1:18791", role=Role.BROWSER),
            ),
        ),
        """\
default  connecting for 1s
  target    me@gateway.example:22 (gw)
  local     http://127.0.0.1:18789 -> 127.0.0.1:18789
  note      [::1]:18789 is in use
  sandbox   127.0.0.1:18790 -> 127.0.0.1:18789 (not listening: it is in use)
  browser   127.0.0.1:18791 -> 127.0.0.1:18789""",
    ),
}


@pytest.mark.parametrize(("tunnel", "text"), WORDS.values(), ids=WORDS.keys())
def test_words_of_each_state(tunnel: Snapshot, text: str) -> None:
    assert tunnelrows.plain([tunnelrows.rows(tunnel, NOW)]) == text


def test_what_up_says_of_forwards_that_listen() -> None:
    taken = replace(MAIN, listening=False, role=Role.SANDBOX, note="it is in use")
    assert tunnelrows.notes(replace(QUIET, forwards=(MAIN, taken))) == []
    assert tunnelrows.notes(replace(QUIET, forwards=(replace(MAIN, note="[::1]:1 is in use"), taken))) == [
        "[::1]:1 is in use"
    ]


def test_a_tunnel_that_tries_again_and_again_has_been_away_since_the_loss() -> None:
    away = "2026-11-22T06:12:01Z"
    for state in (State.BACKOFF, State.CONNECTING, State.FAILED):
        assert tunnelrows.rows(replace(BACKOFF, state=state, down_since=away), NOW)[0].text.startswith(
            f"{state} for 3h"
        )


def test_a_try_after_others_is_told_from_the_first_one() -> None:
    for attempt, words in ((0, "connecting for 1s"), (1, "connecting for 1s: trying again"), (4, "again (4 failed)")):
        assert tunnelrows.rows(replace(QUIET, retry=RetryStatus(attempt)), NOW)[0].text.endswith(words)


def test_the_countdown_counts() -> None:
    assert [tunnelrows.rows(BACKOFF, NOW, elapsed)[0].text for elapsed in (0.0, 1.5, 4.2, 9.0)] == [
        "backoff for 1s: no connection, next try in 5s (3 failed)",
        "backoff for 1s: no connection, next try in 3s (3 failed)",
        "backoff for 1s: no connection, next try now (3 failed)",
        "backoff for 1s: no connection, next try now (3 failed)",
    ]


def test_narrow_terminals_get_wrapped_rows() -> None:
    hint = "compare the fingerprint with the host's own, then remember the key: openclaw-tunnel trust gw"
    failed = replace(
        QUIET, state=State.FAILED, failure=replace(LOCKED, hint=hint), retry=RetryStatus(1, 4.0, on=("wake", "network"))
    )
    assert tunnelrows.plain([tunnelrows.rows(failed, NOW)], 60).splitlines()[-5:] == [
        "  hint      compare the fingerprint with the host's own,",
        "            then remember the key: openclaw-tunnel trust gw",
        "  then      it tries again in 4s, when the computer wakes",
        "            up, when the network changes",
        "  now       openclaw-tunnel restart default",
    ]
    for tunnel, _ in WORDS.values():
        for width in (40, 80):
            assert all(
                len(line) <= width for line in tunnelrows.plain([tunnelrows.rows(tunnel, NOW)], width).splitlines()
            )


def test_other_peoples_words_cannot_steer_the_terminal() -> None:
    evil = replace(QUIET, failure=replace(REFUSED, message="bye\x1b[2J\nerror: ok\x07"))
    assert "error     bye?[2J?error: ok?" in tunnelrows.plain([tunnelrows.rows(evil, NOW)])
    assert "\x1b" not in tunnelrows.change(replace(evil, state=State.FAILED))


@pytest.mark.parametrize(
    ("tunnel", "line"),
    [
        (UP, "default is up: http://127.0.0.1:18789 -> me@gateway.example:22"),
        (QUIET, "default is connecting to me@gateway.example:22"),
        (replace(QUIET, state=State.VERIFYING), "default is verifying: SSH is connected, the gateway is asked"),
        (BACKOFF, "default is in backoff: gateway.example:22 refused the connection; next try in 5s (3 failed)"),
        (
            replace(QUIET, state=State.DEGRADED, failure=DEAF),
            "default is degraded: nothing listens on 127.0.0.1:18789",
        ),
        (replace(QUIET, state=State.FAILED, failure=LOCKED), "default has failed: the key ~/.ssh/id is locked"),
        (replace(QUIET, state=State.STOPPING), "default is stopping"),
    ],
)
def test_one_line_for_a_change(tunnel: Snapshot, line: str) -> None:
    assert tunnelrows.change(tunnel) == line


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1200, "1.2 kB"), (98000, "98 kB"), (999_600, "1.0 MB"), (10**16, "10000 TB")],
)
def test_sizes(count: int, text: str) -> None:
    assert tunnelrows.size(count) == text


@pytest.mark.parametrize(
    ("listen", "url", "exposed"),
    [
        ("127.0.0.1:1", "http://127.0.0.1:1", False),
        ("[::1]:1", "http://[::1]:1", False),
        ("[::]:1", "http://[::1]:1", True),
        ("0.0.0.0:1", "http://127.0.0.1:1", True),
        ("192.168.1.5:1", "http://192.168.1.5:1", True),
        ("/run/a.sock", "/run/a.sock", False),
    ],
)
def test_where_a_program_reaches_the_gateway(listen: str, url: str, exposed: bool) -> None:
    forward = replace(MAIN, listen=listen)
    assert tunnelrows.url(forward) == url
    assert tunnelrows.exposed(forward) is exposed


@pytest.mark.parametrize("since", ["", "yesterday", "2026-11-22T09:12:00"])
def test_a_time_that_is_none_is_now(since: Any) -> None:
    assert tunnelrows.age(since, NOW) == 0.0


def test_round_trips_as_blocks_where_they_can_be_shown() -> None:
    connected = replace(UP, ssh=SshStatus(True, rtt_ms=9.0, rtt_recent_ms=RTTS))
    shown = [row.text for row in tunnelrows.rows(connected, NOW, blocks=True) if row.label == "ping"]
    assert shown == ["9.0 ms  █▁▃▁  9.0 to 25 ms, median 12"]
    assert tunnelrows.ping(21.4, (21.4, 21.4), blocks=True) == "21 ms"


@pytest.mark.parametrize(
    ("values", "blocks"),
    [
        ((20.0, 20.4, 20.1), "▁▁▁"),  # that is no difference
        ((20.0, 30.0, 40.0), "▁▅█"),
        ((1.0, 100.0, 1.0), "▁█▁"),
        ((0.0, 0.0), "▁▁"),
    ],
)
def test_a_sparkline(values: tuple[float, ...], blocks: str) -> None:
    assert tunnelrows.sparkline(values) == blocks


def test_the_median() -> None:
    assert [tunnelrows.median(values) for values in ([3.0], [1.0, 9.0, 2.0], [4.0, 1.0, 3.0, 2.0])] == [3.0, 2.0, 2.5]


def earlier(past: PastFailure) -> list[str]:
    return [
        row.text for row in tunnelrows.rows(replace(UP, last_failure=past), NOW) if row.tone is tunnelrows.Tone.PAST
    ]


def test_what_was_earlier_is_told_for_a_day() -> None:
    assert earlier(replace(PAST, was=Was.DEGRADED)) == [
        "degraded 44s ago, well again after 41s: the server no longer answers"
    ]
    assert earlier(replace(PAST, was=Was.UNREACHED)) == [
        "not connected 44s ago, up after 41s: the server no longer answers"
    ]
    assert earlier(replace(PAST, at="2026-11-21T09:12:01Z")) == []
    assert earlier(replace(PAST, at="2026-11-21T09:12:02Z")) != []


@pytest.mark.parametrize(
    ("gateway", "words"),
    [
        (GatewayStatus(), "not asked"),
        (GatewayStatus(latency_ms=24.0), "not asked, its port accepts connections, 24 ms"),
    ],
)
def test_a_probe_that_asks_no_gateway(gateway: GatewayStatus, words: str) -> None:
    assert [row.text for row in tunnelrows.rows(replace(UP, gateway=gateway), NOW) if row.label == "gateway"] == [words]


def test_a_low_window_gets_one_row_of_those_that_are_well() -> None:
    tables = [tunnelrows.rows(tunnel, NOW) for tunnel in (UP, UP, BACKOFF, UP)]
    short = condensed(tables)
    assert [len(table) for table in short] == [2, len(tables[2]), 1]
    assert short[0] == [tables[0][0], tables[1][0]]
    assert short[1] == tables[2]
    shorter = condensed(tables, URGENT)
    assert [row.label for row in shorter[1]] == ["default", "error", "hint"]
    assert [len(table) for table in shorter] == [2, 3, 1]
    assert condensed(tables, ()) == [[table[0] for table in tables]]
    assert condensed([tables[2], [tunnelrows.Row("note", "none of a tunnel")]], ()) == [[tables[2][0]]]
