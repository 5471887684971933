"""That something takes its time is seen, and leaves nothing behind (ui/progress.py)."""

import os
import pty
import re
import signal
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

import pytest

from openclaw_tunnel.ui.progress import AFTER, Line, Work, working
from support.cli import environment
from support.process import Child, send
from support.terminals import Terminal
from support.waiting import wait_until

ERASE = "\n\r\x1b[1A\x1b[2K"
"""How a line ends: the cursor is where it began, and nothing of it is left."""

_DRAWN = re.compile(r"\x1b\[\?7l(.) (.*?)\x1b\[J\x1b\[\?7h")


def drawn(text: str) -> list[str]:
    """What was seen beside the spinner, one after the other."""
    return [words for _, words in _DRAWN.findall(text)]


class OldTerminal(Terminal):
    """One that has letters only."""

    encoding = "ascii"


class Closed(Terminal):
    """One that is gone.

    Attributes:
        tried: how often somebody wrote all the same.
    """

    tried = 0

    def write(self, text: str) -> int:
        self.tried += 1
        raise OSError


def line(stream: Terminal, term: str = "xterm") -> Line:
    return Line(stream, {"TERM": term})


def test_what_takes_long_is_one_line_and_then_nothing() -> None:
    terminal = Terminal()
    shown, work = line(terminal), Work("asking the gateway", 100.0)
    shown.begin(work)
    shown.tick(100.0 + AFTER - 0.1)
    assert terminal.said() == ""
    shown.tick(100.0 + AFTER)
    assert drawn(terminal.said()) == ["asking the gateway 0s"]
    work.what = "asking once more"
    shown.tick(163.0)
    said = terminal.said()
    assert said.startswith("\r\x1b[2K")
    assert drawn(said) == ["asking once more 1m 3s"]
    shown.end(work)
    assert terminal.said().endswith(ERASE)
    shown.tick(164.0)
    assert terminal.said() == ""


def test_what_is_short_leaves_no_trace() -> None:
    terminal = Terminal()
    shown, work = line(terminal), Work("asking the gateway", 100.0)
    shown.begin(work)
    shown.tick(100.1)
    with shown.held():
        pass
    shown.end(work)
    assert terminal.said() == ""


def test_nothing_is_drawn_while_something_is_asked() -> None:
    terminal = Terminal()
    shown, work = line(terminal), Work("working", 100.0)
    shown.begin(work)
    shown.tick(101.0)
    terminal.said()
    with shown.held():
        with shown.held():
            assert terminal.said().endswith(ERASE)
        shown.tick(102.0)
        assert terminal.said() == ""
    shown.tick(103.0)
    assert drawn(terminal.said()) == ["working 3s"]


def test_the_inner_one_is_seen() -> None:
    terminal = Terminal()
    shown, outer, inner = line(terminal), Work("outer", 100.0), Work("inner", 103.0)
    shown.begin(outer)
    shown.begin(inner)
    shown.tick(104.0)
    shown.end(inner)
    shown.tick(105.0)
    assert drawn(terminal.said()) == ["inner 1s", "outer 5s"]


@pytest.mark.parametrize(("width", "seen"), [(20, "asking the g... 1s"), (8, "... 1s"), (3, " 1s")])
def test_it_stays_one_line_on_a_narrow_terminal_without_unicode(
    width: int, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width + 3))  # ^C, and the cursor
    terminal = OldTerminal()
    shown = line(terminal)
    shown.begin(Work("asking the gateway", 100.0))
    shown.tick(101.0)
    said = terminal.said()
    assert said.isascii()
    assert drawn(said) == [seen]


def test_other_peoples_words_cannot_steer_the_terminal() -> None:
    terminal = Terminal()
    shown = line(terminal)
    shown.begin(Work("connecting to \x1b[2Jme\n", 100.0))
    shown.tick(101.0)
    assert drawn(terminal.said()) == ["connecting to ?[2Jme? 1s"]


def test_wide_characters_are_as_wide_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal()
    shown = line(terminal)
    shown.begin(Work("日本語日本語日本語", 100.0))
    shown.tick(101.0)
    assert drawn(terminal.said()) == ["日本語日... 1s"]


def test_it_turns() -> None:
    terminal = Terminal()
    shown = line(terminal)
    shown.begin(Work("asking", 100.0))
    for now in (101.0, 101.1, 101.2):
        shown.tick(now)
    assert len({turn for turn, _ in _DRAWN.findall(terminal.said())}) == 3


def test_a_terminal_that_cannot_be_changed_is_told_once() -> None:
    terminal = Terminal()
    shown, work = line(terminal, "dumb"), Work("asking the gateway", 100.0)
    shown.begin(work)
    for now in (100.1, 101.0, 102.0):
        shown.tick(now)
    shown.end(work)
    assert terminal.said() == "asking the gateway ...\n"


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    terminal = Closed()
    shown, work = line(terminal), Work("asking", 100.0)
    shown.begin(work)
    shown.tick(101.0)
    assert terminal.tried
    shown.end(work)


ERASED = ERASE.replace("\n", "\r\n")

SCRIPT = """
import asyncio, sys
from openclaw_tunnel.ui import output
from openclaw_tunnel.ui import progress

async def think():
    typed = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, typed.set)
    await typed.wait()
    sys.stdin.readline()

try:
    with progress.working("thinking"):
        asyncio.run(think())
        output.note("a note")
        with progress.pause():
            sys.stderr.write("really? ")
            sys.stderr.flush()
            sys.stdin.readline()
        sys.stdin.readline()
        raise ValueError
except (ValueError, KeyboardInterrupt) as error:
    print("ended by", type(error).__name__)
"""


class OnATerminal:
    """The script above, on a terminal of its own."""

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        os.set_blocking(self._ours, False)
        self._said = b""
        self.child = Child([sys.executable, "-c", SCRIPT], home / "log", environment(home, env), terminal=theirs)
        os.close(theirs)

    def __enter__(self) -> "OnATerminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        os.close(self._ours)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def said(self) -> str:
        """Everything so far."""
        try:
            while chunk := os.read(self._ours, 65536):
                self._said += chunk
        except OSError:  # nothing for now, or nothing any more
            pass
        return self._said.decode(errors="replace")

    def wait_for(self, text: str, after: int = 0) -> int:
        wait_until(lambda: text in self.said()[after:], 20, f"{text} in {self._said!r}")
        return self.said().index(text, after) + len(text)


def test_around_asyncio_with_a_question_and_an_exception(tmp_path: Path) -> None:
    with OnATerminal(tmp_path, {"TERM": "xterm"}) as terminal:
        terminal.wait_for("thinking 1s")
        terminal.type("\n")
        end = terminal.wait_for(f"{ERASED}note: a note\r\n")
        end = terminal.wait_for("really? ", end)
        terminal.type("yes\n")
        end = terminal.wait_for("thinking", end)
        terminal.type("\n")
        wait_until(lambda: not terminal.child.running)
        terminal.wait_for("ended by ValueError\r\n", end)
        assert f"{ERASED}ended by ValueError\r\n" in terminal.said()
        assert terminal.child.wait() == 0


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with OnATerminal(tmp_path, {"TERM": "xterm"}) as terminal:
        terminal.wait_for("thinking 0s")
        send(terminal.child.pid, signal.SIGINT)
        wait_until(lambda: not terminal.child.running)
        terminal.wait_for(f"{ERASED}ended by ")


def test_in_a_pipe_nothing_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with working("asking") as work:
        assert work.what == "asking"
    assert capfd.readouterr().err == ""
