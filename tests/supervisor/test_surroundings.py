"""supervisor/surroundings.py: whether this computer, or a file, is no longer what it was."""

from pathlib import Path

import pytest

from openclaw_tunnel.supervisor.surroundings import WatchedFiles, has_moved


@pytest.mark.parametrize(
    ("local", "addresses", "moved"),
    [
        ("192.0.2.7", {"192.0.2.7", "2001:db8::1"}, False),
        ("192.0.2.7", {"192.0.2.8"}, True),
        ("192.0.2.7", None, False),
        ("", {"192.0.2.8"}, False),
        ("127.0.0.1", {"192.0.2.8"}, False),
        ("::1", set(), False),
        ("fe80::1%eth0", {"fe80::1"}, False),
        ("fe80::1%eth0", {"fe80::2"}, True),
    ],
)
def test_whether_we_have_moved(local: str, addresses: set[str] | None, moved: bool) -> None:
    assert has_moved(local, None if addresses is None else frozenset(addresses)) is moved


def test_each_change_of_a_file_is_told_once(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    files = WatchedFiles((str(one), str(other)))
    assert not files.changed()
    other.write_text("b")
    assert files.changed()
    assert not files.changed()
    one.chmod(0o600)
    assert files.changed()
    other.unlink()
    assert files.changed()
    assert not files.changed()
    assert not WatchedFiles(()).changed()
