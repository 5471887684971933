"""The history: what is kept of it, and how the last day is added up. Nothing here has a clock."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core.history.day import KEPT, KEPT_FOR, SLOTS, Day, History, read
from openclaw_tunnel.core.history.entries import BEAT, SLOT, Entry, Level, Record, Slot, Slots, moment, read_record
from openclaw_tunnel.core.states import TRANSITIONS, State

NOON = moment("2026-11-22T12:00:00Z")
HOUR = 3600.0


class Diary:
    """Records as a daemon makes them: ``wait`` lets time pass, with a sign of life every ``BEAT``; ``to`` changes
    the state; ``sleep`` and ``jump`` move the clock of the wall alone; ``die`` ends the process."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now
        self.state = State.STOPPED
        self.records: list[Record] = []
        self._known = 0.0
        self._down = 0.0

    def wait(self, seconds: float) -> Self:
        while seconds > 0:
            step = min(seconds, BEAT - self._known)
            seconds -= step
            self.now += step
            self._known += step
            self._down += step
            if self._known >= BEAT and self.state is not State.STOPPED:
                self._write(self.state)
            elif self._known >= BEAT:
                self._known = 0.0
        return self

    def to(self, *states: State, code: str = "") -> Self:
        for state in states:
            took = self._down if self.state is not State.UP and state in (State.UP, State.STOPPED) else None
            if self.state in (State.UP, State.STOPPED):
                self._down = 0.0
            self._write(state, code, took)
            self.state = state
        return self

    def connect(self) -> Self:
        return self.to(State.CONNECTING, State.VERIFYING, State.UP)

    def jump(self, seconds: float) -> Self:
        self.now += seconds
        return self

    def sleep(self, seconds: float) -> Self:
        """The computer sleeps, and somebody tells of it."""
        self._write(self.state)
        self.now += seconds
        self.records.append(Entry(self.now, self.state, self.state, asleep_s=seconds))
        return self

    def die(self) -> Self:
        """The process is killed; the next one knows nothing of it."""
        self.state, self._known = State.STOPPED, 0.0
        return self

    def compact(self, most_bytes: int = 10**6) -> Self:
        """The file is rewritten, and read again from its text."""
        lines = [record.line() for record in read(self.records).records(most_bytes)]
        assert sum(len(line) + 1 for line in lines) <= most_bytes
        self.records = [read_record(line) for line in lines]
        return self

    @property
    def history(self) -> History:
        return read(self.records)

    @property
    def day(self) -> Day:
        return self.history.day(self.now, None if self.state is State.STOPPED else self.state)

    def _write(self, state: State, code: str = "", took: float | None = None) -> None:
        known, self._known = self._known, 0.0
        self.records.append(Entry(self.now, state, self.state, None, known, took, code))


def looks(day: Day) -> str:
    letters = {Level.UP: "#", Level.MOSTLY_UP: "+", Level.DEGRADED: "~", Level.DOWN: "!", Level.NONE: "."}
    return "".join(letters[block.slot.level] for block in day.blocks)


def states(history: History) -> list[State | None]:
    return [entry.state for entry in history.entries]


def told(history: History) -> list[Entry]:
    return [replace(entry, known_s=0.0) for entry in history.entries]


def test_nothing() -> None:
    history = read([])
    assert history == History()
    assert looks(history.day(NOON)) == "." * SLOTS
    assert history.day(NOON).total == Slot()
    assert history.records(1000) == []
    assert history.ended() == history


def test_a_good_day_is_up_all_the_time() -> None:
    diary = Diary().connect().wait(30 * HOUR)
    assert looks(diary.day) == "#" * 47 + "."  # half past begins just now
    assert diary.day.total == Slot(up=47 * SLOT)
    assert [block.start for block in diary.day.blocks] == [diary.now - (47 - n) * SLOT for n in range(48)]
    assert states(diary.history) == [State.CONNECTING, State.VERIFYING, State.UP]


def test_time_is_split_where_slots_meet() -> None:
    diary = Diary(NOON + 1000).connect().wait(2000)
    last = diary.day.blocks[-2:]
    assert [(block.start, block.length, block.slot) for block in last] == [
        (NOON, SLOT, Slot(up=800.0)),
        (NOON + SLOT, SLOT, Slot(up=1200.0)),
    ]


