"""Programs that are asked for a secret: what they get, what they may answer, and what ends them."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.openclaw.credentials.execprovider import ExecProvider, answer, ask
from support.aio import async_test, pass_time, settle
from support.process import running_pids

SECRET = "geheim-4711"


def program(folder: Path, source: str, mode: int = 0o700) -> Path:
    """A program in Python."""
    file = folder / "provider"
    file.write_text(f"#!{sys.executable} -I\nimport json, os, sys, time\n{source}\n")
    file.chmod(mode)
    return file


def provider(path: Path, variables: dict[str, str] | None = None, /, **settings: Any) -> ExecProvider:
    return ExecProvider.from_settings("vault", {"command": str(path), **settings}, variables or {})


async def why(command: Path, **settings: Any) -> str:
    """Why it gives nothing; never a word of what it printed."""
    with pytest.raises(ValueError, match=r".") as caught:
        await ask(provider(command, **settings), "a/b")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value).removeprefix(f"{command} ")


@async_test
async def test_what_a_program_gets(tmp_path: Path) -> None:
    """Its request on stdin, its own folder, and no variable but those that are passed on."""
    command = program(
        tmp_path,
        "r = json.load(sys.stdin); e = {k: v for k, v in os.environ.items() if k != 'LC_CTYPE'}\n"
        "print(json.dumps({'protocolVersion': 1, 'values': {'a/b': json.dumps([r, e, os.getcwd(), sys.argv[1:]])}}))",
    )
    found = provider(
        command,
        {"HOME": "/h", "PASSED": "p", "OTHER": "o"},
        args=["x", "y"],
        passEnv=["PASSED", "NONE"],
        env={"OWN": "1"},
    )
    request, env, folder, arguments = json.loads(await ask(found, "a/b"))
    assert request == {"protocolVersion": 1, "provider": "vault", "ids": ["a/b"]}
    assert env == {"PASSED": "p", "OWN": "1"}
    assert folder == str(tmp_path)
    assert arguments == ["x", "y"]


ANSWERS: list[tuple[str, bool, str]] = [
    ('{"protocolVersion": 1, "values": {"a/b": "s"}}', True, "s"),
    (' {"protocolVersion": 1, "values": {"a/b": "s"}}\n', False, "s"),
    ("bare secret \n", False, "bare secret"),
    ('"quoted"', False, "quoted"),
]


@pytest.mark.parametrize(("output", "json_only", "value"), ANSWERS)
def test_answers(output: str, json_only: bool, value: str) -> None:
    assert answer(output.encode(), "a/b", ExecProvider("v", ("/p",), json_only=json_only)) == value


REFUSED: list[tuple[str, str]] = [
    ("", "printed nothing"),
    ("geheim", "did not answer in JSON"),
    ("[" * 100_000, "did not answer in JSON"),
    ('"geheim"', "did not answer with an object of protocolVersion 1"),
    ('{"protocolVersion": 2, "values": {"a/b": "s"}}', "did not answer with an object of protocolVersion 1"),
    ('{"protocolVersion": 1}', "answered without values"),
    ('{"protocolVersion": 1, "values": {}}', "does not have this id"),
    ('{"protocolVersion": 1, "values": {"a/b": "s"}, "errors": {"a/b": {}}}', "does not have this id"),
]


@pytest.mark.parametrize(("output", "reason"), REFUSED)
def test_answers_that_are_none(output: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^/p {reason}$"):
        answer(output.encode(), "a/b", ExecProvider("v", ("/p",)))


@async_test
async def test_a_program_that_fails(tmp_path: Path) -> None:
    assert await why(program(tmp_path, f"print('{SECRET}'); sys.exit('{SECRET}')")) == "ended with code 1"
    assert await why(program(tmp_path, "os.kill(os.getpid(), 9)")) == "ended with code -9"
    (tmp_path / "provider").write_text("#!/no/such/interpreter\n")
    assert await why(tmp_path / "provider") == "cannot be run: No such file or directory"
    assert await why(tmp_path / "provider", args=["a\0b"]) == "cannot be run: an argument holds a NUL character"


@async_test
async def test_a_program_need_not_read_its_request(tmp_path: Path) -> None:
    command = program(tmp_path, "sys.stdin.close(); print(json.dumps({'protocolVersion': 1, 'values': {'a/b': 's'}}))")
    assert await ask(provider(command), "a/b") == "s"


@async_test
async def test_a_program_that_takes_too_long_ends_with_all_it_started(tmp_path: Path) -> None:
    note = tmp_path / "child"
    command = program(
        tmp_path,
        f"import subprocess; c = subprocess.Popen(['sleep', '600']); open('{note}', 'w').write(str(c.pid))\n"
        "print('x', flush=True); time.sleep(600)",
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(pass_time(20, lambda: note.exists() and note.read_text()))
        assert await why(command, timeoutMs=20_000, noOutputTimeoutMs=60_000) == "took longer than 20 s"
    await settle(lambda: int(note.read_text()) not in running_pids(), "the end of the child")


@async_test
async def test_a_child_that_holds_the_output_open_does_not_hold_us(tmp_path: Path) -> None:
    note = tmp_path / "child"
    command = program(
        tmp_path,
        f"import subprocess; c = subprocess.Popen(['sleep', '600']); open('{note}', 'w').write(str(c.pid))\nprint('x')",
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(pass_time(20, lambda: note.exists() and note.read_text()))
        assert await why(command, timeoutMs=20_000, noOutputTimeoutMs=60_000) == "took longer than 20 s"
    await settle(lambda: int(note.read_text()) not in running_pids(), "the end of the child")


@async_test
async def test_a_program_that_says_nothing(tmp_path: Path) -> None:
    command = program(tmp_path, "print('x', flush=True); time.sleep(600)")
    assert await why(command, timeoutMs=60_000, noOutputTimeoutMs=700) == "printed nothing for 0.7 s"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@async_test
async def test_a_program_that_prints_too_much(tmp_path: Path, stream: str) -> None:
    command = program(tmp_path, f"while True: sys.{stream}.write('{SECRET}' * 1000)")
    assert await why(command, maxOutputBytes=50_000) == "printed more than 50000 bytes"


def refused(path: Path | str, /, **settings: Any) -> str:
    with pytest.raises(ValueError, match=r"^secrets\.providers\.vault") as caught:
        ExecProvider.from_settings("vault", {"command": str(path), **settings}, {"HOME": "/h"})
    return str(caught.value).removeprefix("secrets.providers.vault.")


def test_commands_that_are_not_to_be_trusted(tmp_path: Path) -> None:
    command = program(tmp_path, "")
    assert provider(command, trustedDirs=["/opt", str(tmp_path)]).argv == (str(command),)
    assert refused(command, trustedDirs=["/opt"]) == f"command {command} is outside of trustedDirs"
    assert refused(command, trustedDirs=[f"{tmp_path}x"]) == f"command {command} is outside of trustedDirs"
    for mode in (0o720, 0o702):
        command.chmod(mode)
        assert refused(command) == f"command {command} can be written by others: chmod go-w {command}"
    command.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(command)
    assert refused(link) == f"command {link} must not be a symbolic link"
    assert refused(tmp_path) == f"command {tmp_path} is not a file"
    assert refused(tmp_path / "gone").endswith("cannot be used: No such file or directory")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_command_of_somebody_else(tmp_path: Path) -> None:
    command = program(tmp_path, "")
    os.chown(command, 65534, -1)
    assert refused(command) == f"command {command} belongs to another user"


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"command": "vault"}, "command must be an absolute path"),
    ({"command": "./vault"}, "command must be an absolute path"),
    ({"command": ""}, "command is no path"),
    ({"command": 5}, "command is no path"),
    ({"command": "/a\0b"}, "command is no path"),
    ({"args": "x"}, "args must be an array of strings"),
    ({"args": [1]}, "args must be an array of strings"),
    ({"passEnv": [None]}, "passEnv must be an array of strings"),
    ({"env": {"A": 1}}, "env must be an object of strings"),
    ({"env": []}, "env must be an object of strings"),
]


@pytest.mark.parametrize(("settings", "reason"), SETTINGS)
def test_settings_of_the_wrong_type(tmp_path: Path, settings: dict[str, Any], reason: str) -> None:
    assert refused(program(tmp_path, ""), **settings) == reason


def test_limits_that_are_none_are_the_usual_ones(tmp_path: Path) -> None:
    command = program(tmp_path, "")
    found = provider(command, timeoutMs=-1, noOutputTimeoutMs=True, maxOutputBytes="x")
    assert (found.seconds, found.quiet_seconds, found.limit) == (5.0, 5.0, 1024 * 1024)
    assert provider(command, timeoutMs=2000).quiet_seconds == 2.0
