"""The user's commands: real programs, each in a folder of its own."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_tunnel.host.hooks import MOST_CHARACTERS, MOST_LINES, Hook, HookRunner
from openclaw_tunnel.host.process import is_running
from support.aio import async_test, pass_time, settle
from support.process import kill_and_wait_gone

logger = logging.getLogger("test.hooks")
LONG = 60.0


class Home:
    """Where the programs work; what they write there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def sh(self, script: str, event: str = "up", stdin: bytes = b"", **env: str) -> Hook:
        return Hook(event, ("sh", "-c", script), {**self.env, **env}, stdin)

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def pid(self, name: str) -> int:
        """A process id that a program wrote there, once it is whole."""
        text = self.read(name)
        return int(text) if text.endswith("\n") else 0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO)
    return lambda: [
        f"{record.levelname} {record.getMessage()}" for record in caplog.records if record.name != "asyncio"
    ]


@async_test
async def test_a_program_gets_its_input_its_environment_and_nothing_of_ours(home: Home) -> None:
    script = (
        "import os, sys\n"
        "open('in', 'w').write(sys.stdin.read())\n"
        "fds = [n for n in range(3, 256) if os.path.exists(f'/dev/fd/{n}')]\n"
        "open('rest', 'w').write(repr((os.getcwd(), os.environ['X'], os.getsid(0) == os.getpgid(0) == os.getpid(), "
        "fds)))\n"
    )
    stdin = b'{"a": "' + b"x" * 200_000 + b'"}\n'
    ours = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(ours, True)
    runner = HookRunner(logger)
    runner.add(Hook("up", (sys.executable, "-c", script), {**home.env, "X": "it"}, stdin))
    await runner.close(LONG)
    os.close(ours)
    assert home.read("in") == stdin.decode()
    assert home.read("rest") == repr((str(home.folder), "it", True, []))


@async_test
async def test_input_that_nobody_reads_is_no_trouble(home: Home, said: Callable[[], list[str]]) -> None:
    runner = HookRunner(logger)
    runner.add(home.sh("exec 0<&-; echo read nothing", stdin=b"x" * 200_000))
    await runner.close(LONG)
    assert said() == ["INFO hook up: read nothing"]


@async_test
async def test_one_at_a_time_in_order_and_of_those_that_wait_the_last_of_each_event(home: Home) -> None:
    runner = HookRunner(logger)
    runner.add(home.sh("echo $N >> runs; while [ ! -e go ]; do sleep 0.01; done", N="first"))
    await settle(lambda: home.read("runs"))
    for number in range(100):
        for event in ("down", "up"):
            runner.add(home.sh("echo $N >> runs", event, N=f"{event} {number}"))
    runner.add(home.sh("echo $N >> runs", "failure", N="failure"))
    runner.add(home.sh("echo $N >> runs", "down", N="down at last"))
    assert home.read("runs") == "first\n"
    (home.folder / "go").touch()
    await runner.close(LONG)
    assert home.read("runs").splitlines() == ["first", "up 99", "failure", "down at last"]


@async_test
async def test_after_a_pause_it_goes_on(home: Home) -> None:
    runner = HookRunner(logger)
    for number in ("1", "2"):
        runner.add(home.sh("echo $N >> runs", N=number))
        await settle(lambda: home.read("runs").endswith(f"{number}\n"))  # noqa: B023
    await runner.close(LONG)


@async_test
async def test_one_that_takes_too_long_is_ended_with_all_that_it_started(
    home: Home, said: Callable[[], list[str]]
) -> None:
    runner = HookRunner(logger, deadline=20.0, grace=0.1)
    runner.add(home.sh("trap '' TERM; sleep 61 & echo $! > child; echo begun; echo $$ > self; sleep 62"))
    runner.add(home.sh("echo next", "down"))
    await pass_time(20, lambda: home.pid("self"))
    await runner.close(LONG)
    assert home.pid("self")
    await settle(lambda: not is_running(home.pid("child")), "the end of what it started")
    assert not is_running(home.pid("self"))
    assert said() == [
        "WARNING hook up took longer than 20 s, and was ended",
        "INFO hook up: begun",
        "INFO hook down: next",
    ]


@async_test
async def test_one_that_ends_when_asked_to_is_not_killed(home: Home) -> None:
    runner = HookRunner(logger, deadline=20.0, grace=LONG)
    runner.add(home.sh("trap 'echo in order > end; exit' TERM; echo $$ > self; while :; do sleep 0.01; done"))
    await pass_time(20, lambda: home.pid("self"))
    await runner.close(LONG)
    assert home.read("end") == "in order\n"


