"""Files are never half written and never readable by others."""

import os
from pathlib import Path

import pytest

from openclaw_tunnel.host.files import write_atomic, write_new


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


def test_it_can_do_without_waiting_for_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_atomic(path, b"old")
    write_atomic(path, b"new", sync=False)
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
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


def test_a_new_file_takes_no_other_s_place(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_new(path, b"first", mode=0o644)
    assert (path.read_bytes(), mode(path)) == (b"first", 0o644)
    with pytest.raises(FileExistsError) as caught:
        write_new(path, b"second")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
