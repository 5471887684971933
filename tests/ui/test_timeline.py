"""A history in words, compared as whole text."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, timedelta, timezone, tzinfo

import pytest

from openclaw_tunnel.core.history.day import History, read
from openclaw_tunnel.core.history.entries import SLOT, Entry, Level, Slot, Slots, moment, stamp
from openclaw_tunnel.core.history.incidents import Incident, What
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from openclaw_tunnel.ui.timeline import ASCII, BLOCKS, MOST, Frame, day_rows, in_numbers, sentence, tables
from openclaw_tunnel.ui.tunnelrows import Tone, plain

S = State
NOW = moment("2026-11-22T12:10:00Z")
HOUR = 3600.0
PRESENT = int(NOW // SLOT)
LOSS = "the connection to gateway.example:22 was lost"


FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
UP = Snapshot("default", S.UP, stamp(NOW - 6000), "me@gateway.example:22", "gw", (FORWARD,))


def shown(
    history: History,
    tunnel: Snapshot | None = None,
    *,
    zone: tzinfo = UTC,
    blocks: Mapping[Level, str] = ASCII,
    width: int | None = None,
    most: int = MOST,
) -> str:
    made = tables("default", history, Frame(NOW, blocks, zone, width), most, tunnel)
    return plain(made, width)


def a_day() -> History:
    """Up from 16:00 on; lost for 0.4 s at 20:00, the gateway away for an hour at 4:00, the host for 70 min at 9:20."""
    slots = {number: Slot(up=SLOT) for number in range(PRESENT - 40, PRESENT)}
    slots[PRESENT - 32] = Slot(SLOT - 0.4, 0.0, 0.4, 1, 0.4)
    slots |= dict.fromkeys((PRESENT - 16, PRESENT - 15), Slot(degraded=SLOT))
    slots |= {PRESENT - 6: Slot(1200.0, 0.0, 600.0, 1), PRESENT - 5: Slot(down=SLOT), PRESENT - 4: Slot(0, 0, SLOT)}
    slots |= {PRESENT - 14: Slot(SLOT, longest=HOUR), PRESENT - 3: Slot(SLOT, longest=4200.0)}
    yesterday = NOW - 16 * HOUR - 600
    return read(
        [
            Entry(yesterday - 4 * HOUR, S.CONNECTING, S.STOPPED),
            Entry(yesterday - 4 * HOUR, S.UP, S.VERIFYING, 0.1, took_s=0.6),
            Entry(yesterday, S.BACKOFF, S.UP, 4 * HOUR, code="lost", message=LOSS),
            Entry(yesterday, S.UP, S.VERIFYING, 0.1, took_s=0.4),
            Entry(NOW - 490 * 60, S.DEGRADED, S.UP, 8 * HOUR, message="nothing listens on 127.0.0.1:18789"),
            Entry(NOW - 430 * 60, S.UP, S.DEGRADED, HOUR, took_s=HOUR),
            Entry(NOW - 170 * 60, S.BACKOFF, S.UP, 15600.0, code="lost", message=LOSS),
            Entry(NOW - 169 * 60, S.BACKOFF, S.CONNECTING, 0.1, code="refused", message="it refused", tries=79),
            Entry(NOW - 100 * 60, S.UP, S.VERIFYING, 0.1, took_s=4200.0),
            Slots(NOW - 100, slots),
        ]
    )


LINE = "." * 7 + "#" * 24 + "~~" + "#" * 8 + "+!!" + "#" * 4
"""From 12:30 yesterday to half past 12."""


def test_a_day_as_a_newcomer_sees_it() -> None:
    assert (
        shown(a_day(), UP, blocks=BLOCKS)
        == """\
default  up for 1h 40m
  last day  ·······████████████████████████▄▄████████▆▁▁████
  UTC                  18:00       00:00       06:00     now
  30 min    █ up, ▆ mostly up, ▄ degraded, ▁ down, · off or asleep
  uptime    89.1% of the 20h 1m it ran; lost twice; longest outage 1h 10m

  Sat 21 Nov
  16:00:00  started; up after 0.6s
  20:00:00  lost after 4h: the connection to gateway.example:22 was lost; back after 0.4s
  today
  04:00:00  degraded after 8h: nothing listens on 127.0.0.1:18789; well again after 1h
  09:20:00  lost after 4h 20m: the connection to gateway.example:22 was lost; back after 1h 10m, 79 tries failed \
