"""What the terminal can show (ui/terminal.py); the rest of it in test_output.py."""

import pytest

from openclaw_tunnel.ui.terminal import can_draw_blocks


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
