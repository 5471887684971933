"""Records: what is written down and read again, and what a stretch of time looks like."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core.history.entries import Entry, Level, Slot, Slots, moment, read_record, stamp
from openclaw_tunnel.core.states import State

AT = moment("2026-11-22T06:00:01.250Z")
PLAIN = Entry(AT, State.CONNECTING, State.STOPPED)
FULL = Entry(AT, State.BACKOFF, State.UP, 11520.3, 120.2, 0.4, "lost", "the connection was lost: Ü", 7, 28800.0)
SLOTS = Slots(AT, {991234: Slot(1700.5, 20.0, 30.5, 2, 30.5), -3: Slot(losses=1)})


def test_a_time_is_rfc_3339_to_the_millisecond() -> None:
    assert stamp(AT) == "2026-11-22T06:00:01.250Z"
    assert moment(stamp(AT)) == AT
    assert moment("2026-11-22T07:00:01.25+01:00") == AT


@pytest.mark.parametrize("record", [PLAIN, FULL, replace(PLAIN, state=None), SLOTS])
def test_a_line_is_read_as_what_was_written(record: Entry | Slots) -> None:
    assert "\n" not in record.line()
    assert read_record(record.line()) == record
    assert read_record(record.line().encode()) == record


def test_a_line_says_no_more_than_need_be() -> None:
    assert json.loads(PLAIN.line()) == {"at": "2026-11-22T06:00:01.250Z", "state": "connecting", "before": "stopped"}
    assert json.loads(SLOTS.line())["slots"] == [[-3, 0.0, 0.0, 0.0, 1, 0.0], [991234, 1700.5, 20.0, 30.5, 2, 30.5]]


def test_a_message_is_not_written_at_any_length() -> None:
    line = replace(FULL, message="x" * 5000).line()
    assert len(line) < 600
    assert read_record(line) == read_record(line.replace("x" * 300, "x" * 5000)) == replace(FULL, message="x" * 300)


def test_the_json_for_programs_has_every_field_each_time() -> None:
    assert FULL.to_json() == {
        "at": "2026-11-22T06:00:01.250Z",
        "state": "backoff",
        "before": "up",
        "lasted_s": 11520.3,
        "took_s": 0.4,
        "code": "lost",
        "message": "the connection was lost: Ü",
        "tries": 7,
        "asleep_s": 28800.0,
    }
    nothing = dict.fromkeys(("lasted_s", "took_s", "code", "message", "asleep_s"))
    assert PLAIN.to_json() == {**FULL.to_json(), **nothing, "state": "connecting", "before": "stopped", "tries": 1}


def test_what_a_newer_version_adds_is_passed_over() -> None:
    assert read_record(json.dumps({**json.loads(FULL.line()), "new": [1]})) == FULL


@pytest.mark.parametrize(
    "changed",
    [
        {"at": "yesterday"},
        {"at": "2026-11-22T06:00:01"},
        {"at": "1969-11-22T06:00:01Z"},
        {"at": "9999-12-31T23:00:00Z"},
        {"at": 5},
        {"at": None},
        {"state": "asleep"},
        {"before": None},
        {"before": []},
        {"lasted_s": -1},
        {"lasted_s": "1"},
        {"known_s": float("nan")},
        {"known_s": float("inf")},
        {"known_s": 1e11},
        {"took_s": True},
        {"tries": 0},
        {"tries": 1.5},
        {"asleep_s": [1]},
        {"slots": 1},
        {"slots": [1]},
        {"slots": [[]]},
        {"slots": [[1, 2.0, 3.0]]},
        {"slots": [[1.5, 1.0, 1.0, 1.0, 1, 1.0]]},
        {"slots": [[1, 1.0, 1.0, -1.0, 1, 1.0]]},
        {"slots": [[1, 1.0, 1.0, 1.0, True, 1.0]]},
        {"slots": [{}]},
    ],
)
def test_a_line_that_is_no_record(changed: object) -> None:
    assert isinstance(changed, dict)
    with pytest.raises(ValueError, match=r"."):
        read_record(json.dumps({**json.loads(FULL.line()), **changed}))


@pytest.mark.parametrize(
    "line", ["", "{", "{}", "[]", "5", '"slots"', "null", "[" * 100000, b"\xff\xfe{}", FULL.line()[:-9]]
)
def test_a_line_that_is_nothing(line: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_record(line)


@given(st.binary() | st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_any_line_is_a_record_or_an_error(line: str | bytes) -> None:
    try:
        read_record(line)
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("before", "state", "is_loss"),
    [
        (State.UP, State.BACKOFF, True),
        (State.DEGRADED, State.BACKOFF, True),
        (State.VERIFYING, State.FAILED, True),
        (State.UP, State.DEGRADED, False),
        (State.UP, State.STOPPING, False),
        (State.UP, State.CONNECTING, False),
        (State.CONNECTING, State.BACKOFF, False),
    ],
)
def test_a_loss_is_a_connection_that_is_gone_unasked(before: State, state: State, is_loss: bool) -> None:
    assert Entry(AT, state, before).is_loss is is_loss


@pytest.mark.parametrize(
    ("slot", "look"),
    [
        (Slot(), Level.NONE),
        (Slot(up=0.9), Level.NONE),
        (Slot(losses=3), Level.NONE),
        (Slot(up=1.0), Level.UP),
        (Slot(up=1799.6, down=0.4, losses=1), Level.UP),
        (Slot(up=1790.1, degraded=5.0, down=4.9), Level.UP),
        (Slot(up=1790.0, degraded=5.0, down=5.0), Level.MOSTLY_UP),
        (Slot(up=900.0, down=900.0), Level.MOSTLY_UP),
        (Slot(up=890.0, down=910.0), Level.DOWN),
        (Slot(up=890.0, degraded=455.0, down=455.0), Level.DOWN),
        (Slot(up=890.0, degraded=500.0, down=410.0), Level.DEGRADED),
        (Slot(degraded=1800.0), Level.DEGRADED),
        (Slot(up=100.0, down=101.0), Level.DOWN),
        (Slot(down=2.0), Level.DOWN),
    ],
)
def test_how_a_slot_looks(slot: Slot, look: Level) -> None:
    assert slot.level is look


def test_slots_add_up_and_the_longest_outage_stays() -> None:
    assert Slot(1.0, 2.0, 3.0, 4, 5.0) + Slot(10.0, 20.0, 30.0, 40, 4.0) == Slot(11.0, 22.0, 33.0, 44, 5.0)
    assert Slot(1.0, 2.0, 3.0).known == 6.0
