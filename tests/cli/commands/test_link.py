"""``link`` and ``unlink`` (actions/link_openclaw.py), with an OpenClaw that answers at once and without any."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_tunnel.actions.service_manager import find_program
from support.cli import Answer, Cli, command, environment
from support.fakeopenclaw import FakeOpenClaw
from support.process import Child

QUIET: dict[str, object] = {"version": 1, "daemon": None, "tunnels": []}


@pytest.fixture
def bin_folder(cli: Cli) -> Path:
    """The only folder on PATH; our program is in it."""
    folder = cli.home / "bin"
    folder.mkdir()
    program = folder / "openclaw-tunnel"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom openclaw_tunnel.cli.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    cli.env["PATH"] = str(folder)
    return folder


@pytest.fixture
def openclaw(cli: Cli, bin_folder: Path) -> FakeOpenClaw:
    """OpenClaw's own command line, on PATH."""
    folder = cli.home / "real"
    folder.mkdir()
    cli.env["PATH"] = f"{bin_folder}:{folder}"
    return FakeOpenClaw(folder, cli.home)


def tunnel(cli: Cli, program: Path, *args: str) -> Answer:
    """Run ``openclaw tunnel``."""
    env = environment(cli.home, cli.env)
    done = subprocess.run([program, "tunnel", *args], env=env, capture_output=True, text=True, timeout=20, cwd=cli.home)
    return Answer(done.returncode, done.stdout, done.stderr, 0)


def copy_of(cli: Cli) -> Path:
    """The folder of the plugin."""
    return cli.tunnel_home / "openclaw-plugin"


def test_comments_that_openclaw_will_drop_are_told_of_before(cli: Cli, openclaw: FakeOpenClaw) -> None:
    openclaw.settings.parent.mkdir(parents=True, exist_ok=True)
    openclaw.settings.write_text("// mine\n{}\n")
    warned = f"(changes {openclaw.settings}: OpenClaw writes it anew, without its comments, and keeps a copy)"
    assert warned in cli("link").stdout
    openclaw.settings.write_text('{"a": "// none"}\n')
    assert f"(changes {openclaw.settings})" in cli("link").stdout


def test_a_plugin_where_there_is_openclaw(cli: Cli, openclaw: FakeOpenClaw) -> None:
    linked = cli("link", "--yes")
    install = f"plugins install --link {copy_of(cli)} --force --accept-capabilities"
    assert (linked.exit_code, openclaw.calls()) == (0, [install])
    assert linked.stdout == (
        f"with    {openclaw.path}\nwrite   {copy_of(cli)}\nrun     openclaw {install}\n"
        f"        (changes {openclaw.settings})\nwritten: {copy_of(cli)}\ndone: openclaw {install}\n"
        "linked: openclaw tunnel, in OpenClaw 2026.9.6\n"
    )
    assert "openclaw-tunnel stays the quick command" in linked.stderr
    answer = tunnel(cli, openclaw.path, "status", "--json")
    assert (answer.exit_code, answer.json()) == (3, QUIET)


def test_again_changes_nothing(cli: Cli, openclaw: FakeOpenClaw) -> None:
    cli("link", "--yes")
    before = openclaw.calls()
    again = cli("link")
    assert (again.exit_code, again.stdout, again.stderr) == (
        0,
        "linked already: openclaw tunnel, in OpenClaw 2026.9.6\n",
        "",
    )
    assert openclaw.calls() == before


def test_unlink_leaves_nothing(cli: Cli, openclaw: FakeOpenClaw) -> None:
    cli("link", "--yes")
    unlinked = cli("unlink", "--yes")
    assert unlinked.exit_code == 0
    assert f"removed: {copy_of(cli)}\n" in unlinked.stdout
    assert openclaw.calls()[1:] == [
        "plugins uninstall openclaw-tunnel --force",
        "config unset plugins.entries.openclaw-tunnel",
    ]
    assert not copy_of(cli).exists()
    assert openclaw.has() == {"entries": {}}
    again = cli("unlink")
    assert (again.exit_code, again.stdout, again.stderr) == (0, "nothing is linked\n", "")


def test_a_plugin_that_was_turned_off_is_turned_on(cli: Cli, openclaw: FakeOpenClaw) -> None:
    openclaw.set({"entries": {"openclaw-tunnel": {"enabled": False}}})
    assert cli("link", "--yes").exit_code == 0
    assert openclaw.calls()[-1] == "plugins enable openclaw-tunnel"


def test_a_refusal_is_shown_and_leaves_no_file(cli: Cli, openclaw: FakeOpenClaw) -> None:
    openclaw.tell(install="Plugin blocked:\nby policy")
    refused = cli("link", "--yes")
    assert refused.exit_code == 1
    assert refused.stderr.startswith(
        "note: openclaw: Plugin blocked:\nnote: openclaw: by policy\nerror: OpenClaw refused"
    )
    assert not copy_of(cli).exists()
    openclaw.tell()
    cli("link", "--yes")
    openclaw.tell(uninstall="no record")
    kept = cli("unlink", "--yes")
    assert (kept.exit_code, copy_of(cli).exists()) == (1, True)
    assert f"plugins.load.paths in {openclaw.settings}" in kept.stderr


def test_installed_and_still_not_known(cli: Cli, openclaw: FakeOpenClaw) -> None:
    openclaw.tell(status="OpenClaw does not know the command")
    answer = cli("link", "--yes")
    assert answer.exit_code == 1
    assert "note: openclaw: OpenClaw does not know the command\n" in answer.stderr
    assert "error: the plugin is installed, and openclaw tunnel does not work\n" in answer.stderr
    assert "hint: see: openclaw plugins inspect openclaw-tunnel\n" in answer.stderr
    openclaw.tell()
    assert cli("link", "--yes").exit_code == 0


