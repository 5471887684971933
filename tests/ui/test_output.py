"""Where words go and how they look, on a terminal and elsewhere (ui/output.py)."""

import contextlib
import io
import os
import pty
import re
import termios
import time
from collections.abc import Mapping

import pytest

from openclaw_tunnel.core.history.entries import Entry
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, Snapshot
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.host.historyfile import history_file
from openclaw_tunnel.ui import output
from support.cli import Cli, command, environment
from support.fakedaemon import FakeDaemon, serving
from support.process import Child
from support.waiting import wait_until

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
FAILED = Snapshot(
    "default",
    State.FAILED,
    "2026-11-22T06:00:01Z",
    "me@gateway.example:22",
    "gw",
    (FORWARD,),
    failure=FailureStatus(
        "host_key_unknown",
        "the host key of gateway.example:22 is not known: ssh-ed25519 SHA256:abcdefghijklmnopqrstuvwxyz0123456789",
        "compare the fingerprint with the host's own, then remember the key: openclaw-tunnel trust gw",
        True,
        22,
    ),
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class OldTerminal(Terminal):
    """One that has letters only."""

    encoding = "ascii"


@pytest.mark.parametrize(
    ("env", "redraws", "colours"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"TERM": "xterm", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, False),
        ({"TERM": "xterm", "LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, True, True),
        ({"TERM": "xterm", "LANG": "C.UTF-8", "LC_ALL": "POSIX"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({}, False, False),
    ],
)
def test_what_a_terminal_can_do(env: Mapping[str, str], redraws: bool, colours: bool) -> None:
    assert output.can_redraw(Terminal(), env) is redraws
    assert output.colourful(Terminal(), env) is colours
    assert not output.can_redraw(io.StringIO(), env)
    assert not output.colourful(io.StringIO(), env)
    assert not output.colourful(OldTerminal(), env)


def test_a_closed_stream_is_no_terminal() -> None:
    closed = Terminal()
    closed.close()
    assert not output.is_terminal(io.TextIOWrapper(io.BytesIO()))
    broken = io.StringIO()
    broken.close()
    assert not output.is_terminal(broken)


def test_an_error_is_a_line_an_empty_line_and_a_hint() -> None:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        output.print_error(TunnelError("no\x1b[2J", hint="do\nthis"))
        output.print_error(TunnelError("no"))
        output.note("by the way")
        output.warn("careful")
        output.waits_for_you("")
        output.waits_for_you(f"visit https://{'a' * 100}\x1b")
    assert said.getvalue() == (
        "error: no?[2J\n\nhint: do?this\nerror: no\nnote: by the way\nwarning: careful\n"
        f"waiting for you: visit https://{'a' * 100}?\n"
    )


def test_on_a_terminal_lines_end_between_words_and_a_hint_stays_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with contextlib.redirect_stderr(Terminal()) as said:
        output.print_error(TunnelError("no " * 39 + "no", hint="do " * 40))
        output.note("a" * 90)
        output.warn("b " * 39 + "b")
    shown = COLOUR.sub("", said.getvalue()).splitlines()
    assert shown[:4] == ["error: " + "no " * 23 + "no", "no " * 15 + "no", "", "hint: " + "do " * 40]
    assert shown[4:] == ["note:", "a" * 90, "warning: " + "b " * 35 + "b", "b b b b"]


@pytest.mark.parametrize("env", [{"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_history_on_a_terminal_of_80_columns(cli: Cli, env: dict[str, str]) -> None:
    cli.tunnel_home.mkdir(mode=0o700)
    at = time.time() - 60
    entries = [
        Entry(at - 60, State.UP, State.CONNECTING),
        Entry(at, State.FAILED, State.UP, 60.0, 60.0, message="x " * 60),
    ]
    lines = "".join(entry.line() + "\n" for entry in entries)
    history_file(cli.tunnel_home, "default").write_text(lines)
    said = _on_a_terminal(cli, env, "status", "--history")
    assert bool(COLOUR.search(said)) is (env == {"TERM": "xterm"})
    shown = COLOUR.sub("", said).replace("\r", "").splitlines()
    assert all(len(line) <= 80 for line in shown)
    assert shown[0].startswith("default  failed for ")
    assert shown[3].startswith("  30 min    # up" if env["TERM"] == "dumb" else "  30 min    █ up")
    assert shown[-2].startswith("            x x")
    assert ("\x1b[31mfailed: x" in said) is (env == {"TERM": "xterm"})  # it still is


@pytest.mark.parametrize("env", [{"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_status_on_a_terminal_of_80_columns(cli: Cli, env: dict[str, str]) -> None:
    said = _on_a_terminal(cli, env, "status")
    assert bool(COLOUR.search(said)) is (env == {"TERM": "xterm"})
    lines = COLOUR.sub("", said).replace("\r", "").splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("default  failed for ")
    assert lines[-4:] == [
        "  hint      compare the fingerprint with the host's own, then remember the key:",
        "            openclaw-tunnel trust gw",
        "  then      it tries again only on request, because each try asks a person",
        "  now       openclaw-tunnel restart default",
    ]


def test_watching_on_a_terminal_draws_in_place(cli: Cli) -> None:
    said = _on_a_terminal(cli, {"TERM": "xterm"}, "status", "--watch", interrupt=True)
    first, second = (at.start() for at in re.finditer("default  ", said))
    assert said[first:second].count("\x1b[1A") == said.count("\n", 0, second)
    assert said.count("Ctrl-C") == 1
    assert said.endswith("\x1b[J\x1b[?7h\r\n")
    assert "\x1b[?25" not in said  # the cursor is never hidden: who is killed could not give it back


PLAIN = [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"LANG": "C"}, {"LC_ALL": "C"}]


@pytest.mark.parametrize("env", [{}, *PLAIN], ids=str)
def test_rich_is_loaded_only_where_it_is_wanted(cli: Cli, env: dict[str, str]) -> None:
    said = _on_a_terminal(cli, {"TERM": "xterm", "PYTHONVERBOSE": "1", **env}, "status")
    assert ("import 'rich.console'" in said) is (not env)
    assert "default  failed for " in COLOUR.sub("", said)


def _on_a_terminal(cli: Cli, env: dict[str, str], *arguments: str, interrupt: bool = False) -> str:
    """What a command prints on a terminal of 80 columns; ``interrupt``: Ctrl-C once it has drawn."""
    cli.tunnel_home.mkdir(mode=0o700, exist_ok=True)
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with serving(cli.tunnel_home, FakeDaemon([FAILED])):
        try:
            child = Child(command(*arguments), cli.home / "log", environment(cli.home, env), terminal=theirs)
        finally:
            os.close(theirs)
        said = b""
        try:
            while chunk := _read(ours):
                said += chunk
                if interrupt and b"Ctrl-C" in said:
                    os.kill(child.pid, 2)
                    interrupt = False
            wait_until(lambda: not child.running)
        finally:
            child.kill()
            os.close(ours)
    return said.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux: the other end is closed
        return b""