@async_test
async def test_what_it_leaves_running_is_left_alone_and_holds_nobody_up(home: Home) -> None:
    runner = HookRunner(logger, deadline=LONG)
    runner.add(home.sh("sleep 63 & echo $! > child"))
    runner.add(home.sh("touch next", "down"))
    await settle(lambda: (home.folder / "next").exists(), "the next one to run")
    await runner.close(LONG)
    assert is_running(home.pid("child"))
    kill_and_wait_gone([home.pid("child")])


@async_test
async def test_what_it_leaves_running_may_print_as_long_as_it_likes(home: Home, said: Callable[[], list[str]]) -> None:
    runner = HookRunner(logger, deadline=LONG)
    before = len(os.listdir("/dev/fd"))
    runner.add(home.sh("(until test -e go; do sleep 0.01; done; seq 100000 && touch printed) & echo begun"))
    await settle(lambda: said() == ["INFO hook up: begun"])
    (home.folder / "go").touch()
    await settle(lambda: (home.folder / "printed").exists(), "all to be printed")
    await settle(lambda: len(os.listdir("/dev/fd")) == before, "the pipe to be closed")
    runner.add(home.sh("sleep 63 & echo $! > child"))
    await settle(lambda: home.pid("child"))
    await runner.close(LONG)
    assert len(os.listdir("/dev/fd")) == before
    kill_and_wait_gone([home.pid("child")])


@async_test
async def test_failures_are_told_and_the_next_one_runs(home: Home, said: Callable[[], list[str]]) -> None:
    (home.folder / "text").touch(0o600)
    runner = HookRunner(logger)
    bad = [
        home.sh("echo why >&2; exit 3"),
        home.sh("kill -KILL $$", "down"),
        Hook("failure", ("/no/such/program",), home.env),
        Hook("a", (str(home.folder / "text"),), home.env),
        Hook("b", ("sh", "a\0b"), home.env),
        Hook("c", ("no-such-program",), home.env),
    ]
    for hook in bad:
        runner.add(hook)
    runner.add(home.sh("pwd", "last", HOME="/no/such/home"))
    await runner.close(LONG)
    assert said() == [
        "INFO hook up: why",
        "WARNING hook up ended with code 3: sh",
        "WARNING hook down was ended by signal 9: sh",
        "WARNING hook failure cannot be run: /no/such/program: No such file or directory",
        f"WARNING hook a cannot be run: {home.folder}/text: Permission denied",
        "WARNING hook b cannot be run: sh: an argument cannot be passed on",
        "WARNING hook c cannot be run: no-such-program: No such file or directory",
        "INFO hook last: /",
    ]


@async_test
async def test_of_what_it_prints_the_beginning_is_kept_and_it_never_waits(
    home: Home, said: Callable[[], list[str]]
) -> None:
    runner = HookRunner(logger)
    runner.add(home.sh("for n in $(seq 30); do echo line $n; echo; done; seq 1000000", "many"))
    runner.add(home.sh("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end", "long"))
    runner.add(home.sh(r"printf '\377one\rtwo'", "odd"))
    await runner.close(LONG)
    found = said()
    assert found[:2] == ["INFO hook many: line 1", "INFO hook many: line 2"]
    assert found[MOST_LINES - 1 : MOST_LINES + 1] == ["INFO hook many: line 20", "INFO hook many: (and more)"]
    assert found[MOST_LINES + 1 :] == [
        "INFO hook long: " + "x" * MOST_CHARACTERS,
        "INFO hook long: (and more)",
        "INFO hook odd: \ufffdone",
        "INFO hook odd: two",
    ]


@async_test
async def test_at_the_end_there_is_some_time_and_no_more(home: Home, said: Callable[[], list[str]]) -> None:
    runner = HookRunner(logger, grace=0.1)
    runner.add(home.sh("echo $$ > self; exec sleep 64"))
    runner.add(home.sh("touch next", "down"))
    await settle(lambda: home.pid("self"))
    await runner.close(0.1)
    assert not is_running(home.pid("self"))
    assert said() == ["WARNING a hook is ended: the daemon ends; not run any more: down"]
    assert not (home.folder / "next").exists()
    await runner.close(0.1)


@async_test
async def test_where_nobody_can_wait_it_is_killed_with_all_that_it_started(home: Home) -> None:
    runner = HookRunner(logger)
    runner.kill()
    runner.add(home.sh("trap '' TERM; sleep 66 & echo $! > child; echo $$ > self; wait"))
    await settle(lambda: home.pid("self"))
    runner.kill()
    await settle(lambda: not is_running(home.pid("self")) and not is_running(home.pid("child")))
    await runner.close(LONG)
    runner.kill()