def test_an_openclaw_that_does_not_run(cli: Cli, openclaw: FakeOpenClaw) -> None:
    openclaw.path.write_text("#!/bin/sh\necho 'Node 20.20.2: use 24.16+' >&2\nexit 1\n")
    answer = cli("link", "--yes")
    assert answer.exit_code == 1
    assert answer.stderr.startswith("note: openclaw: Node 20.20.2: use 24.16+\nerror: ")
    assert not copy_of(cli).exists()


def test_an_openclaw_without_an_installer(cli: Cli, openclaw: FakeOpenClaw) -> None:
    openclaw.tell(help="error: unknown command 'install'")
    answer = cli("link", "--yes")
    assert answer.exit_code == 1
    assert "note: openclaw: error: unknown command 'install'\n" in answer.stderr
    assert "cannot link a plugin" in answer.stderr


@pytest.mark.parametrize(("word", "code"), [("n", 1), ("y", 0)])
def test_it_asks_first(cli: Cli, openclaw: FakeOpenClaw, word: str, code: int) -> None:
    ours, theirs = pty.openpty()
    child = Child(command("link"), cli.home / "log", environment(cli.home, cli.env), terminal=theirs)
    os.close(theirs)
    try:
        seen = ""
        while "[y/N]" not in seen:
            seen += os.read(ours, 1000).decode()
        assert "openclaw plugins install --link" in seen
        assert not copy_of(cli).exists()
        os.write(ours, f"{word}\n".encode())
        assert child.wait(20) == code
    finally:
        child.kill()
        os.close(ours)
    assert copy_of(cli).exists() == (code == 0)


def test_without_a_terminal_it_does_not_ask(cli: Cli, openclaw: FakeOpenClaw) -> None:
    answer = cli("link")
    assert answer.exit_code == 2
    assert answer.stderr.endswith("hint: to do it, add: --yes\n")
    assert (openclaw.calls(), copy_of(cli).exists()) == ([], False)


def test_a_script_where_there_is_no_openclaw(cli: Cli, bin_folder: Path) -> None:
    script = bin_folder / "openclaw"
    linked = cli("link", "--yes")
    assert linked.exit_code == 0
    assert linked.stdout == (f"create  {script}\ncreated: {script}\nlinked: openclaw tunnel runs {find_program()}\n")
    answer = tunnel(cli, script, "status", "--json")
    assert (answer.exit_code, answer.json()) == (3, QUIET)
    assert tunnel(cli, script, "up", "--nonsense").exit_code == 2
    before = script.stat()
    again = cli("link")
    assert (again.exit_code, again.stdout) == (0, f"linked already: openclaw tunnel runs {find_program()}\n")
    assert script.stat() == before
    unlinked = cli("unlink", "--yes")
    assert (unlinked.exit_code, unlinked.stdout) == (0, f"delete  {script}\nremoved: {script}\n")
    assert not script.exists()


def test_beside_the_program_that_was_called(cli: Cli, bin_folder: Path) -> None:
    program = bin_folder / "openclaw-tunnel"
    done = subprocess.run(
        [program, "link", "--yes"], env=environment(cli.home, cli.env), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"linked: openclaw tunnel runs {program}\n" in done.stdout


def test_a_file_that_is_not_ours_stays(cli: Cli, bin_folder: Path) -> None:
    theirs = bin_folder / "openclaw"
    theirs.write_text("not a program\n")
    refused = cli("link", "--yes")
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: {theirs} is there, and not ours: it stays as it is\n\nhint: ")
    assert cli("unlink", "--yes").stdout == "nothing is linked\n"
    assert theirs.read_text() == "not a program\n"


def test_an_openclaw_that_came_later(cli: Cli, bin_folder: Path) -> None:
    """The script hands over at once; the next link replaces it with the plugin."""
    assert cli("link", "--yes").exit_code == 0
    script, later = bin_folder / "openclaw", cli.home / "later"
    later.mkdir()
    openclaw = FakeOpenClaw(later, cli.home)
    cli.env["PATH"] += f":{later}"
    env = environment(cli.home, cli.env)
    done = subprocess.run([script, "--version"], env=env, capture_output=True, text=True, timeout=20)
    assert done.stdout == "OpenClaw 2026.9.6 (eb377ac)\n"
    linked = cli("link", "--yes")
    assert linked.exit_code == 0
    assert f"removed: {script}\n" in linked.stdout
    assert not script.exists()
    assert tunnel(cli, openclaw.path, "status", "--json").json() == QUIET


def test_openclaw_is_gone_before_unlink(cli: Cli, openclaw: FakeOpenClaw) -> None:
    cli("link", "--yes")
    openclaw.path.unlink()
    answer = cli("unlink", "--yes")
    assert (answer.exit_code, copy_of(cli).exists()) == (0, False)
    assert answer.stderr.startswith(f"note: {openclaw.settings} still names the plugin")


def test_settings_that_turn_plugins_off(cli: Cli, openclaw: FakeOpenClaw) -> None:
    openclaw.set({"enabled": False})
    answer = cli("link", "--yes")
    assert answer.exit_code == 1
    assert "hint: turn them on, then link again: openclaw config set plugins.enabled true\n" in answer.stderr
    assert json.loads(openclaw.settings.read_text()) == {"plugins": {"enabled": False}}
