"""Files are never half written and never readable by others."""

import json
import os
from pathlib import Path

import pytest

from openclaw_tunnel.host.files import append_json_line, write_atomic


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_file_is_new_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(0o644)
    before = path.stat().st_ino
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert path.stat().st_ino != before
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_is_what_was_asked_for_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "f", b"", mode=0o644)
    finally:
        os.umask(before)
    assert mode(tmp_path / "f") == 0o644


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "f", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomic(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "none" / "f", b"new")


def test_json_lines_are_appended_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history"
    for number in range(100):
        append_json_line(path, {"number": number}, max_bytes=200)
        assert path.stat().st_size <= 200
        kept = [json.loads(line)["number"] for line in path.read_text().splitlines()]
        assert kept == list(range(kept[0], number + 1))
    assert len(kept) >= 5
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_line_of_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit into 20"):
        append_json_line(tmp_path / "history", {"a": "x" * 20}, max_bytes=20)
    with pytest.raises(ValueError, match="JSON"):
        append_json_line(tmp_path / "history", {"a": float("nan")})
    assert not (tmp_path / "history").exists()


def test_a_file_of_one_endless_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b"x" * 300)
    append_json_line(path, {"a": 1}, max_bytes=200)
    assert path.read_text() == '{"a":1}\n'
