"""The history on the disk: what is written, what survives, and that nothing of it reaches the tunnel."""

import logging
import os
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.history.day import KEPT_FOR
from openclaw_tunnel.core.history.entries import BEAT, Entry, moment, read_record
from openclaw_tunnel.core.states import State
from openclaw_tunnel.host.historyfile import MAX_BYTES, Recorder, forget_old, history_file, load, recorded

S = State
NOON = moment("2026-11-22T12:00:00Z")
LOST = Failure(Code.LOST, "the connection was lost")
REFUSED = Failure(Code.REFUSED, "gateway.example:22 refused the connection")
LOGGER = logging.getLogger("test.history")


class Clocks:
    """A wall clock and one that stands still in sleep."""

    def __init__(self) -> None:
        self.wall = NOON
        self.awake = 5000.0

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.awake += seconds

    def recorder(self, path: Path) -> Recorder:
        return Recorder(path, LOGGER, wall=lambda: self.wall, awake=lambda: self.awake)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return history_file(tmp_path, "default")


def connect(recorder: Recorder, before: State = S.STOPPED) -> None:
    for old, new in ((before, S.CONNECTING), (S.CONNECTING, S.VERIFYING), (S.VERIFYING, S.UP)):
        recorder.note(old, new)


def written(path: Path) -> list[Entry]:
    records = [read_record(line) for line in path.read_bytes().splitlines()]
    return [record for record in records if isinstance(record, Entry)]


def test_each_change_is_a_line(clocks: Clocks, path: Path) -> None:
    recorder = clocks.recorder(path)
    recorder.note(S.STOPPED, S.CONNECTING)
    clocks.go(0.3)
    recorder.note(S.CONNECTING, S.VERIFYING)
    clocks.go(0.1)
    recorder.note(S.VERIFYING, S.UP)
    clocks.go(100)
    recorder.note(S.UP, S.BACKOFF, LOST)
    clocks.go(0.4)
    recorder.note(S.BACKOFF, S.CONNECTING, LOST)  # the machine keeps the failure while it tries again
    recorder.note(S.CONNECTING, S.VERIFYING)
    clocks.go(0.2)
    recorder.note(S.VERIFYING, S.UP)
    clocks.go(50)
    recorder.note(S.UP, S.STOPPING)
    recorder.note(S.STOPPING, S.STOPPED)
    assert written(path) == [
        Entry(NOON, S.CONNECTING, S.STOPPED),
        Entry(NOON + 0.3, S.VERIFYING, S.CONNECTING, 0.3, 0.3),
        Entry(NOON + 0.4, S.UP, S.VERIFYING, 0.1, 0.1, 0.4),
        Entry(NOON + 100.4, S.BACKOFF, S.UP, 100.0, 100.0, None, "lost", LOST.message),
        Entry(NOON + 100.8, S.CONNECTING, S.BACKOFF, 0.4, 0.4),
        Entry(NOON + 100.8, S.VERIFYING, S.CONNECTING, 0.0, 0.0),
        Entry(NOON + 101.0, S.UP, S.VERIFYING, 0.2, 0.2, 0.6),
        Entry(NOON + 151.0, S.STOPPING, S.UP, 50.0, 50.0),
        Entry(NOON + 151.0, S.STOPPED, S.STOPPING, 0.0, 0.0),
    ]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_tunnel_that_is_given_up_tells_how_long_it_was_away(clocks: Clocks, path: Path) -> None:
    recorder = clocks.recorder(path)
    recorder.note(S.STOPPED, S.CONNECTING)
    clocks.go(7)
    recorder.note(S.CONNECTING, S.BACKOFF, REFUSED)
    clocks.go(20)
    recorder.note(S.BACKOFF, S.STOPPED)
    assert written(path)[-1].took_s == 27.0
    assert load(path).history.day(clocks.wall).total.longest == 27.0


def test_a_sign_of_life_now_and_then_and_none_of_what_is_closed(clocks: Clocks, path: Path) -> None:
    recorder = clocks.recorder(path)
    recorder.beat()
    connect(recorder)
    clocks.go(30)
    recorder.beat()
    clocks.go(BEAT)
    recorder.beat()
    assert written(path)[3:] == [Entry(NOON + 30 + BEAT, S.UP, S.UP, known_s=30 + BEAT)]
    recorder.note(S.UP, S.STOPPING)
    recorder.note(S.STOPPING, S.STOPPED)
    clocks.go(BEAT)
    recorder.beat()
    assert len(written(path)) == 6
    assert load(path).history.day(clocks.wall).total.up == 30 + BEAT


