"""host/filecache.py: kept is what the files still are."""

import os
from pathlib import Path

import pytest

from openclaw_tunnel.host.filecache import FileCache, version_of

_LATER = 10_000_000_000
ONE, TWO = (1, 1, 1, 1, 1), (1, 1, 1, 1, 2)


def test_a_version_is_known_only_of_a_regular_file_that_has_settled(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    status = path.stat()
    now = status.st_ctime_ns
    settled = version_of(status, now + _LATER)
    assert settled
    assert version_of(status, now) is None  # it may be written again in the same instant of its clock
    assert version_of(tmp_path.stat(), now + _LATER) is None
    assert version_of(os.stat("/dev/null"), now + _LATER) is None


@pytest.mark.parametrize("change", ["grow", "replace", "rewrite"])
def test_every_change_is_another_version(tmp_path: Path, change: str) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    before = path.stat()
    if change == "grow":
        path.write_text("content, and more")
    elif change == "replace":
        (tmp_path / "new").write_text("CONTENT")
        os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(tmp_path / "new", path)
    else:
        path.write_text("CONTENT")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    now = before.st_ctime_ns + 10 * _LATER
    assert version_of(path.stat(), now) != version_of(before, now)


def test_only_the_same_version_is_found() -> None:
    cache = FileCache[str](2)
    cache.put("a", ONE, "first")
    assert cache.get("a", ONE) == "first"
    assert cache.get("a", TWO) is None
    assert cache.get("b", ONE) is None
    cache.put("a", TWO, "second")
    assert cache.get("a", ONE) is None
    assert cache.get("a", TWO) == "second"


def test_without_a_version_nothing_is_kept() -> None:
    cache = FileCache[str](2)
    cache.put("a", ONE, "first")
    cache.put("a", None, "unknown")
    assert cache.get("a", None) is None
    assert cache.get("a", ONE) is None


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = FileCache[str](2)
    for key in ("a", "b"):
        cache.put(key, ONE, key)
    assert cache.get("a", ONE) == "a"
    cache.put("c", ONE, "c")
    assert [cache.get(key, ONE) for key in ("a", "b", "c")] == ["a", None, "c"]
