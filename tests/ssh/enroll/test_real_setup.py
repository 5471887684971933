"""Setting up against real servers: a password, a key installed and proved, and what is said where that cannot be."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.openclaw.remote_host import read_remote_gateway
from openclaw_tunnel.ssh.auth.prompts import Question
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.enroll.authorized import Answer
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn, SetupConnection, log_in
from openclaw_tunnel.ssh.enroll.installkey import install_key, prove_key
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey, KeyToMake, choose_key, make_key
from openclaw_tunnel.ssh.enroll.remote import read_remote_settings
from openclaw_tunnel.ssh.hostkeys.knownhosts import parse_key
from support.agent import SshAgent
from support.aio import async_test, pass_time, settle
from support.passwordsshd import PasswordSshd
from support.process import program
from support.servers import Dropbear, new_key

pytestmark = pytest.mark.real

ENV = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}


async def enter(config: Path, password: str = "") -> SetupConnection:
    async def ask(question: Question) -> Sequence[str] | None:
        return [password] * len(question.prompts)

    return await log_in(DialOptions("gw", ENV, ssh_config=str(config)), ask if password else None)


async def prove(config: Path, key: ChosenKey, installed: Answer) -> HowIn:
    return await prove_key(DialOptions("gw", ENV, ssh_config=str(config)), key, installed)


async def install_and_fail_to_prove(server: PasswordSshd, config: Path, key: ChosenKey) -> TunnelError:
    async with await enter(config, server.password) as connection:
        installed = await install_key(connection, key)
    with pytest.raises(TunnelError) as caught:
        await prove(config, key, installed)
    assert caught.value.exit_code is ExitCode.LOGIN
    assert caught.value.message.startswith(
        f"127.0.0.1:{server.port} does not take the key that stands in ~/.ssh/authorized_keys there (ED25519 SHA256:"
    )
    return caught.value


def key_at(path: Path) -> ChosenKey:
    """The key that ssh-keygen has made there."""
    line = Path(f"{path}.pub").read_text()
    public = parse_key(line)
    assert public is not None
    return ChosenKey(str(path), public, line.split()[2], in_file=True)


@async_test
async def test_from_a_password_to_a_key_and_the_gateways_settings(tmp_path: Path) -> None:
    with PasswordSshd(shell=program("bash")) as server:
        server.put(".bash_profile", "echo Welcome\nexport OPENCLAW_STATE_DIR=~/oc\n")
        server.put("oc/openclaw.json", '{gateway: {port: 4321, auth: {token: "${OPENCLAW_T}"}}}')
        server.put("oc/.env", "OPENCLAW_T=geheim\n")
        config = server.ssh_config(identity=tmp_path / "id")
        async with await enter(config, server.password) as connection:
            assert (connection.how.method, connection.how.by_key) == ("password", False)
            found = await choose_key(connection.target, connection.hop, ENV)
            assert found == KeyToMake(str(tmp_path / "id"))
            key = make_key(found.path)
            installed = await install_key(connection, key)
            assert (installed.added, installed.file) == (True, "~/.ssh/authorized_keys")
            assert server.authorized_keys.read_text() == key.line + "\n"
            assert (await install_key(connection, key)).added is False
            assert server.authorized_keys.read_text() == key.line + "\n"
            how = await prove(config, key, installed)
            assert (how.by_key, how.path, how.public) == (True, key.path, key.public)
            gateway = read_remote_gateway(await read_remote_settings(connection))
            assert (gateway.path, gateway.port, gateway.problem) == (f"{server.home}/oc/openclaw.json", 4321, "")
            assert gateway.token is not None
            assert gateway.token.reveal() == "geheim"
        async with await enter(config) as connection:
            assert connection.how == how
            again = await choose_key(connection.target, connection.hop, ENV)
            assert isinstance(again, ChosenKey)
            assert (again.line, again.in_file) == (key.line, True)


@async_test
async def test_a_wrong_password_is_refused_and_ssh_may_be_told_not_to_ask() -> None:
    with PasswordSshd() as server:
        with pytest.raises(TunnelError, match="; one answer refused") as caught:
            await enter(server.ssh_config(extra=["NumberOfPasswordPrompts 1"]), "wrong")
        assert caught.value.exit_code is ExitCode.LOGIN
        with pytest.raises(TunnelError, match="the server also takes: password") as caught:
            await enter(server.ssh_config(extra=["PasswordAuthentication no"]), server.password)
        assert "ssh-copy-id" in caught.value.hint
        server.configure(["MaxAuthTries 1"])
        server.restart()
        with pytest.raises(TunnelError, match="Too many authentication failures") as caught:
            await enter(server.ssh_config(), server.password)
        assert "IdentitiesOnly yes" in caught.value.hint


@async_test
async def test_what_keeps_sshd_from_taking_the_key_is_named() -> None:
    with PasswordSshd(shell=shutil.which("fish") or program("bash")) as server:
        config, key = server.ssh_config(), key_at(server.client_key)
        server.home.chmod(0o775)
        error = await install_and_fail_to_prove(server, config, key)
        assert error.message.endswith("): others may write to ~ there (drwxrwxr-x)")
        assert error.hint == "on that computer: chmod go-w ~"
        server.home.chmod(0o700)
        server.authorized_keys.write_text(f'from="192.0.2.1" {key.line}\n')
        error = await install_and_fail_to_prove(server, config, key)
        assert error.message.endswith("): its line was there before")
        server.configure(["PubkeyAuthentication no"])
        server.restart()
        server.authorized_keys.unlink()
        error = await install_and_fail_to_prove(server, config, key)
        assert error.message.endswith("): it takes no keys at all")
        assert error.hint == "on that computer: set PubkeyAuthentication yes in its sshd_config"


@pytest.mark.parametrize(
    ("extra", "shell", "said"),
    [
        (["ForceCommand internal-sftp"], "sh", "This service allows sftp connections only."),
        (["ForceCommand echo no way"], "sh", "no way"),
        ([], "nologin", "This account is currently not available."),
    ],
)
@async_test
async def test_an_account_that_runs_no_commands(extra: Sequence[str], shell: str, said: str) -> None:
    with PasswordSshd(extra, shell=program(shell)) as server:
        config, key = server.ssh_config(), key_at(server.client_key)
        host = f"127.0.0.1:{server.port}"
        async with await enter(config, server.password) as connection:
            with pytest.raises(TunnelError) as caught:
                await install_key(connection, key)
            assert caught.value.exit_code is ExitCode.LOGIN
            assert caught.value.message == f"{host} let remote in, and runs no commands for that account: {said}"
            assert caught.value.hint.endswith(f"~/.ssh/authorized_keys of remote, then call this again: {key.line}")
            assert (await read_remote_settings(connection)).problem == f"{host} runs no commands for remote: {said}"
        assert not server.authorized_keys.exists()


@async_test
async def test_a_script_that_takes_too_long_is_ended_over_there() -> None:
    with PasswordSshd(let_in=True) as server:
        async with await enter(server.ssh_config()) as connection, asyncio.TaskGroup() as group:
            group.create_task(pass_time(30, lambda: "sleep" in names(server.connections())))
            ran = await connection.run("sleep 600 <&- & wait", timeout=30)
            assert (ran.reached, ran.in_time) == (True, False)
            await settle(lambda: "sleep" not in names(server.connections()), "sleep to be ended")


@async_test
async def test_a_key_that_only_the_agent_has(tmp_path: Path) -> None:
    path = new_key(tmp_path / "held")
    held = key_at(path)
    with PasswordSshd() as server, SshAgent() as agent:
        agent.add(path)
        path.unlink()
        path.with_suffix(".pub").unlink()
        config = server.ssh_config(extra=["IdentitiesOnly no"], identity=tmp_path / "none")
        env = {**ENV, "SSH_AUTH_SOCK": str(agent.socket)}
        async with await enter(config, server.password) as connection:
            key = await choose_key(connection.target, connection.hop, env)
            assert isinstance(key, ChosenKey)
            assert (key.line, key.in_file, key.path) == (held.line, False, "")
            installed = await install_key(connection, key)
        how = await prove_key(DialOptions("gw", env, ssh_config=str(config)), key, installed)
        assert (how.by_key, how.from_agent, how.path, how.public) == (True, True, "", held.public)


@async_test
async def test_a_server_that_wants_more_than_a_key() -> None:
    with PasswordSshd(["AuthenticationMethods publickey,password"], let_in=True) as server:
        config, key = server.ssh_config(), key_at(server.client_key)
        async with await enter(config, server.password) as connection:
            assert (connection.how.method, connection.how.by_key) == ("password", False)
        error = await install_and_fail_to_prove(server, config, key)
        assert error.message.endswith("): it wants more than a key")
        with pytest.raises(TunnelError, match=r"the server took .*, and wants more than a key; .* takes: password"):
            await enter(config)


def names(pids: Sequence[int]) -> set[str]:
    """The programs with these ids that are still there."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            found.add(Path(f"/proc/{pid}/comm").read_text().strip())
    return found


@async_test
async def test_dropbear_takes_the_key_from_the_same_file(tmp_path: Path) -> None:
    second = key_at(new_key(tmp_path / "second"))
    with Dropbear() as server:
        authorized = server.folder / "home" / ".ssh" / "authorized_keys"
        before = authorized.read_text()
        async with await enter(server.ssh_config()) as connection:
            assert connection.how.path == str(server.client_key)
            installed = await install_key(connection, second)
            assert (installed.added, authorized.read_text()) == (True, before + second.line + "\n")
        config = server.ssh_config("gw", extra=[f"IdentityFile {tmp_path / 'second'}"])
        assert (await prove(config, second, installed)).path == str(tmp_path / "second")