def test_each_state_counts_as_what_it_means_for_a_client() -> None:
    for state, slot in {
        State.UP: Slot(up=60.0),
        State.VERIFYING: Slot(degraded=60.0),
        State.DEGRADED: Slot(degraded=60.0),
        State.CONNECTING: Slot(down=60.0),
        State.BACKOFF: Slot(down=60.0),
        State.FAILED: Slot(down=60.0),
        State.STOPPING: Slot(),
        State.STOPPED: Slot(),
    }.items():
        told = read([Entry(NOON + 60, State.STOPPED, state, known_s=60.0)]).day(NOON + 60).total
        assert replace(told, losses=0) == slot, state


def test_a_short_loss_is_an_entry_and_paints_nothing() -> None:
    diary = Diary().connect().wait(HOUR).to(State.BACKOFF, code="lost").wait(0.5).connect().wait(HOUR)
    assert looks(diary.day).strip(".") == "####"
    assert diary.day.total == Slot(2 * HOUR, 0.0, 0.5, 1, 0.5)
    assert states(diary.history)[3:] == [State.BACKOFF, State.VERIFYING, State.UP]


def test_a_gateway_that_is_away_and_a_host_that_is_away() -> None:
    diary = Diary().connect().wait(HOUR).to(State.DEGRADED).wait(HOUR).to(State.UP).wait(HOUR)
    diary.to(State.BACKOFF).wait(HOUR).connect().wait(SLOT - 600).to(State.BACKOFF).wait(600)
    assert looks(diary.day).strip(".") == "##~~##!!+"
    assert diary.day.total.losses == 2
    assert diary.day.total.longest == HOUR


def test_an_outage_ends_when_the_tunnel_is_up_or_closed() -> None:
    diary = Diary().connect().wait(60).to(State.BACKOFF).wait(100).to(State.CONNECTING, State.VERIFYING).wait(20)
    diary.to(State.DEGRADED).wait(30).to(State.UP).wait(60)
    assert diary.day.total.longest == 150.0
    diary.to(State.BACKOFF).wait(400).to(State.STOPPED)
    assert diary.day.total.longest == 400.0
    assert diary.history.outage_at is None


def test_the_present_outage_counts_as_far_as_it_got() -> None:
    diary = Diary().connect().wait(60).to(State.BACKOFF).wait(50).to(State.CONNECTING).wait(1)
    assert diary.day.total.longest == 51.0
    assert diary.history.day(diary.now).total.longest == 0.0  # nobody knows, as nothing runs


def test_connecting_for_the_first_time_and_a_restart_are_no_outage() -> None:
    diary = Diary().to(State.CONNECTING).wait(8).to(State.VERIFYING, State.UP).wait(60)
    diary.to(State.CONNECTING).wait(9).to(State.VERIFYING, State.UP)
    assert diary.day.total == Slot(up=60.0, down=17.0)
    diary.to(State.CONNECTING).wait(9)
    assert diary.day.total.longest == 0.0


def test_a_slow_start_is_an_outage_from_its_beginning() -> None:
    diary = Diary().to(State.CONNECTING).wait(10).to(State.BACKOFF).wait(20).connect()
    assert diary.day.total.longest == 30.0


def test_tries_that_fail_for_one_reason_are_one_entry() -> None:
    diary = Diary().connect().to(State.BACKOFF, code="lost")
    for code in ("refused", "refused", "refused", "dns", "refused"):
        diary.to(State.CONNECTING).wait(1).to(State.BACKOFF, code=code).wait(30)
    tail = diary.history.entries[3:]
    assert [(e.code, e.tries) for e in tail] == [("lost", 1), ("refused", 3), ("dns", 1), ("refused", 1)]
    assert tail[1].at == NOON + 1
    before = diary.history
    after = diary.compact().history
    assert (told(after), after.outage_at) == (told(before), before.outage_at)


def test_tries_of_a_stopped_tunnel_are_one_entry() -> None:
    """One every 5 min: a weekend of them would push out everything that came before."""
    failed = Entry(NOON, State.FAILED, State.CONNECTING, code="auth_denied")
    timed_out = Entry(NOON + 2, State.BACKOFF, State.CONNECTING, code="auth_denied")
    again = Entry(NOON + 1, State.CONNECTING, State.FAILED)
    entries = read([failed, again, replace(failed, at=NOON + 2), again, failed, again, timed_out]).entries
    assert [(entry.state, entry.tries) for entry in entries] == [(State.FAILED, 3), (State.BACKOFF, 1)]


