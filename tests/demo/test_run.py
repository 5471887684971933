"""``demo`` from outside (cli/commands/demo.py): what it shows is true, and nothing of it is left."""

import asyncio
import os
import pty
import re
import signal
import threading
from pathlib import Path

import pytest

from openclaw_tunnel.demo.run import DemoFailed, show
from openclaw_tunnel.demo.sshserver import DemoServer
from support.aio import async_test, pass_time
from support.cli import Cli, command, environment
from support.gateway import http_get
from support.process import Child
from support.waiting import accepts, wait_until

# In demo/run.py: the whole story.
STORY = (
    r"a small gateway listens on 127\.0\.0\.1:\d+",
    r"an SSH server that leads there, and nowhere else, listens on",
    r"demo is up: http://127\.0\.0\.1:(?P<local>\d+) -> demo@127\.0\.0\.1:\d+",
    r"gateway +healthy, version demo",
    r"GET http://127\.0\.0\.1:\d+/ is answered: (?P<greeting>Hello from the gateway, your number is \d{6}\.)",
    r"the SSH server drops the connection and refuses new ones",
    r"demo is in backoff",
    r"a client connects to 127\.0\.0\.1:\d+ all the same: it is accepted, and waits",
    r"the SSH server is back",
    r"the client is answered after \d\.\d s: (?P=greeting)",
    r"demo is up",
    r"1 connection lost, 2 made, 1 client held, none refused",
)
TOLD = re.compile(".*?".join(STORY), re.DOTALL)


@pytest.fixture
def temporary(cli: Cli) -> Path:
    """A folder for temporary files of the demo alone."""
    folder = cli.home / "tmp"
    folder.mkdir()
    cli.env["TMPDIR"] = str(folder)
    return folder


def test_it_tells_the_whole_story_and_leaves_nothing(cli: Cli, temporary: Path) -> None:
    answer = cli("demo")
    assert answer.exit_code == 0, answer
    story = TOLD.search(answer.stdout)
    assert story, answer.stdout
    assert answer.stderr == ""
    assert "nothing of it is left" in answer.stdout
    assert not accepts(int(story["local"]))
    assert list(temporary.iterdir()) == []
    assert cli.processes() == []
    assert not cli.tunnel_home.exists()


def test_it_needs_no_program_but_python(cli: Cli, temporary: Path) -> None:
    empty = cli.home / "bin"
    empty.mkdir()
    answer = cli("demo", env={"PATH": str(empty), "HOME": "/nonexistent"})
    assert answer.exit_code == 0, answer


def test_keep_goes_on_until_it_is_interrupted(cli: Cli, temporary: Path) -> None:
    running = cli.start("demo", "--keep")
    wait_until(lambda: "goes on until Ctrl-C" in running.output(), 20, "the demo to be through")
    found = re.search(
        r"goes on until Ctrl-C: http://127\.0\.0\.1:(\d+)/\n.*?OPENCLAW_TUNNEL_HOME=(\S+)", running.output()
    )
    assert found, running.output()
    port, home = int(found[1]), found[2]
    assert http_get(port, "/healthz") == (200, b'{"ok":true,"status":"live"}')
    status = cli("status", env={"OPENCLAW_TUNNEL_HOME": home})
    assert (status.exit_code, "demo  up for" in status.stdout) == (0, True), status
    assert running.end_with(signal.SIGINT) == 0
    assert not accepts(port)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_an_interrupted_demo_says_so_and_leaves_nothing(
    cli: Cli, temporary: Path, number: signal.Signals, code: int
) -> None:
    running = cli.start("demo")
    wait_until(lambda: "demo is up" in running.output(), 20, "the tunnel")
    assert running.end_with(number) == code
    assert "Traceback" not in running.output()
    assert list(temporary.iterdir()) == []


def test_on_a_terminal_it_tells_the_same(cli: Cli, temporary: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        env = environment(cli.home, {**cli.env, "TERM": "xterm"})
        running = Child(command("demo"), cli.home / "log", env, terminal=theirs)
    finally:
        os.close(theirs)
    try:
        said = b""
        while chunk := _read(ours):
            said += chunk
        assert running.wait(15) == 0
    finally:
        running.kill()
        os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said.decode())
    assert plain != said.decode(), "colours on a terminal"
    assert TOLD.search(plain), plain


TOLD_TO = threading.Event()
"""Set when a server is told what it does not do."""


class NoOutage(DemoServer):
    """Stays, whatever it is told."""

    async def fail(self) -> None:
        """Only at the end, when the tunnel is closed."""
        TOLD_TO.set()
        if not self.connections:
            await super().fail()


@async_test
async def test_it_fails_where_there_was_no_outage(capsys: pytest.CaptureFixture[str]) -> None:
    TOLD_TO.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(pass_time(30, TOLD_TO.is_set))
        with pytest.raises(DemoFailed, match=r"not through after 30 s; .*drops the connection"):
            await show(make_server=NoOutage, deadline=30)
    assert "It works" not in capsys.readouterr().out


class NoReturn(DemoServer):
    """Does not come back from its outage."""

    begun = False

    async def begin(self) -> None:
        """Only once."""
        if self.begun:
            TOLD_TO.set()
        else:
            self.begun = True
            await super().begin()


@async_test
async def test_it_fails_where_the_client_was_not_served(capsys: pytest.CaptureFixture[str]) -> None:
    TOLD_TO.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(pass_time(30, TOLD_TO.is_set))
        with pytest.raises(DemoFailed, match=r"not through after 30 s; .*the SSH server is back"):
            await show(make_server=NoReturn, deadline=30)
    assert "It works" not in capsys.readouterr().out


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux: nobody has it open any more
        return b""
