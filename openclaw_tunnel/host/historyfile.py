"""The history of each tunnel on the disk: a file of JSON lines, ``core.history.entries`` says which.

Lines are appended as things happen, each with one write: whatever kills this process costs one line at most, and a
line that is not whole is passed over by whoever reads. A file that has grown too long is replaced, in one step, by one
that says the same in fewer lines. Nothing waits for the disk, and nothing that goes wrong here reaches the tunnel.
"""

import contextlib
import errno
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.history.day import KEPT_FOR, History, read
from openclaw_tunnel.core.history.entries import Entry, Record, read_record
from openclaw_tunnel.core.states import State
from openclaw_tunnel.host.files import write_atomic

MAX_BYTES = 128 << 10
"""Bytes of one file; about a week of a tunnel that does well, and its last days if it does not."""

_HEAD, _TAIL = "history-", ".jsonl"
_FILE = re.compile(rf"{_HEAD}([a-z0-9=_-]+)\{_TAIL}")
_MOST_READ = 4 * MAX_BYTES
_QUIET = 60.0
_CLOSING = (State.STOPPED, State.STOPPING)
_ABOUT_A_FAILURE = (State.BACKOFF, State.DEGRADED, State.FAILED)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file of ``size`` bytes told, and how many of its lines could not be read."""

    history: History
    skipped: int
    size: int


def history_file(state_dir: Path, name: str) -> Path:
    """The file of the tunnel ``name``; names that differ in case only have two, on every file system."""
    return state_dir / (_HEAD + "".join(f"={c.lower()}" if c.isupper() else c for c in name) + _TAIL)


def recorded(state_dir: Path) -> list[str]:
    """The names of the tunnels that have a file, sorted."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for match in filter(None, map(_FILE.fullmatch, os.listdir(state_dir))):
            first, *more = match[1].split("=")
            found.append(first + "".join(part[:1].upper() + part[1:] for part in more))
    return sorted(found)


def load(path: Path) -> Loaded:
    """Read a history; none where there is no file.

    Raises:
        OSError: there is one, and it cannot be read.
    """
    records: list[Record] = []
    skipped = 0
    data = _last_bytes(path)
    for line in data.split(b"\n"):
        if line.strip():
            try:
                records.append(read_record(line))
            except ValueError:
                skipped += 1
    return Loaded(read(records), skipped, len(data))


def forget_old(state_dir: Path, now: float) -> None:
    """Remove the files of tunnels that have not run for as long as entries are kept; ``now``: seconds since 1970."""
    with contextlib.suppress(OSError):
        for path in state_dir.glob(f"{_HEAD}*{_TAIL}"):
            if path.stat().st_mtime < now - KEPT_FOR:
                path.unlink()


class Recorder:
    """Writes down what becomes of one tunnel. Its methods return at once and raise nothing.

    Call :meth:`note` after each change of the state, :meth:`beat` every ``core.history.entries.BEAT`` seconds,
    :meth:`slept` when the computer has slept. One recorder a file: who makes one holds the daemon's lock.
    """

    def __init__(
        self,
        path: Path,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger],
        *,
        wall: Callable[[], float] = time.time,
        awake: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on with the file where there is one, after a look whether it can be read.

        Args:
            wall: seconds since 1970.
            awake: seconds on a clock that never goes back, and stands still while the computer sleeps.
        """
        self._path = path
        self._log = logger
        self._wall = wall
        self._awake = awake
        self._state = State.STOPPED
        self._entered: float | None = None
        self._down_since: float | None = None
        self._written: float | None = None
        self._torn = True  # the last line of a process that was killed may have no end
        self._complained = False
        with self._harmless():
            self._look_through()

    def note(self, before: State, state: State, failure: Failure | None = None) -> None:
        """The state is no longer ``before`` but ``state``; ``failure`` is what that is about."""
        now = self._awake()
        told = failure if state in _ABOUT_A_FAILURE else None
        took = None
        if before in (State.UP, State.STOPPED):
            self._down_since = None if state in _CLOSING else now
        elif self._down_since is not None and (state is State.UP or state in _CLOSING):
            took, self._down_since = now - self._down_since, None
        lasted = None if self._entered is None else now - self._entered
        self._state, self._entered = state, now
        entry = Entry(
            at=self._wall(),
            state=state,
            before=before,
            lasted_s=None if lasted is None else round(lasted, 3),
            known_s=self._since_last(now),
            took_s=None if took is None else round(took, 3),
            code=str(told.code) if told else "",
            message=told.message if told else "",
        )
        self._append(entry)

    def beat(self) -> None:
        """The state is still the same."""
        now = self._awake()
        if self._written is not None and now - self._written >= _QUIET and self._state is not State.STOPPED:
            self._append(Entry(self._wall(), self._state, self._state, known_s=self._since_last(now)))

    def slept(self, seconds: float) -> None:
        """The computer slept for so long, until just now."""
        if self._state is State.STOPPED or seconds < 1.0:
            return
        now = self._wall()
        self._append(Entry(now - seconds, self._state, self._state, known_s=self._since_last(self._awake())))
        self._append(Entry(now, self._state, self._state, asleep_s=round(seconds, 3)))

    def _since_last(self, now: float) -> float:
        """Seconds since the last line; from now on this moment counts as that of the last one."""
        known = 0.0 if self._written is None else now - self._written
        self._written = now
        return round(known, 3)

    def _append(self, entry: Entry) -> None:
        with self._harmless():
            line = entry.line().encode() + b"\n"
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size + len(line) <= MAX_BYTES:
                    self._write(descriptor, b"\n" + line if self._torn and size else line)
                    return
            finally:
                os.close(descriptor)
            self._rewrite(load(self._path), line)

    def _write(self, descriptor: int, line: bytes) -> None:
        os.fchmod(descriptor, 0o600)
        self._torn = True
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._torn = self._complained = False

    def _look_through(self) -> None:
        """Replace a file that is long, or has lines nobody can read: of those the log tells once."""
        found = load(self._path)
        if found.skipped:
            self._log.warning("lines of the history that cannot be read, dropped: %s, in %s", found.skipped, self._path)
        if found.skipped or found.size > MAX_BYTES // 2:
            self._rewrite(found)

    def _rewrite(self, found: Loaded, more: bytes = b"") -> None:
        lines = [record.line().encode() + b"\n" for record in found.history.records(MAX_BYTES // 2)]
        write_atomic(self._path, b"".join([*lines, more]), sync=False)
        self._torn = False

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a full disk, a clock that no calendar knows, a bug: nothing that a tunnel minds
            if not self._complained:
                self._log.warning("the history cannot be written, the tunnel goes on without: %s", error)
            self._complained = True


def _last_bytes(path: Path) -> bytes:
    """The file, or the end of one that is longer than we leave it; empty where there is none."""
    try:
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))
    except FileNotFoundError:
        return b""
    with file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        file.seek(max(0, found.st_size - _MOST_READ))
        return file.read(_MOST_READ)
