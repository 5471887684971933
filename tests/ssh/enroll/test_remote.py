"""ssh/enroll/remote.py: what is read on a gateway's host, by the scripts themselves."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import asyncssh

from openclaw_tunnel.json5doc.document import MAX_BYTES
from openclaw_tunnel.openclaw.remote_host import RemoteFile, candidates
from openclaw_tunnel.ssh.auth.prompts import Question
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.enroll.bootstrap import log_in
from openclaw_tunnel.ssh.enroll.remote import (
    ENVIRONMENT,
    read_files,
    read_remote_settings,
    read_variables,
    script_to_show,
)
from support.aio import async_test
from support.askingserver import AskingServer, shell_in
from support.sshtargets import Resolver, target_for

MARK = "openclaw-tunnel-0123"


def shell(script: str, env: Mapping[str, str]) -> bytes:
    """What a POSIX shell prints for it."""
    env = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(["sh"], input=script.encode(), stdout=subprocess.PIPE, env=env, cwd="/", timeout=30).stdout


def look(home: Path, **env: str) -> tuple[dict[str, RemoteFile], frozenset[str], bool]:
    return read_files(shell(script_to_show(MARK, candidates({"HOME": str(home), **env})), {}), MARK)


def test_files_come_byte_for_byte(tmp_path: Path) -> None:
    state = tmp_path / ".openclaw"
    state.mkdir()
    odd = b"\n{\n// \xff\0 \r\nopenclaw-tunnel-0124 end\n}\n\n"
    (state / "openclaw.json").write_bytes(odd)
    (state / ".env").write_bytes(b"A=1")
    (state / "clawdbot.json").mkdir()
    files, folders, complete = look(tmp_path)
    assert complete
    assert folders == {str(state), str(state / "clawdbot.json")}
    assert {path: file.content for path, file in files.items()} == {
        str(state / "openclaw.json"): odd,
        str(state / ".env"): b"A=1",
    }


def test_a_file_too_large_is_cut_where_that_shows(tmp_path: Path) -> None:
    path = tmp_path / "it's here.json"
    path.write_bytes(b"x" * (MAX_BYTES + 10))
    files, _, complete = look(tmp_path, OPENCLAW_CONFIG_PATH=str(path))
    assert complete
    assert len(files[str(path)].content) == MAX_BYTES + 1


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / ".openclaw").mkdir()
    os.mkfifo(tmp_path / ".openclaw" / "openclaw.json")
    files, _, complete = look(tmp_path)
    path = str(tmp_path / ".openclaw" / "openclaw.json")
    assert complete
    assert files == {path: RemoteFile(path, problem="cannot be read by this account")}


def test_an_answer_that_is_cut_short_is_not_taken_for_a_whole_one() -> None:
    text = f"\n{MARK} file /a\ncontent\n{MARK} end\n".encode()
    assert read_files(text, MARK) == ({"/a": RemoteFile("/a", b"content")}, frozenset(), True)
    assert read_files(text[:-6], MARK)[2] is False
    assert read_files(b"", MARK) == ({}, frozenset(), False)


def test_the_variables_of_the_login_shell_win_and_no_others_leave_that_computer(tmp_path: Path) -> None:
    (tmp_path / ".profile").write_text(
        "echo hello\nexport OPENCLAW_STATE_DIR=/srv/x=y OPENCLAW_NEW=1 SECRET_TOKEN=s\ncat\n"
    )
    env = {"HOME": str(tmp_path), "SHELL": "/bin/sh", "OPENCLAW_STATE_DIR": "/old", "OPENCLAW_GATEWAY_PORT": "7"}
    found = read_variables(shell(ENVIRONMENT, env))
    assert found == {
        "HOME": str(tmp_path),
        "OPENCLAW_STATE_DIR": "/srv/x=y",
        "OPENCLAW_GATEWAY_PORT": "7",
        "OPENCLAW_NEW": "1",
    }


def test_a_login_shell_that_will_not_leaves_the_variables_of_the_session(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "SHELL": "/bin/false", "OPENCLAW_STATE_DIR": "/here"}
    assert read_variables(shell(ENVIRONMENT, env)) == {"HOME": str(tmp_path), "OPENCLAW_STATE_DIR": "/here"}


@async_test
async def test_settings_that_come_only_in_part(tmp_path: Path) -> None:
    calls: list[str] = []
    whole = shell_in(tmp_path)

    async def run(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        calls.append("")
        if len(calls) == 1:
            await whole(process)
        else:
            process.stdout.write((await process.stdin.read()).split()[3] + b"\n")
            process.exit(0)

    async def ask(question: Question) -> list[str]:
        return ["secret"]

    async with AskingServer(password="secret", run=run) as server:
        resolve = Resolver(gw=target_for(server, tmp_path))
        async with await log_in(DialOptions("gw", {}, resolve=resolve), ask) as connection:
            found = await read_remote_settings(connection)
    assert found.problem == f"OpenClaw's settings on 127.0.0.1:{server.port} came only in part"
    assert (found.home, found.files) == (str(tmp_path), {})
