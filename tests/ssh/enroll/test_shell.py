"""ssh/enroll/shell.py: a script at the other end, whatever that end makes of it."""

import asyncio
from pathlib import Path

import asyncssh
import pytest

from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.enroll.bootstrap import SetupConnection, log_in
from openclaw_tunnel.ssh.enroll.shell import Ran
from support.aio import async_test, pass_time, settle
from support.askingserver import AskingServer, Run, shell_in
from support.sshtargets import Resolver, target_for

Process = asyncssh.SSHServerProcess[bytes]


async def run(folder: Path, command: Run | None, script: str, *, timeout: float = 10.0, limit: int = 1000) -> Ran:
    """What comes of ``script`` where a command does what ``command`` says."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / "id").write_bytes(key.export_private_key())
    (folder / "id").chmod(0o600)
    async with AskingServer([key], run=command) as server:
        target = target_for(server, folder, identity_files=(str(folder / "id"),))
        connection: SetupConnection = await log_in(DialOptions("gw", {}, resolve=Resolver(gw=target)))
        async with connection:
            ran = await connection.run(script, timeout=timeout, limit=limit)
        await settle(lambda: not server.connections)
        return ran


@async_test
async def test_output_and_errors_of_the_script_and_nothing_of_the_login_scripts(tmp_path: Path) -> None:
    ran = await run(tmp_path, shell_in(tmp_path, b"Welcome!\n"), "echo 'a  b'; echo oh >&2; false")
    assert (ran.reached, sorted(ran.output.splitlines()), ran.status, ran.in_time) == (True, [b"a  b", b"oh"], 1, True)
    assert ran.words == "Welcome!"


@async_test
async def test_half_a_script_does_nothing(tmp_path: Path) -> None:
    async def cut_short(process: Process) -> None:
        whole = await process.stdin.read()
        child = await asyncio.create_subprocess_exec(
            "sh", stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        await child.communicate(whole[: whole.index(b"false")])
        process.exit(0)

    ran = await run(tmp_path, cut_short, f"touch {tmp_path / 'done'}\nfalse")
    assert not ran.reached
    assert not (tmp_path / "done").exists()


@async_test
async def test_no_shell_for_this_account(tmp_path: Path) -> None:
    async def nologin(process: Process) -> None:
        process.stdout.write(b"This account is \x1b[1mnot available.\n")
        process.exit(1)

    ran = await run(tmp_path, nologin, "true")
    assert ran == Ran(False, b"", "This account is not available.", 1, True)


@async_test
async def test_no_commands_at_all(tmp_path: Path) -> None:
    ran = await run(tmp_path, None, "true")
    assert (ran.reached, ran.output, ran.in_time) == (False, b"", True)


@async_test
async def test_a_script_that_does_not_end(tmp_path: Path) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hang(process: Process) -> None:
        mark = (await process.stdin.read()).split()[3]
        process.stdout.write(mark + b"\nfirst\n")
        begun.set()
        try:
            await process.stdin.read()
            await process.wait_closed()
        finally:
            ended.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(pass_time(30, begun.is_set))
        ran = await run(tmp_path, hang, "true", timeout=30)
    assert (ran.reached, ran.output, ran.in_time) == (True, b"first\n", False)
    await ended.wait()


@async_test
async def test_a_connection_that_is_lost_meanwhile_is_no_answer(tmp_path: Path) -> None:
    async def cut(process: Process) -> None:
        process.stdout.write(b"Welcome!")
        await process.stdout.drain()
        process.get_extra_info("connection").abort()

    with pytest.raises(TunnelError, match=r"the connection to 127\.0\.0\.1:\d+ was lost"):
        await run(tmp_path, cut, "true")


@async_test
async def test_a_script_that_does_not_stop_talking(tmp_path: Path) -> None:
    async def talk(process: Process) -> None:
        mark = (await process.stdin.read()).split()[3]
        process.stdout.write(mark + b"\n")
        try:
            while True:
                process.stdout.write(b"x" * 5000)
                await process.stdout.drain()
        except (BrokenPipeError, asyncssh.Error):
            process.close()

    ran = await run(tmp_path, talk, "true", limit=10_000)
    assert (ran.reached, ran.in_time) == (True, False)
    assert len(ran.output) < 10_000