(it refused)"""
    )


def test_the_same_without_block_characters_and_in_another_zone() -> None:
    lines = shown(a_day(), UP, zone=timezone(timedelta(hours=5, minutes=45))).splitlines()
    assert lines[1:4] == [
        f"  last day  {LINE}",
        "  UTC+05:45            00:00       06:00       12:00     now",
        "  30 min    # up, + mostly up, ~ degraded, ! down, . off or asleep",
    ]
    assert lines[6:9] == ["  Sat 21 Nov", "  21:45:00  started; up after 0.6s", "  today"]
    assert lines[9].startswith("  01:45:00  lost after 4h: ")


@pytest.mark.parametrize(
    ("width", "line", "axis", "label"),
    [
        (80, LINE, "           18:00       00:00       06:00     now", "30 min"),
        (60, LINE, "           18:00       00:00       06:00     now", "30 min"),
        (59, "...############~####!+##", "     18:00 00:00     now", "1 hour"),
        (36, "...############~####!+##", "     18:00 00:00     now", "1 hour"),
        (35, ".######+#++#", "  18:00  now", "2 hours"),
        (10, ".######+#++#", "  18:00  now", "2 hours"),
    ],
)
def test_a_narrow_terminal_gets_fewer_blocks(width: int, line: str, axis: str, label: str) -> None:
    lines = shown(a_day(), UP, width=width).splitlines()
    day = lines.index(f"  last day  {line}")
    assert lines[day + 1] == f"  UTC       {axis}"
    assert lines[day + 2].startswith(f"  {label}")
    assert all(len(text) <= max(width, 32) for text in lines)


def test_what_marks_a_block_has_a_colour() -> None:
    line, _, legend, _ = day_rows(a_day().day(NOW, UP.state), Frame(NOW, BLOCKS, UTC))
    assert line.marks == legend.marks == {"█": Tone.GOOD, "▆": Tone.BUSY, "▄": Tone.BUSY, "▁": Tone.BAD}
    assert all(len(set(characters.values())) == len(Level) for characters in (BLOCKS, ASCII))
    assert not any(c.isalnum() or c in " ,;:()" for c in ASCII.values())  # no letter of the legend gets a colour


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ({}, "it did not run on the last day"),
        ({0: Slot(up=0.25, down=0.25, losses=1)}, "50% of the 0.5s it ran; lost once"),
        ({0: Slot(up=600.0)}, "100% of the 10m it ran; never lost"),
        ({0: Slot(up=599.9, down=0.1)}, "99.98% of the 10m it ran; never lost"),
        (
            {0: Slot(up=1799.99, down=0.01, losses=1, longest=0.01)},
            "99.99% of the 30m it ran; lost once; longest outage 10ms",
        ),
        ({0: Slot(down=1800.0, losses=2, longest=1800)}, "0% of the 30m it ran; lost twice; longest outage 30m"),
        ({-n: Slot(up=1700.0, degraded=100.0, losses=1) for n in range(48)}, "94.4% of the last day; lost 48 times"),
    ],
)
def test_the_day_in_numbers(slots: dict[int, Slot], words: str) -> None:
    history = History(slots={PRESENT + number: slot for number, slot in slots.items()}, at=NOW, state=S.UP)
    assert in_numbers(history.day(NOW), NOW) == words


LOST = Incident(NOW - 100, What.LOST, S.UP, 11520.0, LOSS)


@pytest.mark.parametrize(
    ("incident", "words"),
    [
        (LOST, f"lost after 3h 12m: {LOSS}; not back for 1m 40s now"),
        (
            replace(LOST, tries=1, last_reason="no"),
            f"lost after 3h 12m: {LOSS}; not back for 1m 40s now, 1 try failed (no)",
        ),
        (
            replace(LOST, tries=4, then=What.UP, took_s=0.4),
            f"lost after 3h 12m: {LOSS}; back after 0.4s, 4 tries failed",
        ),
        (replace(LOST, then=What.UP), f"lost after 3h 12m: {LOSS}; back"),
        (replace(LOST, then=What.DEGRADED), f"lost after 3h 12m: {LOSS}; then SSH was there, the gateway not"),
        (replace(LOST, then=What.FAILED), f"lost after 3h 12m: {LOSS}; then it failed"),
        (replace(LOST, then=What.CLOSED), f"lost after 3h 12m: {LOSS}; closed before it was up"),
        (replace(LOST, then=What.VANISHED), f"lost after 3h 12m: {LOSS}"),
        (replace(LOST, lasted_s=None, reason="", then=What.UP), "lost; back"),
        (replace(LOST, before=S.DEGRADED, then=What.UP), f"lost while degraded: {LOSS}; back"),
        (
            replace(LOST, what=What.DEGRADED, reason="gone"),
            "degraded after 3h 12m: gone; not well again for 1m 40s now",
        ),
        (replace(LOST, what=What.DEGRADED, reason="gone", then=What.LOST), "degraded after 3h 12m: gone"),
        (
            Incident(NOW - 9, What.UNREACHED, S.STOPPED, None, "no", 7, "nay", What.UP, 500.0),
            "could not connect: no; up after 8m 20s, 7 tries failed (nay)",
        ),
        (Incident(NOW - 9, What.STARTED, S.STOPPED), "started; not up for 9s now"),
        (Incident(NOW - 9, What.RESTARTED, S.UP, 60.0, then=What.UP, took_s=0.3), "restarted after 1m; up after 0.3s"),
        (
            Incident(NOW - 9, What.FAILED, S.CONNECTING, 0.3, "the key is locked"),
            "failed: the key is locked; not up for 9s now",
        ),
        (Incident(NOW - 9, What.CLOSED, S.UP, 60.0), "closed after 1m"),
        (Incident(NOW - 9, What.CLOSED, S.BACKOFF, 60.0), "closed"),
        (Incident(NOW - 9, What.UP), "up"),
        (Incident(NOW - 9, What.VANISHED, S.UP), "ended without closing: killed, or the computer went down"),
        (Incident(NOW - 9, What.SLEPT, lasted_s=28920.0), "the computer woke up after 8h 2m of sleep"),
        (replace(LOST, reason="a\x1b[2Jb", then=What.UP), "lost after 3h 12m: a?[2Jb; back"),
    ],
)
def test_what_happened_in_a_sentence(incident: Incident, words: str) -> None:
    assert sentence(incident, NOW) == words


def test_only_what_still_goes_on_is_red() -> None:
    entries = [
        Entry(NOW - 90, S.UP, S.VERIFYING, 0.1, took_s=1.0),
        Entry(NOW - 60, S.BACKOFF, S.UP, 30.0, message=LOSS),
        Entry(NOW - 50, S.UP, S.VERIFYING, 0.1, took_s=10.0),
        Entry(NOW - 40, S.BACKOFF, S.UP, 10.0, message=LOSS),
    ]
    rows = tables("default", read(entries), Frame(NOW, ASCII, UTC), MOST, replace(UP, state=S.BACKOFF))[1]
    assert [(row.label, row.tone) for row in rows] == [
        ("today", Tone.PLAIN),
        ("12:08:30", Tone.PLAIN),
        ("12:09:00", Tone.PLAIN),
        ("12:09:20", Tone.BAD),
    ]
    starts = read([Entry(NOW - 2, S.CONNECTING, S.STOPPED)])
    rows = tables("default", starts, Frame(NOW, ASCII, UTC), MOST, replace(UP, state=S.CONNECTING))[1]
    assert (rows[1].text, rows[1].tone) == ("started; not up for 2s now", Tone.PLAIN)


def test_a_tunnel_that_does_not_run() -> None:
    closed = read([Entry(NOW - 600, S.UP, S.VERIFYING), Entry(NOW - 300, S.STOPPED, S.UP, 300.0, known_s=300.0)])
    lines = shown(closed).splitlines()
    assert lines[0] == "default  not running; closed 5m ago"
    assert lines[-1] == "  12:05:00  closed after 5m"
    killed = read([Entry(NOW - 600, S.UP, S.VERIFYING)])
    lines = shown(killed).splitlines()
    assert lines[0] == "default  not running; seen last 10m ago"
    assert lines[-1] == "  12:00:00  ended without closing: killed, or the computer went down"


def test_a_tunnel_of_which_nothing_is_recorded() -> None:
    assert shown(History(), UP) == "default  up for 1h 40m\n  history   nothing is recorded yet"
    assert shown(History()) == "default  not running\n  history   nothing is recorded yet"


def test_the_newest_are_shown_and_where_more_are_to_be_had() -> None:
    entries = [Entry(NOW - 100 + n, S.STOPPED, S.UP, float(n)) for n in range(30)]
    lines = shown(read(entries), most=2).splitlines()
    assert lines[-3:] == [
        "  12:08:48  closed after 28s",
        "  12:08:49  closed after 29s",
        "  more      openclaw-tunnel status default --history",
    ]
    assert "more" not in shown(read(entries))
    assert shown(read(entries)).count("closed after") == MOST
    assert "more" not in shown(read(entries[:2]), most=2)