def test_the_last_message_of_such_tries_is_told_and_each_is_counted() -> None:
    tries = [Entry(NOON + n, State.BACKOFF, State.CONNECTING, code="dns", message=f"{n}", tries=n) for n in (1, 2, 3)]
    assert [(e.at, e.message, e.tries) for e in read(tries).entries] == [(NOON + 1, "3", 6)]


def test_a_killed_daemon_was_not_up_until_the_next_one() -> None:
    diary = Diary().connect().wait(HOUR + 200).die().wait(3 * HOUR).connect().wait(HOUR)
    assert looks(diary.day).strip(".") == "##......###"  # 12:00 to 13:00, then from 16:03 on
    assert diary.day.total.up == 2 * HOUR
    gone = diary.history.entries[3]
    assert (gone.at, gone.state, gone.before) == (NOON + HOUR, None, State.UP)
    again = diary.compact().history
    assert states(again) == states(diary.history)
    assert again.day(diary.now, State.UP).total.up == 2 * HOUR


def test_a_daemon_that_was_killed_and_has_no_successor() -> None:
    diary = Diary().connect().wait(HOUR).to(State.BACKOFF)
    ended = diary.history.ended()
    assert states(ended)[-2:] == [State.BACKOFF, None]
    assert (ended.entries[-1].at, ended.state, ended.outage_at) == (diary.now, None, None)
    assert ended.ended() == ended
    closed = diary.to(State.STOPPED).history
    assert closed.ended() == closed


def test_up_to_now_only_where_it_runs_and_the_last_record_is_fresh() -> None:
    diary = Diary().connect().wait(BEAT)
    at = diary.now
    up = [
        diary.history.day(at + later, state).total.up
        for later, state in (
            (100, State.UP),
            (100, None),
            (100, State.BACKOFF),
            (2 * BEAT + 1, State.UP),
            (-9, State.UP),
        )
    ]
    assert up == [BEAT + 100, BEAT, BEAT, BEAT, BEAT]


def test_a_computer_that_sleeps_is_not_up() -> None:
    """Even if nobody tells of the sleep: the clock of the wall runs ahead of what records vouch for."""
    diary = Diary().connect().wait(HOUR + 100).jump(8 * HOUR).wait(HOUR)
    assert looks(diary.day) == "." * 27 + "##" + "." * 16 + "###"
    assert diary.day.total == Slot(up=2 * HOUR + 100)


def test_a_sleep_that_is_told_is_an_entry_and_ends_the_time_before_it() -> None:
    diary = Diary().connect().wait(HOUR + 100).sleep(8 * HOUR).wait(HOUR)
    assert looks(diary.day) == "." * 27 + "###" + "." * 15 + "###"
    assert diary.day.total == Slot(up=2 * HOUR + 100)
    assert [(e.at, e.asleep_s) for e in diary.history.entries[3:]] == [(NOON + 9 * HOUR + 100, 8 * HOUR)]


def test_a_sleep_during_an_outage_does_not_end_it() -> None:
    diary = Diary().connect().to(State.BACKOFF).wait(100).sleep(HOUR).wait(100)
    assert diary.day.total.down == 200
    diary.to(State.CONNECTING, State.VERIFYING, State.UP)
    assert diary.day.total.longest == 200


@pytest.mark.parametrize("jump", [-HOUR, -5 * 86400.0, 5 * 86400.0, 40 * 365 * 86400.0])
def test_a_clock_that_is_set_neither_adds_nor_invents_time(jump: float) -> None:
    diary = Diary().connect().wait(SLOT).jump(jump).wait(SLOT).to(State.BACKOFF).wait(60).connect().wait(60)
    whole = sum(diary.history.slots.values(), Slot())
    assert whole.known <= 2 * SLOT + 120
    assert whole.up >= 2 * SLOT - BEAT
    assert whole.longest == 60.0
    assert diary.day.total.known >= SLOT - BEAT
    assert len(diary.history.slots) < 10


def test_a_record_never_vouches_for_what_an_earlier_one_told() -> None:
    records = [
        Entry(NOON, State.UP, State.VERIFYING),
        Entry(NOON + 100, State.BACKOFF, State.UP, known_s=100.0),
        Entry(NOON + 200, State.UP, State.BACKOFF, known_s=1000.0),
    ]
    assert read(records).day(NOON + 200).total == Slot(100.0, 0.0, 100.0, 1)


def test_a_record_vouches_for_days_at_most() -> None:
    history = read([Entry(NOON, State.UP, State.UP, known_s=1e10)])
    assert sum(slot.up for slot in history.slots.values()) == pytest.approx(KEPT_FOR)


