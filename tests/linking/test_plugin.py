"""The plugin's files, and what is found around them: linking/look.py and linking/openclaw.py."""

import json
import os
from pathlib import Path

import pytest

from openclaw_tunnel import __version__
from openclaw_tunnel.errors import ConfigError, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.linking import dispatcher, plugin
from openclaw_tunnel.linking.look import look
from openclaw_tunnel.linking.openclaw import Done, ask, is_on_path, search, version_in
from openclaw_tunnel.linking.plan import Files, Settings
from support.faketool import Tool


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a copy goes."""
    return tmp_path / "state" / "openclaw-plugin"


def test_the_copy_is_whole_and_private(folder: Path) -> None:
    assert plugin.state_of(folder, "/bin/a") is Files.ABSENT
    plugin.write(folder, "/bin/a")
    assert plugin.state_of(folder, "/bin/a") is Files.CURRENT
    assert json.loads((folder / "program.json").read_text()) == {"program": "/bin/a"}
    assert json.loads((folder / "package.json").read_text())["version"] == __version__
    manifest = json.loads((folder / "openclaw.plugin.json").read_text())
    assert (manifest["id"], manifest["cliCommands"][0]["name"]) == ("openclaw-tunnel", "tunnel")
    assert [folder.stat().st_mode & 0o777, folder.parent.stat().st_mode & 0o777] == [0o700, 0o700]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_old_copy_is_brought_up_to_date(folder: Path) -> None:
    plugin.write(folder, "/bin/a")
    assert plugin.state_of(folder, "/bin/b") is Files.OLD
    (folder / "index.js").unlink()
    assert plugin.state_of(folder, "/bin/a") is Files.OLD
    plugin.write(folder, "/bin/b")
    assert plugin.state_of(folder, "/bin/b") is Files.CURRENT


def test_removing_takes_our_files_only(folder: Path, tmp_path: Path) -> None:
    plugin.write(folder, "/bin/a")
    plugin.remove(folder)
    assert not folder.exists()
    plugin.remove(folder)
    plugin.write(folder, "/bin/a")
    (folder / "theirs").touch()
    with pytest.raises(TunnelError, match="cannot be removed: Directory not empty"):
        plugin.remove(folder)
    assert [path.name for path in folder.iterdir()] == ["theirs"]


def test_a_link_in_place_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "project"
    theirs.mkdir()
    (theirs / "index.js").touch()
    folder.parent.mkdir()
    folder.symlink_to(theirs)
    with pytest.raises(ConfigError, match="is a symbolic link"):
        plugin.write(folder, "/bin/a")
    with pytest.raises(TunnelError, match="is a symbolic link"):
        plugin.remove(folder)
    assert [path.name for path in theirs.iterdir()] == ["index.js"]


def test_the_first_openclaw_that_is_no_dispatcher(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
    dispatcher.write(tmp_path / "a" / "openclaw", "/bin/a")
    (tmp_path / "b" / "openclaw").symlink_to(tmp_path / "a" / "openclaw")
    real = Tool(tmp_path / "d", "openclaw").path
    (tmp_path / "e").symlink_to(tmp_path / "a")
    path = ":".join(str(tmp_path / name) for name in "abcde")
    assert search(path) == (real, (tmp_path / "a" / "openclaw",))
    assert search(f"{tmp_path}/c::") == (None, ())
    assert is_on_path(tmp_path / "e", f"/bin:{tmp_path}/a")
    assert not is_on_path(tmp_path, f"/bin:{tmp_path}/a")


def test_look(tmp_path: Path) -> None:
    bin_folder, other = tmp_path / "bin", tmp_path / "other"
    bin_folder.mkdir()
    other.mkdir()
    env = {"HOME": str(tmp_path), "OPENCLAW_TUNNEL_HOME": str(tmp_path / "t"), "PATH": str(bin_folder)}
    paths, state = Paths.from_env(env), tmp_path / ".openclaw"
    state.mkdir()
    (state / "openclaw.json").write_text("{ broken")
    bare = look(env, paths, f"{bin_folder}/openclaw-tunnel", bin_folder)  # without OpenClaw its file is of no interest
    assert (bare.openclaw, bare.files, bare.settings, bare.dispatchers) == (None, Files.ABSENT, Settings(), ())
    assert (bare.place, bare.place_taken, bare.place_on_path) == (bin_folder / "openclaw", False, True)
    dispatcher.write(other / "openclaw", "/bin/a")
    elsewhere = look(env, paths, "/bin/a", other)
    assert (elsewhere.place_on_path, elsewhere.place_current) == (False, True)
    assert elsewhere.dispatchers == (other / "openclaw",)
    Tool(bin_folder, "openclaw")
    with pytest.raises(ConfigError, match=r"openclaw\.json"):
        look(env, paths, "/bin/a", bin_folder)
    (state / "more.json5").write_text("{enabled: false}")
    (state / "openclaw.json").write_text("{plugins: {$include: './more.json5', entries: {'openclaw-tunnel': {}}}}")
    found = look(env, paths, "/bin/a", bin_folder)
    assert (found.openclaw, found.place_taken) == (bin_folder / "openclaw", True)
    assert (found.settings_file, found.settings) == (state / "openclaw.json", Settings(entry=True, plugins_off=True))


def test_asking(tmp_path: Path) -> None:
    tool = Tool(tmp_path, "openclaw")
    tool.answer(plugins=(3, "\x1b[32mone\x1b[39m\n\n", "two\n"))
    done = ask(tool.path, ("plugins", "list"), os.environ)
    assert (done.code, done.lines) == (3, ["one", "two"])
    with pytest.raises(TunnelError, match="cannot be run: No such file"):
        ask(tmp_path / "gone", (), os.environ)
    tool.path.write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(TunnelError, match=r"openclaw plugins list did not end within 0\.05 s"):
        ask(tool.path, ("plugins", "list"), os.environ, timeout=0.05)


def test_the_release() -> None:
    assert version_in(Done(0, "OpenClaw 2026.9.6 (eb377ac)\n", "", 0)) == "2026.9.6"
    assert version_in(Done(1, "OpenClaw 2026.9.6 (eb377ac)\n", "", 0)) == ""
    assert version_in(Done(0, "something else\n", "", 0)) == ""
