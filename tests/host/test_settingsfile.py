"""A settings file replaced in one step, with the earlier ones beside it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import openclaw_tunnel
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.settingsfile import MOST_COPIES, replace_file
from support.process import program, root_required

FULL = """
import sys
from pathlib import Path
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.settingsfile import replace_file
path = Path(sys.argv[1], "openclaw.json")
try:
    replace_file(path, None, b"x" * 100_000)
except ConfigError as error:
    print(error.message, error.hint, sorted(path.parent.iterdir()), sep="; ")
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_private_and_so_is_its_folder(tmp_path: Path) -> None:
    path = tmp_path / ".openclaw" / "openclaw.json"
    assert replace_file(path, None, b"{}") is None
    assert (path.read_bytes(), mode(path), mode(path.parent)) == (b"{}", 0o600, 0o700)
    assert [p.name for p in path.parent.iterdir()] == ["openclaw.json"]


def test_the_old_one_is_kept_and_so_are_those_before(tmp_path: Path) -> None:
    path = tmp_path / "openclaw.json"
    path.write_bytes(b"0")
    path.chmod(0o644)
    for number in range(1, 8):
        copy = replace_file(path, b"%d" % (number - 1), b"%d" % number)
        assert copy == tmp_path / "openclaw.json.bak"
    names = ["openclaw.json", "openclaw.json.bak", *(f"openclaw.json.bak.{n}" for n in range(1, MOST_COPIES))]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert [(tmp_path / name).read_text() for name in names] == ["7", "6", "5", "4", "3", "2"]
    assert {mode(tmp_path / name) for name in names} == {0o600}


def test_a_link_stays_and_its_target_changes(tmp_path: Path) -> None:
    target, link = tmp_path / "dotfiles.json", tmp_path / "openclaw.json"
    target.write_bytes(b"old")
    link.symlink_to(target)
    replace_file(link, b"old", b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_what_another_program_wrote_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "openclaw.json"
    path.write_bytes(b"theirs")
    for before in (b"ours", None):
        with pytest.raises(ConfigError, match="was changed by another program"):
            replace_file(path, before, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"theirs"]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        replace_file(tmp_path / "file" / "openclaw.json", None, b"{}")


@pytest.mark.machine
def test_a_full_disk(tmp_path: Path) -> None:
    root_required("a file system of a few pages")
    script = 'mount -t tmpfs -o size=16k,mode=700 none "$1"; exec "$0" -c "$2" "$1"'
    done = subprocess.run(
        [program("unshare"), "--mount", "sh", "-ec", script, sys.executable, tmp_path, FULL],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(openclaw_tunnel.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
    )
    why = f"{tmp_path}/openclaw.json cannot be written: No space left on device"
    assert done.stdout == f"{why}; make room there, and call the command again; []\n", done.stderr
