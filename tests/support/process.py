"""Programs that tests start: each with everything that descends from it, ended by id, also when the test fails."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.waiting import wait_until

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_STARTED = 17  # starttime in /proc/PID/stat, counted from the process group on


def real_servers_required() -> bool:
    """Whether a missing server fails a test (continuous integration) instead of skipping it."""
    return os.environ.get("OPENCLAW_TUNNEL_TEST_REAL") == "1"


def missing(what: str) -> None:
    """Skip the test because ``what`` is missing here, or fail it where everything has to be there."""
    import pytest  # late: programs of the tests import this module as well, and start six times as fast without it

    if real_servers_required():
        pytest.fail(f"{what} (OPENCLAW_TUNNEL_TEST_REAL=1 demands it)")
    pytest.skip(what)


def program(name: str) -> str:
    """The absolute path of a program, the administrator's folders included; skips or fails without it."""
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":" + _SBIN)
    if found is None:
        missing(f"{name} is not installed")
    return str(found)


def root_required(why: str) -> None:
    """Skip or fail the test where it does not run as root."""
    if os.geteuid() != 0:
        missing(f"needs root: {why}")


def make(argv: Sequence[str | Path]) -> str:
    """Run a short program that has to succeed (ssh-keygen and the like); its output."""
    done = subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"{argv} failed: {done.stdout}{done.stderr}"
    return done.stdout


class Child:
    """One running program, started in a session of its own, and everything that descends from it.

    Servers such as sshd put each connection into a session of its own, so that a process group is not enough:
    descendants are found by their parent, and remembered for as long as they live.

    Args:
        argv: program and arguments.
        log: file that gets stdout and stderr, appended, so that a restart keeps the earlier lines.
        env: the whole environment; None: this process's.
        terminal: a descriptor that stands in for stdin, stdout and stderr instead of the log.
        descriptors: what the program inherits beside those three.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        log: Path,
        env: Mapping[str, str] | None = None,
        terminal: int | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        self.log = log
        self._remembered: set[_Process] = set()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                list(map(str, argv)),
                stdin=subprocess.DEVNULL if terminal is None else terminal,
                stdout=out if terminal is None else terminal,
                stderr=out if terminal is None else terminal,
                env=None if env is None else dict(env),
                pass_fds=descriptors,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the program itself; also the id of its process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the program itself still runs."""
        return self._process.poll() is None

    def output(self) -> str:
        """Everything it has said so far."""
        return self.log.read_text(errors="replace")

    def descendants(self) -> list[int]:
        """The ids of the living processes that it started, and they in turn; without the program itself."""
        table = _processes()
        family = {self.pid} | {known.pid for known in self._remembered if table.get(known.pid) == known}
        while grown := {entry.pid for entry in table.values() if entry.parent in family} - family:
            family |= grown
        family.discard(self.pid)
        self._remembered = {table[pid] for pid in family}
        return sorted(family)

    def signal_all(self, number: signal.Signals) -> None:
        """Signal the program and its descendants; those that are gone are fine."""
        for pid in [*([self.pid] if self.running else []), *self.descendants()]:
            send(pid, number)

    def stop(self, *, grace: float = 40.0) -> None:
        """End the program alone, with SIGTERM, after ``grace`` seconds with SIGKILL; idempotent."""
        self.descendants()
        if self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
                return
            self._process.kill()
            self._process.wait(40)

    def wait(self, timeout: float = 40.0) -> int:
        """Wait until the program has ended; its exit code, the signal's negative number if one ended it.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        return self._process.wait(timeout)

    def end_with(self, number: signal.Signals, timeout: float = 40.0) -> int:
        """Signal the program alone, as Ctrl-C or a service manager does, and :meth:`wait`."""
        send(self.pid, number)
        return self.wait(timeout)

    def end(self) -> None:
        """End the program, politely, and then whatever it left behind; idempotent."""
        self.stop()
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the program and its descendants, and wait until it is gone; idempotent."""
        if self.running:
            send(self.pid, signal.SIGSTOP)  # so that it starts nothing more while its descendants are counted
        self.signal_all(signal.SIGKILL)
        self._process.wait(40)


@dataclass(frozen=True, slots=True)
class _Process:
    """One line of the process table; start time and id tell one from another, the parent may change."""

    pid: int
    started: int
    parent: int = field(compare=False)


def _processes() -> dict[int, _Process]:
    """All living processes by id; a zombie is none."""
    found = (_read_process(pid) for pid in running_pids())
    return {entry.pid: entry for entry in found if entry is not None}


def _read_process(pid: int) -> _Process | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent, *rest = stat.rpartition(")")[2].split()
    return None if state == "Z" else _Process(pid, int(rest[_STARTED]), int(parent))


def running_pids() -> list[int]:
    """The ids of all processes. Empty where there is no /proc."""
    proc = Path("/proc")
    return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()] if proc.is_dir() else []


def send(pid: int, number: signal.Signals) -> None:
    """Signal one process; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def pids_with_environment(entry: str) -> list[int]:
    """The ids of living processes that were started with ``entry`` ("NAME=value") in their environment."""
    wanted = entry.encode()
    return [pid for pid in running_pids() if pid != os.getpid() and wanted in _environment(pid)]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def kill_and_wait_gone(pids: Sequence[int]) -> None:
    """SIGKILL for processes that are not children of this one, and wait until they are gone."""
    for pid in pids:
        send(pid, signal.SIGKILL)
    wait_until(lambda: not any(_environment(pid) for pid in pids), 5, f"the end of processes {pids}")


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, for a failure's message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
