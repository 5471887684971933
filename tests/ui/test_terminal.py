"""What the terminal can show (ui/terminal.py); the rest of it in test_output.py."""

import os
import pty
import termios

import pytest

from openclaw_tunnel.ui.output import flowed
from openclaw_tunnel.ui.terminal import can_draw_blocks, columns, size_of


@pytest.mark.parametrize(
    ("encoding", "term", "can"),
    [
        ("utf-8", "xterm-256color", True),
        ("UTF-8", "tmux", True),
        ("ascii", "xterm", False),
        ("latin-1", "xterm", False),
        ("no such", "xterm", False),
        (None, "xterm", False),
        ("utf-8", "dumb", False),
        ("utf-8", "linux", False),
        ("utf-8", "", False),
    ],
)
def test_where_blocks_can_be_drawn(encoding: str | None, term: str, can: bool) -> None:
    assert can_draw_blocks(encoding, {"TERM": term}) is can
    assert not can_draw_blocks("utf-8", {})


def test_the_size_of_what_is_no_window() -> None:
    with open(os.devnull) as nothing:
        assert size_of(nothing) == (80, 24)


def test_the_width_is_that_of_the_stream_that_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of standard error, too, while standard output goes into a pipe."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 12))
    with open(ours, "rb", buffering=0), open(theirs, "w") as stream:
        monkeypatch.delenv("COLUMNS", raising=False)
        assert columns(stream) == 12
        assert flowed("error: it is so", stream) == "error: it is\nso"
        monkeypatch.setenv("COLUMNS", "40")
        assert columns(stream) == 40