def test_the_time_of_a_sleep_belongs_to_no_state(clocks: Clocks, path: Path) -> None:
    recorder = clocks.recorder(path)
    connect(recorder)
    clocks.go(100)
    clocks.wall += 3600
    recorder.slept(3600)
    clocks.go(50)
    recorder.note(S.UP, S.BACKOFF, LOST)
    told = load(path).history
    assert told.day(clocks.wall).total.up == 150.0
    assert told.entries[-1].lasted_s == 150.0
    assert [(e.at, e.asleep_s) for e in told.entries if e.asleep_s] == [(NOON + 3700, 3600.0)]


def test_a_nap_and_the_sleep_of_a_tunnel_that_is_closed_are_not_told(clocks: Clocks, path: Path) -> None:
    recorder = clocks.recorder(path)
    recorder.slept(3600)
    connect(recorder)
    recorder.slept(0.9)
    assert len(written(path)) == 3


def test_a_sleep_that_is_told_after_what_it_caused(clocks: Clocks, path: Path) -> None:
    recorder = clocks.recorder(path)
    connect(recorder)
    clocks.go(BEAT)
    recorder.beat()
    clocks.wall += 3600
    recorder.note(S.UP, S.BACKOFF, LOST)
    recorder.slept(3600)
    clocks.go(10)
    recorder.note(S.BACKOFF, S.CONNECTING)
    total = load(path).history.day(clocks.wall).total
    assert (total.up, total.down) == (BEAT, 10.0)


def test_the_next_process_goes_on_where_the_last_one_was_killed(clocks: Clocks, path: Path) -> None:
    connect(clocks.recorder(path))
    clocks.wall += 7200
    clocks.awake = 3.0  # the computer was started anew
    second = clocks.recorder(path)
    connect(second)
    clocks.go(60)
    second.note(S.UP, S.BACKOFF, LOST)
    told = load(path)
    assert told.skipped == 0
    assert [entry.state for entry in told.history.entries] == [
        *(S.CONNECTING, S.VERIFYING, S.UP, None),
        *(S.CONNECTING, S.VERIFYING, S.UP, S.BACKOFF),
    ]
    assert told.history.entries[4].lasted_s is None
    assert told.history.day(clocks.wall).total.up == 60.0


