"""One daemon per user, whatever a dead one left behind."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_tunnel.control.lock import DaemonLock, read_pid
from openclaw_tunnel.errors import RequestRefused

HOLDER = """
import sys, pathlib
from openclaw_tunnel.control.lock import DaemonLock
lock = DaemonLock(pathlib.Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    first, second = DaemonLock(tmp_path / "daemon.lock"), DaemonLock(tmp_path / "daemon.lock")
    first.acquire()
    first.acquire()  # again is no harm
    with pytest.raises(RequestRefused) as refused:
        second.acquire()
    assert refused.value.message == f"another openclaw-tunnel daemon of this user runs (pid {os.getpid()})"
    assert refused.value.hint == "see what it does: openclaw-tunnel status; end it: openclaw-tunnel down --all"
    first.release()
    first.release()
    second.acquire()
    second.release()
    assert (tmp_path / "daemon.lock").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_does_not_keep_a_daemon_from_starting(tmp_path: Path) -> None:
    """No byte can be written to any file: the number of the process is missing, the lock is not."""
    path = tmp_path / "daemon.lock"
    nothing_fits = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    with subprocess.Popen(
        [sys.executable, "-c", nothing_fits + HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RequestRefused) as refused:
            DaemonLock(path).acquire()
        assert refused.value.message == "another openclaw-tunnel daemon of this user runs"
        assert holder.stdin is not None
        holder.stdin.close()


def test_kill_9_leaves_nothing_that_blocks(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert read_pid(path) == holder.pid
        with pytest.raises(RequestRefused, match=f"pid {holder.pid}"):
            DaemonLock(path).acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
    lock = DaemonLock(path)
    lock.acquire()
    assert read_pid(path) == os.getpid()
    lock.release()


def test_a_removed_lock_file_is_made_again(tmp_path: Path) -> None:
    lock = DaemonLock(tmp_path / "daemon.lock")
    assert not lock.still_ours()
    lock.acquire()
    assert lock.still_ours()
    lock.path.unlink()
    assert lock.still_ours()
    assert read_pid(lock.path) == os.getpid()
    lock.release()


def test_a_removed_folder_or_a_successor_ends_the_claim(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    lock = DaemonLock(folder / "daemon.lock")
    lock.acquire()
    lock.path.unlink()
    successor = DaemonLock(folder / "daemon.lock")
    successor.acquire()
    assert not lock.still_ours()
    shutil.rmtree(folder)
    assert not successor.still_ours()


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"0", b"\xff" * 64])
def test_a_lock_file_without_a_process_id(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "daemon.lock"
    path.write_bytes(content)
    assert read_pid(path) is None
    assert read_pid(tmp_path / "none") is None
