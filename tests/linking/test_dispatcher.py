"""The script named openclaw: run by the shell of this computer, among others of that name."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.linking import dispatcher
from support.process import Child
from support.waiting import wait_until

SHOW = f"""#!{sys.executable}
import os, sys
print(os.path.basename(os.path.dirname(__file__)), sys.argv[1:])
sys.exit(int(os.environ.get("CODE", "0")))
"""

WAIT = f"""#!{sys.executable}
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", os.getpid(), flush=True)
signal.pause()
"""


def program(path: Path, text: str = SHOW) -> Path:
    """A program at ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A dispatcher in a folder of its own; its program is in a folder with a blank and a quote."""
    place = tmp_path / "bin" / "openclaw"
    place.parent.mkdir()
    dispatcher.write(place, str(program(tmp_path / "it's here" / "openclaw-tunnel")))
    return place


def run(place: Path, *args: str, path: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the dispatcher, with the folders of ``path`` behind its own on PATH."""
    env = {"PATH": f"{place.parent}:{path}", "CODE": str(code)}
    return subprocess.run([place, *args], env=env, capture_output=True, text=True, timeout=10)


def test_tunnel_is_ours_with_every_argument(place: Path) -> None:
    args = ["status", "--json", "", "a b", "*", "--", "-h", "--no-color"]
    done = run(place, "tunnel", *args, code=231)
    assert (done.stdout, done.stderr, done.returncode) == (f"it's here {args}\n", "", 231)
    assert run(place, "tunnel").stdout == "it's here []\n"


def test_the_rest_goes_to_the_next_openclaw(place: Path, tmp_path: Path) -> None:
    program(tmp_path / "real" / "openclaw")
    (tmp_path / "no" / "openclaw").mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "openclaw").write_text(SHOW)  # not executable
    path = f"{tmp_path}/no::{tmp_path}/plain:{place.parent}:{tmp_path}/real"
    for args in (["config", "get", "tunnel", "a b"], [], ["--profile", "x", "tunnel"]):
        done = run(place, *args, path=path, code=3)
        assert (done.stdout, done.stderr, done.returncode) == (f"real {args}\n", "", 3)


def test_dispatchers_do_not_call_each_other(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "openclaw"
    other.parent.mkdir()
    dispatcher.write(other, "/nowhere")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "openclaw").symlink_to(place)
    done = run(place, "health", path=f"{tmp_path}/link:{other.parent}")
    assert (done.stdout, done.returncode) == ("", 127)
    assert done.stderr.startswith(
        'error: only "openclaw tunnel" works here: OpenClaw itself is not installed\n\nhint: '
    )
    assert "npm install -g openclaw" in done.stderr


def test_a_program_that_is_gone(place: Path, tmp_path: Path) -> None:
    gone = tmp_path / "it's here" / "openclaw-tunnel"
    gone.unlink()
    done = run(place, "tunnel", "up")
    assert (done.stdout, done.returncode) == ("", 127)
    assert done.stderr.startswith(f"error: {gone} is gone")
    assert f"rm {place}\n" in done.stderr
    program(tmp_path / "new" / "openclaw-tunnel")
    assert run(place, "tunnel", "up", path=f"{tmp_path}/new").stdout == "new ['up']\n"


def test_signals_are_the_programs_own(place: Path, tmp_path: Path) -> None:
    program(tmp_path / "it's here" / "openclaw-tunnel", WAIT)
    child = Child([place, "tunnel"], tmp_path / "log", {"PATH": str(place.parent)})
    try:
        wait_until(lambda: f"ready {child.pid}\n" in child.output(), 10, "the program to run in the script's process")
        assert child.end_with(signal.SIGTERM) == 7
    finally:
        child.kill()


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    theirs, link, own = tmp_path / "theirs", tmp_path / "link", tmp_path / "own"
    program(theirs)
    link.symlink_to(own)
    for path in (theirs, link):
        assert dispatcher.is_taken(path)
        with pytest.raises(TunnelError, match="is there, and not ours"):
            dispatcher.write(path, "/bin/true")
        dispatcher.remove(path)
    assert theirs.read_text() == SHOW
    assert link.is_symlink()
    assert not own.exists()
    dispatcher.write(own, "/bin/true")
    assert dispatcher.is_taken(link)  # a link to one of ours is somebody's own doing
    dispatcher.remove(link)
    assert own.exists()


def test_one_of_ours_is_brought_up_to_date_and_removed(place: Path) -> None:
    assert not dispatcher.is_taken(place)
    assert not dispatcher.is_current(place, "/opt/openclaw-tunnel")
    dispatcher.write(place, "/opt/openclaw-tunnel")
    assert dispatcher.is_current(place, "/opt/openclaw-tunnel")
    assert place.stat().st_mode & 0o777 == 0o755
    place.chmod(0o644)
    assert not dispatcher.is_current(place, "/opt/openclaw-tunnel")
    dispatcher.remove(place)
    assert list(place.parent.iterdir()) == []
    dispatcher.remove(place)


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(TunnelError, match="cannot be written: No such file") as refused:
        dispatcher.write(tmp_path / "gone" / "openclaw", "/bin/true")
    assert f"ls -ld {tmp_path}/gone" in refused.value.hint


@pytest.mark.skipif(not os.access("/usr/bin/bash", os.X_OK), reason="no bash")
def test_other_shells_read_it_alike(place: Path, tmp_path: Path) -> None:
    program(tmp_path / "real" / "openclaw")
    env = {"PATH": f"{place.parent}:{tmp_path}/real", "CODE": "9"}
    for args in (["tunnel", "up"], ["health"]):
        done = subprocess.run(["/usr/bin/bash", "--posix", place, *args], env=env, capture_output=True, timeout=10)
        assert (done.stderr, done.returncode) == (b"", 9)