@pytest.mark.parametrize("left", [1, 30, -1])
def test_a_line_that_was_cut_off_costs_that_line_alone(
    clocks: Clocks, path: Path, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever was left of the last line, its newline excepted or not."""
    connect(clocks.recorder(path))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:left])
    whole = 3 if left == -1 else 2
    assert load(path).skipped == 3 - whole
    again = clocks.recorder(path)
    again.note(S.STOPPED, S.CONNECTING)
    told = load(path)
    assert told.skipped == 0
    assert [entry.state for entry in told.history.entries] == [
        *(S.CONNECTING, S.VERIFYING, S.UP)[:whole],
        *(None, S.CONNECTING),
    ]
    assert len(caplog.messages) == 3 - whole


def test_a_line_that_cannot_be_read_is_dropped_and_the_log_says_so_once(
    clocks: Clocks, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connect(clocks.recorder(path))
    good = path.read_bytes()
    path.write_bytes(b'\xff\xfe\0\n{"v":0,"was":"up"}\n\n' + good + b'{"at":"2026-11-22T13:00:00Z","state":"odd"}\n')
    assert load(path).skipped == 3
    clocks.recorder(path)
    clocks.recorder(path)
    assert caplog.messages == [f"lines of the history that cannot be read, dropped: 3, in {path}"]
    assert len(load(path).history.entries) == 3
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("seed", range(5))
def test_garbage_never_hurts(clocks: Clocks, path: Path, seed: int) -> None:
    chance = random.Random(seed)
    connect(clocks.recorder(path))
    data = bytearray(path.read_bytes() * 20)
    for _ in range(200):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)
    connect(clocks.recorder(path))
    assert load(path).skipped == 0
    assert load(path).history.entries[-1].state is S.UP


def test_the_file_stays_small_and_keeps_the_newest(clocks: Clocks, path: Path) -> None:
    recorder = clocks.recorder(path)
    connect(recorder)
    long = Failure(Code.LOST, "x" * 1000)
    largest = 0
    for _ in range(700):
        clocks.go(60)
        recorder.note(S.UP, S.BACKOFF, long)
        clocks.go(1)
        connect(recorder, S.BACKOFF)
        largest = max(largest, path.stat().st_size)
    assert MAX_BYTES // 2 < largest <= MAX_BYTES
    told = load(path)
    assert (told.skipped, told.history.entries[-1].at) == (0, clocks.wall)
    assert len(told.history.entries) > 100
    total = told.history.day(clocks.wall).total
    assert total.losses == 700
    assert total.up == pytest.approx(700 * 60, abs=5)
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_much_too_long_is_read_from_its_end(clocks: Clocks, path: Path) -> None:
    connect(clocks.recorder(path))
    path.write_bytes(b"x" * 50 * MAX_BYTES + b"\n" + path.read_bytes())
    assert len(load(path).history.entries) == 3
    clocks.recorder(path)
    assert path.stat().st_size < 1000
    assert len(load(path).history.entries) == 3


def test_a_file_that_others_could_read_becomes_private(clocks: Clocks, path: Path) -> None:
    path.touch(mode=0o666)
    path.chmod(0o666)
    connect(clocks.recorder(path))
    assert path.stat().st_mode & 0o777 == 0o600


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process can grow beyond ``size`` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_lines_and_nothing_else(clocks: Clocks, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = clocks.recorder(path)
    connect(recorder)
    with files_end_at(path.stat().st_size + 20):
        clocks.go(10)
        recorder.note(S.UP, S.BACKOFF, LOST)  # 20 bytes of it
        recorder.note(S.BACKOFF, S.CONNECTING)
        recorder.beat()
        recorder.slept(100)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the history cannot be written, the tunnel goes on without: ")
    clocks.go(5)
    recorder.note(S.CONNECTING, S.VERIFYING)
    recorder.note(S.VERIFYING, S.UP)
    told = load(path)
    assert told.skipped == 1
    assert [entry.state for entry in told.history.entries][3:] == [S.VERIFYING, S.UP]
    assert told.history.entries[-1].took_s == 5.0
    assert told.history.day(clocks.wall).total.up == 0.0  # the line that told of it is lost


def lowest_free_descriptor() -> int:
    """A number that grows with each file that is left open."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def test_what_cannot_be_a_file_never_hurts(clocks: Clocks, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder, a pipe nobody reads, a folder that is gone: none of them raises or waits."""
    path.mkdir()
    free = lowest_free_descriptor()
    connect(clocks.recorder(path))
    assert lowest_free_descriptor() == free
    path.rmdir()
    os.mkfifo(path)
    connect(clocks.recorder(path))
    with pytest.raises(OSError, match="not a file"):
        load(path)
    path.unlink()
    gone = path.parent / "gone" / path.name
    connect(clocks.recorder(gone))
    assert load(gone).history.at is None
    assert [message.rpartition(": ")[0] for message in caplog.messages] == [
        "the history cannot be written, the tunnel goes on without: [Errno 21] Is a directory",
        "the history cannot be written, the tunnel goes on without: [Errno 22] not a file",
        "the history cannot be written, the tunnel goes on without: [Errno 2] No such file or directory",
    ]


@pytest.mark.parametrize("wall", [-1.0, 1e18, float("nan")])
def test_a_clock_that_no_calendar_knows_never_hurts(clocks: Clocks, path: Path, wall: float) -> None:
    recorder = clocks.recorder(path)
    connect(recorder)
    clocks.wall = wall
    recorder.note(S.UP, S.BACKOFF, LOST)
    recorder.slept(10)
    clocks.wall = NOON + 60
    recorder.note(S.BACKOFF, S.CONNECTING)
    assert load(path).history.at == NOON + 60


def test_a_reason_may_hold_any_character(clocks: Clocks, path: Path) -> None:
    recorder = clocks.recorder(path)
    recorder.note(S.CONNECTING, S.BACKOFF, Failure(Code.PROXY, "ncat: \udcff\n\x1b[2J ☎"))
    assert path.read_bytes().count(b"\n") == 1
    assert load(path).history.entries[0].message == "ncat: \udcff\n\x1b[2J ☎"


def test_names_that_differ_in_case_only_have_two_files(tmp_path: Path) -> None:
    names = ["DEV", "Dev", "a-B_c", "default", "dev"]
    files = [history_file(tmp_path, name) for name in names]
    assert len({file.name.lower() for file in files}) == len(names)
    for file in (
        *files,
        *(tmp_path / other for other in ("history-x.txt", "history-.jsonl", "history-a\x1b[2j.jsonl", "a.log")),
    ):
        file.touch()
    assert recorded(tmp_path) == names
    assert recorded(tmp_path / "none") == []


def test_old_files_are_removed(tmp_path: Path) -> None:
    old, new, other = history_file(tmp_path, "old"), history_file(tmp_path, "new"), tmp_path / "device.json"
    for file in (old, new, other):
        file.touch()
        os.utime(file, (NOON, NOON - (KEPT_FOR - 10 if file is new else KEPT_FOR + 10)))
    forget_old(tmp_path, NOON)
    assert sorted(tmp_path.iterdir()) == [other, new]
    forget_old(tmp_path / "none", NOON)
