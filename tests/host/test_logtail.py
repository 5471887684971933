"""The log's end, through rotations; followed as it grows: tests/cli/commands/test_logs.py."""

from pathlib import Path

from openclaw_tunnel.host.logtail import last_lines

LINES = [f"2026-11-22T06:00:0{number}Z INFO dev: {number}" for number in range(3)]


def test_older_files_are_read_too_and_a_half_line_is_left_for_later(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "log.2").write_text(LINES[0] + "\n")
    (tmp_path / "log.1").write_text(LINES[1] + "\n")
    log.write_text(LINES[2] + "\n2026-11-22T06:0")
    assert last_lines(log, 50) == (LINES[:3], len(LINES[2]) + 1)
    assert last_lines(log, 2) == (LINES[1:3], len(LINES[2]) + 1)
    assert last_lines(log, 50, lambda lines: (line for line in lines if line == LINES[1]))[0] == [LINES[1]]
    assert last_lines(tmp_path / "none", 5) == ([], 0)
