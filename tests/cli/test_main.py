"""What every command has in common: help, usage errors, exit codes, and how quick it begins."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openclaw_tunnel import __version__
from openclaw_tunnel.cli.main import main, quick_status
from openclaw_tunnel.cli.registry import SECTIONS, commands
from support.cli import Cli

NAMES = [name for entries in SECTIONS.values() for name in entries]


def test_the_list_of_commands_fits_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 30
    assert all(len(line) <= 80 for line in text.splitlines())
    for name in NAMES:
        assert f"\n  {name} " in text
    assert "daemon " not in text


def test_without_a_command_the_list_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Usage: openclaw-tunnel COMMAND")


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_of_80_columns(name: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, flag]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: openclaw-tunnel {name} ")
    assert all(len(line) <= 80 for line in text.splitlines())


def test_every_command_that_is_listed_exists() -> None:
    for name in [*NAMES, "daemon"]:
        with commands.make_context("openclaw-tunnel", [name], resilient_parsing=True) as context:
            assert commands.get_command(context, name) is not None
            assert commands.get_command(context, "fly") is None


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"openclaw-tunnel {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message", "command"),
    [
        (["fly"], "no such command 'fly'", "openclaw-tunnel"),
        (["--fly"], "no such option", "openclaw-tunnel"),
        (["status", "--fly"], "no such option", "openclaw-tunnel status"),
        (["wait", "a", "b"], "got unexpected extra argument", "openclaw-tunnel wait"),
        (["wait", "--timeout", "x"], "invalid value for '--timeout': 'x' is not a valid float", "openclaw-tunnel wait"),
        (["down", "a", "--all"], "give a NAME or --all, not both", "openclaw-tunnel down"),
        (
            ["up", "-p", "0", "gw"],
            "invalid value for '-p' / '--local-port': 0 is not in the range",
            "openclaw-tunnel up",
        ),
    ],
)
def test_a_wrong_command_line(
    arguments: list[str], message: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {message}")
    assert captured.err.endswith(f"\n\nhint: see how it is used: {command} --help\n")


def test_a_bug_is_one_line_and_a_traceback_in_the_log(cli: Cli) -> None:
    breakage = (
        "import openclaw_tunnel.cli.commands.logs as m; m.last_lines = None; "
        "from openclaw_tunnel.cli.main import main; "
    )
    answer = subprocess.run(
        [sys.executable, "-c", f"{breakage}raise SystemExit(main(['logs']))"],
        env={"OPENCLAW_TUNNEL_HOME": str(cli.tunnel_home), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    log = cli.tunnel_home / "openclaw-tunnel.log"
    assert answer.returncode == 70
    assert answer.stderr == (
        "error: internal error: TypeError: 'NoneType' object is not callable\n\n"
        f"hint: this is a bug of openclaw-tunnel; the log has the traceback: {log}\n"
    )
    assert "  Traceback (most recent call last):\n" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_what_a_library_has_to_note_goes_to_the_log(cli: Cli) -> None:
    """cli/commandlog.py: a traceback that is logged on the way to an answer reaches no terminal."""
    breakage = (
        "import asyncio, logging, openclaw_tunnel.cli.commands.logs as m\n"
        "def last_lines(*given):\n"
        "    for name in ('openclaw_tunnel.ssh', 'asyncssh', 'asyncio'):\n"
        "        logging.getLogger(name).error('odd: %s\\n\\x1b[2J', name, exc_info=ValueError('why'))\n"
        "    logging.getLogger('openclaw_tunnel').info('no news')\n"
        "    return ['a line'], 0\n"
        "m.last_lines = last_lines\n"
        "from openclaw_tunnel.cli.main import main\n"
    )
    cli.tunnel_home.mkdir()
    log = cli.tunnel_home / "openclaw-tunnel.log"
    log.touch(mode=0o600)
    answer = subprocess.run(
        [sys.executable, "-c", f"{breakage}main(['logs']); raise SystemExit(main(['logs']))"],
        env={"OPENCLAW_TUNNEL_HOME": str(cli.tunnel_home), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (answer.stdout, answer.stderr) == ("a line\na line\n", "")
    lines = log.read_text().splitlines()
    entries = [line.split(" ", 1)[1] for line in lines if not line.startswith(" ")]
    assert entries == [f"ERROR odd: {name}" for name in ("openclaw_tunnel.ssh", "asyncssh", "asyncio")] * 2
    assert lines.count("  ValueError: why") == 6
    assert lines.count("  ?[2J") == 6, "a message is one entry, and steers no terminal"


def test_a_reader_that_goes_away_is_no_error(cli: Cli) -> None:
    cli.tunnel_home.mkdir()
    (cli.tunnel_home / "openclaw-tunnel.log").write_text("2026-11-22T06:00:01Z INFO x\n" * 100_000)
    with subprocess.Popen(
        [sys.executable, "-m", "openclaw_tunnel", "logs", "-n", "100000"],
        env={"OPENCLAW_TUNNEL_HOME": str(cli.tunnel_home), "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as logs:
        assert logs.stdout is not None
        assert logs.stderr is not None
        logs.stdout.readline()
        logs.stdout.close()
        assert logs.stderr.read() == b""
        assert logs.wait(10) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is full")
def test_a_full_disk_is_no_bug_and_changes_no_other_exit_code(cli: Cli) -> None:
    cli.tunnel_home.mkdir()
    log = cli.tunnel_home / "openclaw-tunnel.log"
    log.write_text("2026-11-22T06:00:01Z INFO x\n")
    words = [sys.executable, "-m", "openclaw_tunnel"]
    env = {"OPENCLAW_TUNNEL_HOME": str(cli.tunnel_home), "PYTHONPATH": ":".join(sys.path)}
    with open("/dev/full", "wb") as full:
        assert subprocess.run([*words, "status"], env=env, stderr=full, timeout=30).returncode == 3
        answer = subprocess.run(
            [*words, "logs"], env=env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    assert (answer.returncode, answer.stderr) == (
        1,
        "error: the answer cannot be written: No space left on device\n\n"
        "hint: see where the output of this command goes\n",
    )


def test_a_locale_that_lacks_a_character_costs_no_answer(cli: Cli) -> None:
    cli.tunnel_home.mkdir()
    (cli.tunnel_home / "openclaw-tunnel.log").write_text("2026-11-22T06:00:01Z INFO to jürgen\n", encoding="utf-8")
    answer = cli("logs", env={"PYTHONIOENCODING": "ascii"})
    assert (answer.exit_code, answer.stdout) == (0, "2026-11-22T06:00:01Z INFO to j?rgen\n")


@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["wait"], ["--help"], ["logs"]])
def test_closed_streams_change_no_exit_code(cli: Cli, arguments: list[str]) -> None:
    """``status >&- 2>&-`` in a script: only the exit code is wanted."""
    words = [sys.executable, "-m", "openclaw_tunnel", *arguments]
    env = {"OPENCLAW_TUNNEL_HOME": str(cli.tunnel_home), "PYTHONPATH": ":".join(sys.path)}
    codes = {
        subprocess.run(["/bin/sh", "-c", f'"$@" {closing}', "sh", *words], env=env, timeout=30).returncode
        for closing in ("</dev/null >/dev/null 2>&1", ">&- 2>/dev/null", "<&- >&- 2>&-")
    }
    assert codes == {0 if arguments[0] in ("--help", "logs") else 3}
    assert not (cli.tunnel_home / "openclaw-tunnel.log").exists()  # where tracebacks go


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["status"], (None, False)),
        (["status", "dev"], ("dev", False)),
        (["status", "--json"], (None, True)),
        (["status", "--json", "dev"], ("dev", True)),
        (["status", "dev", "--json"], ("dev", True)),
        (["status", "-h"], None),
        (["status", "--watch"], None),
        (["status", "a", "b"], None),
        (["status", ""], None),
        (["wait"], None),
        ([], None),
    ],
)
def test_the_quick_way_takes_only_what_it_understands(
    arguments: list[str], meant: tuple[str | None, bool] | None
) -> None:
    assert quick_status(arguments) == meant


def test_status_imports_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from openclaw_tunnel.cli.main import main; main(['status']); "
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"OPENCLAW_TUNNEL_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "openclaw_tunnel" in done.stdout.split()
    assert not {"asyncio", "asyncssh", "click", "json5", "rich", "tenacity"} & set(done.stdout.split())
