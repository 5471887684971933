"""Where the files are, on each system and with each variable."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from platformdirs.unix import Unix

import openclaw_tunnel
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.paths import Folders, Paths, ensure_private_dir, xdg_folders
from support.process import program, root_required

HINT = "remove it, or set OPENCLAW_TUNNEL_HOME to a folder of your own"


def nothing_is_ours(path: str) -> bool:
    return False


def test_one_folder_for_all() -> None:
    paths = Paths.from_env({"OPENCLAW_TUNNEL_HOME": "/tmp/oct"})
    assert paths == Paths(
        tunnels_file=Path("/tmp/oct/tunnels.json5"),
        runtime_dir=Path("/tmp/oct"),
        socket_path=Path("/tmp/oct/control.sock"),
        lock_path=Path("/tmp/oct/daemon.lock"),
        state_dir=Path("/tmp/oct"),
        log_dir=Path("/tmp/oct"),
        log_file=Path("/tmp/oct/openclaw-tunnel.log"),
    )


def test_a_relative_folder_starts_here(tmp_path: Path, in_folder: Callable[[Path], None]) -> None:
    in_folder(tmp_path)
    assert Paths.from_env({"OPENCLAW_TUNNEL_HOME": "x/../y"}).state_dir == tmp_path / "y"


def test_a_relative_folder_needs_a_current_one(tmp_path: Path, in_folder: Callable[[Path], None]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    in_folder(gone)
    gone.rmdir()
    with pytest.raises(ConfigError) as error:
        Paths.from_env({"OPENCLAW_TUNNEL_HOME": "x"})
    assert error.value.message == ("OPENCLAW_TUNNEL_HOME: x is relative to the current folder, which no longer exists")
    assert Paths.from_env({"OPENCLAW_TUNNEL_HOME": "/x"}).state_dir == Path("/x")


def test_longest_socket_path_that_is_taken_as_it_is() -> None:
    fits = "/" + "x" * (100 - len("//control.sock"))
    assert len(os.fsencode(Paths.from_env({"OPENCLAW_TUNNEL_HOME": fits}).socket_path)) == 100
    paths = Paths.from_env({"OPENCLAW_TUNNEL_HOME": fits + "x"})
    assert paths.runtime_dir.parent == Path("/tmp")
    assert paths.runtime_dir.name.startswith(f"openclaw-tunnel-{os.getuid()}-")
    assert paths.socket_path == paths.runtime_dir / "control.sock"
    assert paths.lock_path == paths.runtime_dir / "daemon.lock"
    assert paths.state_dir == Path(fits + "x")


def test_short_folders_are_the_same_every_time_and_differ() -> None:
    def short(home: str) -> Path:
        return Paths.from_env({"OPENCLAW_TUNNEL_HOME": home, "TMPDIR": "/elsewhere"}).runtime_dir

    assert short("/" + "x" * 120) == short("/" + "x" * 120)
    assert short("/" + "x" * 120) != short("/" + "y" * 120)
    assert short("/" + "ü" * 45).parent == Path("/tmp")  # bytes count, not characters


def test_xdg_variables() -> None:
    env = {
        "HOME": "/home/me",
        "XDG_CONFIG_HOME": "/c",
        "XDG_STATE_HOME": "/s",
        "XDG_RUNTIME_DIR": "/r",
    }
    folders = xdg_folders(env, lambda path: path == "/r")
    app = "openclaw-tunnel"
    assert folders == Folders(Path("/c", app), Path("/r", app), Path("/s", app), Path("/s", app, "log"))


def test_without_variables_and_runtime_folder() -> None:
    folders = xdg_folders({"HOME": "/home/me", "XDG_STATE_HOME": "relative"}, nothing_is_ours)
    assert folders.config == Path("/home/me/.config/openclaw-tunnel")
    assert folders.state == Path("/home/me/.local/state/openclaw-tunnel")
    assert folders.runtime == folders.state / "run"


def test_the_system_s_runtime_folder_where_it_is_ours() -> None:
    usual = f"/run/user/{os.getuid()}"
    folders = xdg_folders({"HOME": "/h", "XDG_RUNTIME_DIR": "/stale"}, lambda path: path == usual)
    assert folders.runtime == Path(usual, "openclaw-tunnel")


def test_a_runtime_folder_of_somebody_else_is_passed_over(tmp_path: Path) -> None:
    env = {"HOME": "/home/me", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert xdg_folders(env).runtime == tmp_path / "openclaw-tunnel"
    if os.getuid() == 0:
        os.chown(tmp_path, 12345, 12345)
        assert xdg_folders(env).runtime != tmp_path / "openclaw-tunnel"
        os.chown(tmp_path, 0, 0)
    assert xdg_folders({**env, "XDG_RUNTIME_DIR": str(tmp_path / "no")}).runtime != tmp_path / "no" / "openclaw-tunnel"


def test_they_are_where_platformdirs_has_them() -> None:
    dirs = Unix("openclaw-tunnel", appauthor=False)
    folders = xdg_folders(os.environ)
    assert (str(folders.config), str(folders.state)) == (dirs.user_config_dir, dirs.user_state_dir)
    assert str(folders.log) == dirs.user_log_dir


def test_paths_without_home_variable() -> None:
    paths = Paths.from_env({"HOME": "/home/me", "XDG_CONFIG_HOME": "/c"}, "linux")
    assert paths.tunnels_file == Path("/c/openclaw-tunnel/tunnels.json5")
    assert paths.log_file == Path("/home/me/.local/state/openclaw-tunnel/log/openclaw-tunnel.log")


def test_macos() -> None:
    paths = Paths.from_env({}, "darwin")
    assert paths.tunnels_file.parts[-3:] == ("Application Support", "openclaw-tunnel", "tunnels.json5")
    assert paths.log_file.parts[-3:] == ("Logs", "openclaw-tunnel", "openclaw-tunnel.log")
    assert paths.socket_path.parent == paths.runtime_dir


def test_a_private_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    ensure_private_dir(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    ensure_private_dir(folder)


def test_a_folder_of_ours_is_narrowed(tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    folder.chmod(0o777)
    ensure_private_dir(str(folder))
    assert folder.stat().st_mode & 0o777 == 0o700


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        ensure_private_dir(path)
    assert caught.value.hint == HINT
    return caught.value.message


def test_what_is_no_private_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "file").touch()
    assert refused(tmp_path / "link") == f"{tmp_path}/link is a symbolic link, not a private folder"
    assert refused(tmp_path / "file") == f"{tmp_path}/file is not a folder"
    assert refused(tmp_path / "file" / "x") == f"folder {tmp_path}/file/x cannot be used: {tmp_path}/file: File exists"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder of somebody else")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    assert refused(folder) == f"{folder} belongs to another user (id 12345)"


READ_ONLY = """
import sys
from openclaw_tunnel.host.paths import ensure_private_dir
from openclaw_tunnel.errors import ConfigError
try:
    ensure_private_dir(sys.argv[1])
except ConfigError as error:
    print(error.message)
"""


@pytest.mark.machine
def test_a_folder_on_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    root_required("a file system that is mounted read-only")
    script = 'mount -t tmpfs -o ro,mode=700 none "$1"; exec "$0" -c "$2" "$1"'
    done = subprocess.run(
        [program("unshare"), "--mount", "sh", "-ec", script, sys.executable, tmp_path, READ_ONLY],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(openclaw_tunnel.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == f"folder {tmp_path} cannot be used: it is read-only\n", done.stderr


def test_status_does_not_wait_for_platformdirs() -> None:
    assert sys.modules["openclaw_tunnel.host.paths"]
    source = Path(sys.modules["openclaw_tunnel.host.paths"].__file__ or "").read_text()
    assert "\nimport platformdirs" not in source
    assert "\nfrom platformdirs" not in source
