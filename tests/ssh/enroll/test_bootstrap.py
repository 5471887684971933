"""ssh/enroll/bootstrap.py: the first login, with a person at hand."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncssh
import pytest

from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ssh.auth.prompts import Asker, Question
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.enroll.bootstrap import SetupConnection, log_in
from openclaw_tunnel.ssh_config.target import SshTarget
from support.aio import async_test, pass_time, settle
from support.askingserver import AskingServer, Challenge
from support.receiver import Receiver
from support.sshserver import SshTestServer
from support.sshtargets import Resolver, make_target, target_for

CODE: Challenge = ("", "", "", [("Code: ", True)])


class Person:
    """Answers from a list; with an event, only when that is set."""

    def __init__(self, *answers: Sequence[str] | None, hold: asyncio.Event | None = None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []
        self.cancelled = False
        self._hold = hold

    async def __call__(self, question: Question) -> Sequence[str] | None:
        self.asked.append((question.method, question.attempt))
        if self._hold:
            try:
                await self._hold.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        return self.answers.pop(0)


async def enter(target: SshTarget, ask: Asker | None, seconds: float = 30.0, **others: SshTarget) -> SetupConnection:
    policy = Policy(connect_timeout=seconds)
    return await log_in(DialOptions("gw", {}, resolve=Resolver(gw=target, **others), policy=policy), ask)


async def refusal(target: SshTarget, ask: Asker | None, seconds: float = 30.0, **others: SshTarget) -> TunnelError:
    with pytest.raises(TunnelError) as caught:
        await enter(target, ask, seconds, **others)
    return caught.value


def key_in(folder: Path, name: str = "id") -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    (folder / name).write_bytes(key.export_private_key())
    (folder / name).chmod(0o600)
    return key


@async_test
async def test_a_key_that_is_let_in_asks_nobody(tmp_path: Path) -> None:
    key, person = key_in(tmp_path), Person()
    async with AskingServer([key], password="secret") as server:
        target = target_for(server, tmp_path, identity_files=(str(tmp_path / "id"),))
        async with await enter(target, person) as connection:
            how = connection.how
            assert (how.method, how.by_key, how.path) == ("publickey", True, str(tmp_path / "id"))
            assert (how.public, how.from_agent) == (key.public_data, False)
            assert how.key.startswith(f"{tmp_path / 'id'} (ED25519 SHA256:")
            assert connection.target is target
        assert person.asked == []


@async_test
async def test_a_refused_key_is_followed_by_a_password(tmp_path: Path) -> None:
    key_in(tmp_path)
    person = Person(["wrong"], ["secret"])
    async with AskingServer(password="secret") as server:
        target = target_for(server, tmp_path, identity_files=(str(tmp_path / "id"),))
        async with await enter(target, person) as connection:
            assert (connection.how.method, connection.how.by_key, connection.how.key) == ("password", False, "")
        assert len(server.keys_offered) == 1
        assert server.tried == ["wrong", "secret"]
    assert person.asked == [("password", 1), ("password", 2)]


@async_test
async def test_questions_of_the_server_are_passed_on_round_by_round(tmp_path: Path) -> None:
    both: Challenge = ("Two", "both, please", "", [("Password: ", False), ("Token: ", True)])
    person = Person(["p", "t"], ["7"])
    async with AskingServer(challenges=[(both, ["p", "t"]), (CODE, ["7"])]) as server:
        async with await enter(target_for(server, tmp_path), person) as connection:
            assert connection.how.method == "keyboard-interactive"
        assert server.tried == [["p", "t"], ["7"]]


@async_test
async def test_three_tries_and_no_more(tmp_path: Path) -> None:
    person = Person(*([["no"]] * 9))
    async with AskingServer(password="secret") as server:
        error = await refusal(target_for(server, tmp_path), person)
        assert server.tried == ["no"] * 3
    assert error.exit_code is ExitCode.LOGIN
    assert error.message.endswith("; the server also takes: password; 3 answers refused")
    assert error.hint.startswith("check the user and the password")


@async_test
async def test_who_gives_up_is_not_asked_by_another_method(tmp_path: Path) -> None:
    person = Person(None)
    async with AskingServer(password="secret", challenges=[(CODE, ["7"])]) as server:
        error = await refusal(target_for(server, tmp_path), person)
        assert server.tried == []
    assert person.asked == [("keyboard-interactive", 1)]
    assert error.exit_code is ExitCode.LOGIN
    assert error.message.startswith("no answer was given: ")


@async_test
async def test_the_order_of_ssh_config_is_kept(tmp_path: Path) -> None:
    person = Person(["secret"])
    async with AskingServer(password="secret", challenges=[(CODE, ["7"])]) as server:
        target = target_for(server, tmp_path, preferred_authentications=("password", "keyboard-interactive"))
        async with await enter(target, person) as connection:
            assert connection.how.method == "password"
    assert person.asked == [("password", 1)]


@async_test
async def test_ssh_config_may_forbid_to_ask_and_without_an_asker_nobody_is(tmp_path: Path) -> None:
    person = Person()
    async with AskingServer(password="secret") as server:
        for fields, ask in (({"password_authentication": False}, person), ({"batch_mode": True}, person), ({}, None)):
            error = await refusal(target_for(server, tmp_path, **fields), ask)
            assert error.exit_code is ExitCode.LOGIN
            assert "the server also takes: password" in error.message
            assert "ssh-copy-id" in error.hint
        assert server.tried == []
    assert person.asked == []


@async_test
async def test_the_deadline_stands_still_while_a_person_types(tmp_path: Path) -> None:
    hold = asyncio.Event()
    person = Person(["secret"], hold=hold)

    async def think() -> None:
        await pass_time(30, lambda: person.asked)
        hold.set()

    async with AskingServer(password="secret") as server, asyncio.TaskGroup() as group:
        group.create_task(think())
        async with await enter(target_for(server, tmp_path), person, 20) as connection:
            assert connection.how.method == "password"


@async_test
async def test_and_goes_on_when_the_answer_is_there(tmp_path: Path) -> None:
    answered = asyncio.Event()
    async with AskingServer(password="secret") as server, asyncio.TaskGroup() as group:

        async def answer(question: Question) -> Sequence[str]:
            server.fall_silent()
            answered.set()
            return ["secret"]

        group.create_task(pass_time(20, answered.is_set))
        error = await refusal(target_for(server, tmp_path), answer, 20)
    assert error.exit_code is ExitCode.UNREACHABLE
    assert "did not answer within 20 s (logging in)" in error.message


@async_test
async def test_a_server_that_hangs_up_ends_the_question(tmp_path: Path) -> None:
    person = Person(hold=asyncio.Event())
    async with AskingServer(password="secret") as server:

        async def hang_up() -> None:
            await settle(lambda: person.asked)
            server.cut()

        async with asyncio.TaskGroup() as group:
            group.create_task(hang_up())
            error = await refusal(target_for(server, tmp_path), person)
    await settle(lambda: person.cancelled)
    assert error.message.endswith("hung up before the login was done, while it waited for an answer")


@async_test
async def test_a_login_that_is_given_up_ends_the_question(tmp_path: Path) -> None:
    person = Person(hold=asyncio.Event())
    async with AskingServer(password="secret") as server:
        async with asyncio.TaskGroup() as group:
            login = group.create_task(enter(target_for(server, tmp_path), person))
            await settle(lambda: person.asked)
            login.cancel()
        await settle(lambda: person.cancelled and not server.connections)


@async_test
async def test_what_the_asker_raises_comes_out_as_it_was(tmp_path: Path) -> None:
    async def broken(question: Question) -> Sequence[str] | None:
        raise LookupError("no terminal")

    async with AskingServer(password="secret") as server:
        with pytest.raises(LookupError, match="no terminal"):
            await enter(target_for(server, tmp_path), broken)


@async_test
async def test_a_wrong_host_key_is_asked_for_no_password(tmp_path: Path) -> None:
    person = Person()
    async with AskingServer(password="secret") as server:
        error = await refusal(make_target(port=server.port), person)
        assert server.tried == []
    assert (error.exit_code, person.asked) == (ExitCode.HOST_KEY, [])


@async_test
async def test_a_jump_host_takes_keys_only(tmp_path: Path) -> None:
    person = Person()
    async with AskingServer(password="secret") as jump:
        target = make_target(port=1, proxy_jump=("jump",))
        error = await refusal(target, person, jump=target_for(jump, tmp_path))
    assert (error.exit_code, person.asked) == (ExitCode.LOGIN, [])
    assert f"127.0.0.1:{jump.port} refused the login of me" in error.message


@async_test
async def test_a_lost_connection_is_said_and_closing_twice_is_fine(tmp_path: Path) -> None:
    async with AskingServer(password="secret") as server:
        connection = await enter(target_for(server, tmp_path), Person(["secret"]))
        server.cut()
        await connection.link.wait_lost()
        with pytest.raises(TunnelError, match="was lost") as caught:
            await connection.run("true")
        assert caught.value.exit_code is ExitCode.UNREACHABLE
        await connection.close()
        await connection.close()


@async_test
async def test_channels_reach_what_is_behind_the_host(tmp_path: Path) -> None:
    async with SshTestServer([key_in(tmp_path)]) as server, SshTestServer() as behind:
        target = target_for(server, tmp_path, identity_files=(str(tmp_path / "id"),))
        async with await enter(target, None) as connection:
            receiver = Receiver()
            channel = await connection.link.open_channel("127.0.0.1", behind.port, receiver, timeout=30)
            await settle(lambda: bytes(receiver.got).startswith(b"SSH-2.0-"))
            channel.close()
