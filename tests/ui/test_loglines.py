"""The log as a person sees it on a terminal (ui/loglines.py)."""

from datetime import UTC, timedelta, timezone

import pytest

from openclaw_tunnel.ui.loglines import Layout
from openclaw_tunnel.ui.tunnelrows import Row, Tone, plain

LINES = """\
2026-11-22T06:00:00Z INFO daemon 1 started, version 0.1.0
2026-11-22T06:00:01Z INFO dev: verifying -> up after 0.2s
2026-11-22T06:00:02Z WARNING production: reload: no such file
2026-11-22T06:00:03Z ERROR dev: dial 1 broke
  Traceback (most recent call last):
2026-11-22T23:30:00Z INFO dev: up -> backoff after 17h 29m (gateway.example:22 no longer answers), retry in 4.2s
2026-11-22T23:30:01Z INFO SIGTERM: closing
""".splitlines()


def shown(width: int, hours: int = 0) -> list[str]:
    layout = Layout(timezone(timedelta(hours=hours)))
    layout.expect(LINES)
    return plain([[row for line in LINES for row in layout.rows(line)]], width).splitlines()


def test_names_and_words_stand_below_each_other() -> None:
    assert shown(120) == [
        "Sun 22 Nov 2026, times in UTC+0000",
        "06:00:00              daemon 1 started, version 0.1.0",
        "06:00:01  dev         verifying -> up after 0.2s",
        "06:00:02  production  warning: reload: no such file",
        "06:00:03  dev         error: dial 1 broke",
        "            Traceback (most recent call last):",
        "23:30:00  dev         up -> backoff after 17h 29m (gateway.example:22 no longer answers), retry in 4.2s",
        "23:30:01              SIGTERM: closing",
    ]


def test_the_time_is_local_and_a_new_day_is_said() -> None:
    lines = shown(120, hours=1)
    assert lines[0] == "Sun 22 Nov 2026, times in UTC+0100"
    assert lines[1].startswith("07:00:00 ")
    assert lines[6] == "Mon 23 Nov 2026, times in UTC+0100"
    assert lines[7].startswith("00:30:00 ")


def test_long_lines_go_on_below_their_words() -> None:
    lines = shown(62)
    assert all(len(line) <= 62 for line in lines)
    assert lines[6:9] == [
        "23:30:00  dev         up -> backoff after 17h 29m",
        "                      (gateway.example:22 no longer answers),",
        "                      retry in 4.2s",
    ]


def test_a_name_that_nobody_expected_moves_what_follows() -> None:
    layout = Layout(UTC)
    assert [row.lead[0][0] for line in LINES[:3] for row in layout.rows(line)] == [
        "",
        "06:00:00  ",
        "06:00:01  dev  ",
        "06:00:02  production  ",
    ]


@pytest.mark.parametrize(
    ("line", "tone"),
    [
        ("INFO dev: verifying -> up", Tone.GOOD),
        ("INFO dev: up -> backoff", Tone.BAD),
        ("INFO dev: backoff -> connecting", Tone.BUSY),
        ("INFO dev: up -> stopping", Tone.PLAIN),
        ("INFO daemon 1 started", Tone.PLAIN),
        ("INFO dev: a -> b", Tone.PLAIN),
        ("WARNING dev: careful", Tone.BUSY),
        ("ERROR broken", Tone.BAD),
        ("DEBUG dev: dial 1", Tone.PAST),
    ],
)
def test_what_a_line_means(line: str, tone: Tone) -> None:
    *_, last = Layout(UTC).rows(f"2026-11-22T06:00:00Z {line}")
    assert last.tone is tone


def test_what_is_no_line_of_ours_is_shown_as_it_is() -> None:
    assert list(Layout(UTC).rows("  x")) == [Row("", "  x", Tone.PAST, columns=((" " * 10, Tone.PAST),))]