@pytest.mark.parametrize("count", [48, 24, 12])
def test_fewer_blocks_are_longer_ones(count: int) -> None:
    diary = Diary(NOON + SLOT).connect().wait(3 * HOUR).to(State.BACKOFF).wait(60)
    day = diary.history.day(diary.now, State.BACKOFF, count)
    length = 24 * HOUR / count
    assert len(day.blocks) == count
    assert {block.length for block in day.blocks} == {length}
    assert all(block.start % length == 0 for block in day.blocks)
    assert day.blocks[-1].start <= diary.now < day.blocks[-1].start + length
    assert day.total == Slot(3 * HOUR, 0.0, 60.0, 1, 60.0)


def test_entries_are_bounded_and_the_day_is_not_lost_with_them() -> None:
    diary = Diary().connect().wait(5 * HOUR)
    for _ in range(KEPT):
        diary.to(State.BACKOFF, code="lost").wait(1).connect().wait(1)
    assert len(diary.history.entries) == KEPT
    before = diary.day
    assert looks(before).strip(".")[:10] == "#" * 10
    assert before.total.losses == KEPT
    diary.compact(20_000)
    assert 50 < len(diary.history.entries) < 300
    assert diary.day.total == before.total
    assert looks(diary.day) == looks(before)


def test_entries_and_slots_grow_old() -> None:
    diary = Diary().connect().wait(HOUR).to(State.DEGRADED).wait(KEPT_FOR - HOUR).to(State.UP).wait(HOUR).compact()
    assert states(diary.history) == [State.DEGRADED, State.UP]
    assert min(diary.history.slots) >= diary.now // SLOT - SLOTS
    assert max(diary.history.slots) <= diary.now // SLOT


def test_a_state_that_lasts_longer_than_entries_are_kept_is_still_known() -> None:
    diary = Diary().connect().wait(2 * KEPT_FOR).compact()
    assert states(diary.history) == [State.UP]
    assert diary.day.total.up == 47 * SLOT


def test_slots_of_a_clock_that_was_far_ahead_do_not_stay() -> None:
    diary = Diary(NOON + 30 * 365 * 86400).connect().wait(HOUR).jump(-30 * 365 * 86400).wait(HOUR).compact()
    assert len(diary.history.slots) <= 3


def test_without_its_record_of_slots_a_rewritten_file_still_tells_what_happened() -> None:
    diary = Diary().connect().wait(HOUR).to(State.BACKOFF).wait(10).connect().compact()
    entries = [record for record in diary.records if not isinstance(record, Slots)]
    assert told(read(entries)) == told(diary.history)
    assert len(entries) == len(diary.records) - 1


def walk(steps: Sequence[tuple[int, int, int]]) -> Diary:
    """A tunnel's life: at each step a move the table allows, a time, and now and then a rewritten file."""
    diary = Diary()
    for choice, seconds, compact in steps:
        moves = sorted(set(TRANSITIONS[diary.state].values()))
        diary.to(moves[choice % len(moves)], code=f"c{choice % 2}").wait(seconds)
        if compact == 0:
            diary.compact()
    return diary


STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5000), st.integers(0, 9)), max_size=40)


@given(STEPS)
def test_whatever_happens_the_times_add_up(steps: list[tuple[int, int, int]]) -> None:
    diary = walk(steps)
    counted = sum(diary.history.slots.values(), Slot())
    assert counted.known <= diary.now - NOON + 1.0
    for slot in diary.history.slots.values():
        assert slot.known <= SLOT + 1.0
    assert sum(len(record.line()) for record in diary.records) < 10**6


@given(STEPS, st.integers(0, 2**32))
def test_rewriting_the_file_at_any_time_changes_nothing_that_is_shown(
    steps: list[tuple[int, int, int]], seed: int
) -> None:
    chance = random.Random(seed)
    never = walk([(choice, seconds, 1) for choice, seconds, _ in steps])
    often = walk([(choice, seconds, chance.randrange(2)) for choice, seconds, _ in steps])
    assert told(often.history) == told(never.history)
    for ours, theirs in zip(often.day.blocks, never.day.blocks, strict=True):
        assert ours.slot.known == pytest.approx(theirs.slot.known, abs=3.0)
    assert often.day.total.losses == never.day.total.losses
    assert often.day.total.longest == pytest.approx(never.day.total.longest, abs=1.0)
