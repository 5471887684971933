"""ssh/enroll/installkey.py: a key goes into authorized_keys, and has to open the door by itself."""

import asyncio
from pathlib import Path

import asyncssh
import pytest

from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ssh.auth.keyfiles import load_private_key
from openclaw_tunnel.ssh.auth.prompts import Question
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.enroll.authorized import Answer, Mode
from openclaw_tunnel.ssh.enroll.bootstrap import SetupConnection, log_in
from openclaw_tunnel.ssh.enroll.installkey import install_key, prove_key
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey, make_key
from support.aio import async_test, pass_time
from support.askingserver import AskingServer, shell_in
from support.sshtargets import Resolver, target_for

FILE = "~/.ssh/authorized_keys"
FINE = Answer(True, FILE)


async def enter(server: AskingServer, folder: Path) -> SetupConnection:
    async def ask(question: Question) -> list[str]:
        return ["secret"]

    return await log_in(DialOptions("gw", {}, resolve=Resolver(gw=target_for(server, folder))), ask)


async def prove(server: AskingServer, folder: Path, key: ChosenKey, installed: Answer, *others: ChosenKey) -> str:
    """Which key got in."""
    target = target_for(server, folder, identity_files=tuple(k.path for k in (*others, key)))
    return (await prove_key(DialOptions("gw", {}, resolve=Resolver(gw=target)), key, installed)).path


async def doubt(
    server: AskingServer, folder: Path, key: ChosenKey, installed: Answer, *others: ChosenKey
) -> TunnelError:
    with pytest.raises(TunnelError) as caught:
        await prove(server, folder, key, installed, *others)
    return caught.value


@async_test
async def test_once_and_only_once(tmp_path: Path) -> None:
    key = make_key(str(tmp_path / "id"), "me@here")
    async with AskingServer(password="secret", run=shell_in(tmp_path, b"Welcome!\n")) as server:
        async with await enter(server, tmp_path) as connection:
            first, second = await install_key(connection, key), await install_key(connection, key)
    assert (first.added, first.file, second.added) == (True, FILE, False)
    assert [mode.path for mode in first.modes] == [".", ".ssh", ".ssh/authorized_keys"]
    assert (tmp_path / ".ssh" / "authorized_keys").read_text() == key.line + "\n"


@async_test
async def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    key = make_key(str(tmp_path / "id"), "me@here")
    (tmp_path / ".ssh").write_text("")
    async with AskingServer(password="secret", run=shell_in(tmp_path)) as server:
        async with await enter(server, tmp_path) as connection:
            with pytest.raises(TunnelError) as caught:
                await install_key(connection, key)
    assert caught.value.message.startswith(f"{FILE} on 127.0.0.1:{server.port} cannot be written: mkdir: ")
    assert caught.value.hint == f"on that computer, add this line to {FILE} of me, then call this again: {key.line}"
    assert caught.value.exit_code is ExitCode.LOGIN


@async_test
async def test_a_host_that_does_not_get_on_with_it(tmp_path: Path) -> None:
    key = make_key(str(tmp_path / "id"), "me@here")

    asked = asyncio.Event()

    async def hang(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        asked.set()
        await process.wait_closed()

    async with AskingServer(password="secret", run=hang) as server:
        async with await enter(server, tmp_path) as connection, asyncio.TaskGroup() as group:
            group.create_task(pass_time(30, asked.is_set))
            with pytest.raises(TunnelError, match="let me in, and did not run a command in time") as caught:
                await install_key(connection, key, timeout=30)
    assert caught.value.hint.endswith(key.line)


@async_test
async def test_only_the_key_itself_is_a_proof(tmp_path: Path) -> None:
    known, new = make_key(str(tmp_path / "known")), make_key(str(tmp_path / "new"))
    async with AskingServer([load_private_key(known.path)], password="secret") as server:
        assert await prove(server, tmp_path, known, FINE, new) == known.path
        error = await doubt(server, tmp_path, new, FINE, known)
        assert server.keys_offered == [known.public, known.public, new.public]
        assert server.tried == []
    host = f"127.0.0.1:{server.port}"
    assert error.message.startswith(
        f"{host} does not take the key that stands in {FILE} there ({new.shown}): {host} refused the login of me"
    )
    assert error.hint.startswith("its own log says why")


@async_test
async def test_the_cause_that_was_found_is_named(tmp_path: Path) -> None:
    key = make_key(str(tmp_path / "id"))
    shared = Answer(True, FILE, "7", (Mode(".ssh", "drwxrwxrwx", "7"),))
    async with AskingServer(password="secret") as server:
        error = await doubt(server, tmp_path, key, shared)
        assert error.message.endswith("): others may write to ~/.ssh there (drwxrwxrwx)")
        assert error.hint == "on that computer: chmod go-w ~/.ssh"
        error = await doubt(server, tmp_path, key, Answer(False, FILE))
        assert error.hint == f"on that computer: look at the options and dates before that key in {FILE}"
        server.takes_keys = False
        error = await doubt(server, tmp_path, key, FINE)
        assert error.message.endswith("): it takes no keys at all")


@async_test
async def test_a_proof_that_did_not_come_so_far_is_no_refusal(tmp_path: Path) -> None:
    key, other = make_key(str(tmp_path / "id")), make_key(str(tmp_path / "other"))
    async with AskingServer(password="secret") as server:
        target = target_for(server, tmp_path, identity_files=(other.path,))
        with pytest.raises(TunnelError, match=r"refused the login of me \(no key was offered\)"):
            await prove_key(DialOptions("gw", {}, resolve=Resolver(gw=target)), key, FINE)
    error = await doubt(server, tmp_path, key, FINE)
    assert (error.exit_code, error.message) == (ExitCode.UNREACHABLE, f"127.0.0.1:{server.port} refused the connection")


@async_test
async def test_a_jump_host_that_refuses_says_nothing_of_the_key(tmp_path: Path) -> None:
    key = make_key(str(tmp_path / "id"))
    async with AskingServer(password="secret") as jump, AskingServer(password="secret") as server:
        gw = target_for(server, tmp_path, identity_files=(key.path,), proxy_jump=("jump",))
        for keys, said in (((), "no key was offered"), ((key.path,), f"offered: {key.path} (")):
            hop = target_for(jump, tmp_path, identity_files=keys)
            with pytest.raises(TunnelError) as caught:
                await prove_key(DialOptions("gw", {}, resolve=Resolver(gw=gw, jump=hop)), key, FINE)
            assert caught.value.message.startswith(f"127.0.0.1:{jump.port} refused the login of me ({said}")
