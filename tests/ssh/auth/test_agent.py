"""ssh/auth/agent.py: agents that answer, hang, vanish, talk nonsense, or never come back with a signature."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Asks, DialFailed, nobody_asked
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.ssh.auth.agent import agent_path, ask_agent, close_agent, list_keys
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.deadline import Patience
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh_config.target import SshTarget
from support.agent import SshAgent
from support.aio import async_test, settle
from support.fakeagent import fake_agent as fake_agent_of
from support.servers import new_key
from support.sshserver import SshTestServer
from support.sshtargets import make_connector, make_target, target_for


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@asynccontextmanager
async def fake_agent(path: Path, answers: list[bytes]) -> AsyncIterator[str]:
    """An agent that gives ``answers`` to the first requests and then falls silent."""
    remaining = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while size := await reader.read(4):
                await reader.readexactly(int.from_bytes(size, "big"))
                if remaining:
                    writer.write(string(remaining.pop(0)))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield str(path)


def identities(*keys: asyncssh.SSHKey) -> bytes:
    """An agent's list of its keys (draft-miller-ssh-agent)."""
    listed = b"".join(string(key.public_data) + string(b"a comment") for key in keys)
    return bytes([12]) + len(keys).to_bytes(4, "big") + listed


KEY = asyncssh.generate_private_key("ssh-ed25519")


@async_test
async def test_keys_in_the_agents_order(tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    async with fake_agent(tmp_path / "a", [identities(KEY, other)]) as path:
        answer = await ask_agent(path)
        assert [pair.public_data for pair in answer.keys] == [KEY.public_data, other.public_data]
        assert not answer.problem
        await close_agent(answer.client)
        await close_agent(answer.client)


@async_test
async def test_no_agent_is_no_problem() -> None:
    answer = await ask_agent("")
    assert (answer.keys, answer.problem, answer.client) == ([], "", None)
    await close_agent(answer.client)


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([], "did not answer within 0.1 s"),
        ([b"\x05"], "cannot be asked: "),
        ([b"\x0c\0\0\0\x09"], "cannot be asked: "),
    ],
)
@async_test
async def test_an_agent_that_is_no_help(tmp_path: Path, answers: list[bytes], problem: str) -> None:
    async with fake_agent(tmp_path / "a", answers) as path:
        answer = await ask_agent(path, timeout=0.1)
        assert answer.keys == []
        assert answer.client is None
        assert problem in answer.problem
        assert path in answer.problem


@async_test
async def test_which_keys_a_real_agent_holds(tmp_path: Path) -> None:
    key = new_key(tmp_path / "id")
    with SshAgent() as agent:
        assert await list_keys(str(agent.socket)) == frozenset()
        agent.add(key)
        assert await list_keys(str(agent.socket)) == frozenset({asyncssh.read_public_key(f"{key}.pub").public_data})
        agent.freeze()
        assert await list_keys(str(agent.socket), timeout=0.1) is None
        agent.thaw()
    assert await list_keys(str(agent.socket)) == frozenset()


@async_test
async def test_which_keys_several_and_no_agent_hold(tmp_path: Path) -> None:
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(3)]
    async with fake_agent_of(tmp_path / "agent", *keys):
        assert await list_keys(str(tmp_path / "agent")) == frozenset(key.public_data for key in keys)
    assert await list_keys("") == await list_keys("/no\0path") == frozenset()


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\0\1\5", b"\xff" * 4, b"\0\0\0\5\x0c\0\0\0\1", b"\0\0\0\0"])
@async_test
async def test_an_agent_that_says_something_else_and_hangs_up_has_no_keys(tmp_path: Path, data: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(data)
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "agent"):
        assert await list_keys(str(tmp_path / "agent")) == frozenset()


@async_test
async def test_an_agent_that_was_not_there_at_a_login_had_no_keys(tmp_path: Path) -> None:
    """So that it makes a difference when it comes."""
    ring = KeyRing(make_target(identity_agent=None), {"SSH_AUTH_SOCK": str(tmp_path / "none")})
    assert await ring.next_key() is None
    assert ring.agent_keys == frozenset()


def test_which_agent_is_asked() -> None:
    env = {"SSH_AUTH_SOCK": "/s"}
    assert agent_path(None, env) == "/s"
    assert agent_path(None, {}) == ""
    assert agent_path("", env) == ""
    assert agent_path("/other", env) == "/other"


def other_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


def through(agent: Path, server: SshTestServer, folder: Path, **fields: Any) -> SshTarget:
    """A target whose keys are the agent's."""
    return target_for(server, folder, **{"identity_agent": str(agent), "identities_only": False, **fields})


async def failure_of(connector: SshConnector, asks: Asks = nobody_asked) -> Failure:
    with pytest.raises(DialFailed) as caught:
        await connector.connect(asks=asks)
    return caught.value.failure


QUICK = Patience(person=0.5, notice=0.1)


@async_test
async def test_a_signature_that_never_comes(tmp_path: Path) -> None:
    """As with a security key that waits for a touch: it is shown, and not tried again until somebody asks for it."""
    asked: list[str] = []
    async with SshTestServer([KEY]) as server, fake_agent_of(tmp_path / "a", KEY) as agent:
        agent.hold_signature = asyncio.Event()
        target = through(tmp_path / "a", server, tmp_path)
        failure = await failure_of(make_connector(target, patience=QUICK), asked.append)
        agent.hold_signature.set()
    assert failure.code is Code.NOT_CONFIRMED
    key = f"a comment of the agent (ED25519 {KEY.get_fingerprint()})"
    assert failure.message == (f"the SSH agent at {tmp_path}/a did not sign with {key}: it waits for a touch or a yes")
    assert failure.hint.startswith("touch the key, or confirm in the SSH agent, when it asks; ")
    assert asked == [f"confirm the use of {key} in the SSH agent ({tmp_path}/a)", ""]


@async_test
async def test_a_person_has_more_time_than_connect_timeout(tmp_path: Path) -> None:
    """ssh means with ConnectTimeout how long the server may take, not how long its user may."""
    asked: list[str] = []
    async with SshTestServer([KEY]) as server, fake_agent_of(tmp_path / "a", KEY) as agent:
        agent.hold_signature = asyncio.Event()
        target = through(tmp_path / "a", server, tmp_path, connect_timeout=0.3)
        connector = make_connector(target, patience=Patience(person=20.0, notice=0.5))
        async with asyncio.TaskGroup() as group:
            dial = group.create_task(connector.connect(asks=asked.append))
            await settle(lambda: asked)  # more than the 0.3 s are over
            agent.hold_signature.set()
        await dial.result().close()
    assert len(asked) == 2
    assert asked[1] == ""


@async_test
async def test_an_agent_that_is_slow_to_list_its_keys(tmp_path: Path) -> None:
    """It has to be unlocked, or wakes up a card reader."""
    async with SshTestServer([KEY]) as server, fake_agent_of(tmp_path / "a", KEY) as agent:
        agent.hold_list = asyncio.Event()
        target = through(tmp_path / "a", server, tmp_path, connect_timeout=0.3)
        asyncio.get_running_loop().call_later(0.6, agent.hold_list.set)
        await (await make_connector(target).connect()).close()


@async_test
async def test_an_agent_that_hangs_up_at_once_is_not_taken_for_the_server(tmp_path: Path) -> None:
    """It is full, or refuses this program: a key file does without, and where there is none the agent is to blame."""
    path = tmp_path / "id"
    path.write_bytes(KEY.export_private_key())
    path.chmod(0o600)

    def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with SshTestServer([KEY]) as server, await asyncio.start_unix_server(hang_up, tmp_path / "a"):
        with_file = through(tmp_path / "a", server, tmp_path, identity_files=(str(path),))
        await (await make_connector(with_file).connect()).close()
        failure = await failure_of(make_connector(through(tmp_path / "a", server, tmp_path)))
    assert failure.code is Code.AGENT_UNREACHABLE
    assert f"the SSH agent at {tmp_path}/a cannot be asked: " in failure.message
    assert "Errno" not in failure.message


@async_test
async def test_an_agent_that_hangs_does_not_stop_a_key_file(tmp_path: Path) -> None:
    path = tmp_path / "id"
    path.write_bytes(KEY.export_private_key())
    path.chmod(0o600)
    async with SshTestServer([KEY]) as server, fake_agent_of(tmp_path / "a", other_key()) as agent:
        agent.hold_list = asyncio.Event()
        with_file = through(tmp_path / "a", server, tmp_path, identity_files=(str(path),))
        policy = Policy(connect_timeout=0.5)
        await (await make_connector(with_file, policy=policy).connect()).close()
        failure = await failure_of(make_connector(through(tmp_path / "a", server, tmp_path), policy=policy))
        agent.hold_list.set()
    assert failure.code is Code.AGENT_UNREACHABLE
    assert not failure.permanent
    assert f"the SSH agent at {tmp_path}/a did not answer within 0.5 s" in failure.message
    assert "rm " not in failure.hint


@async_test
async def test_an_agent_whose_owner_says_no(tmp_path: Path) -> None:
    """Every dial would ask once more."""
    async with SshTestServer([KEY]) as server, fake_agent_of(tmp_path / "a", KEY) as agent:
        agent.refuses = True
        failure = await failure_of(make_connector(through(tmp_path / "a", server, tmp_path)))
    assert failure.code is Code.NOT_CONFIRMED
    assert f"the SSH agent at {tmp_path}/a refused to sign with a comment of the agent (ED25519 " in failure.message
    assert "wants more" not in failure.message
    assert failure.hint.startswith("unlock the SSH agent, and confirm when it asks; ")
    assert agent.asked == 1


@async_test
async def test_an_agent_is_asked_for_three_signatures_at_most(tmp_path: Path) -> None:
    keys = [KEY, *(other_key() for _ in range(4))]
    path = tmp_path / "id"
    path.write_bytes(keys[0].export_private_key())
    path.chmod(0o600)
    async with SshTestServer(keys) as server, fake_agent_of(tmp_path / "a", *keys[1:]) as agent:
        agent.refuses = True
        failure = await failure_of(make_connector(through(tmp_path / "a", server, tmp_path)))
        assert failure.code is Code.NOT_CONFIRMED
        assert agent.asked == 3
        # A key file costs nobody anything.
        with_file = through(tmp_path / "a", server, tmp_path, identity_files=(str(path),))
        await (await make_connector(with_file).connect()).close()
        assert agent.asked == 6


@async_test
async def test_an_agent_that_breaks_down_while_it_signs(tmp_path: Path) -> None:
    """It may be there again in a moment, unless it is how it shows that somebody has closed its window."""
    async with SshTestServer([KEY]) as server, fake_agent_of(tmp_path / "a", KEY) as agent:
        agent.hangs_up = True
        target = through(tmp_path / "a", server, tmp_path)
        failure = await failure_of(make_connector(target))
        assert failure.code is Code.AGENT_UNREACHABLE
        assert f"the SSH agent at {tmp_path}/a hung up instead of signing" in failure.message
        shown = agent.hold_signature = asyncio.Event()
        failure = await failure_of(make_connector(target, patience=Patience(notice=0.1)), lambda text: shown.set())
    assert failure.code is Code.NOT_CONFIRMED


@async_test
async def test_the_server_does_not_wait_for_a_person_for_ever(tmp_path: Path) -> None:
    """sshd hangs up after two minutes (LoginGraceTime)."""
    async with SshTestServer([KEY]) as server, fake_agent_of(tmp_path / "a", KEY) as agent:
        agent.hold_signature = asyncio.Event()
        connector = make_connector(through(tmp_path / "a", server, tmp_path), patience=Patience(notice=0.1))
        failure = await failure_of(connector, lambda text: server.cut())
        agent.hold_signature.set()
    assert failure.code is Code.NOT_CONFIRMED


@pytest.mark.parametrize(
    ("setting", "step"),
    [
        (None, 'for OpenSSH\'s agent: eval "$(ssh-agent -s)"; ssh-add; openclaw-tunnel restart, or '),
        ("explicit", "ssh-add -l must answer), or "),
    ],
)
@async_test
async def test_how_to_have_an_agent_again(tmp_path: Path, setting: str | None, step: str) -> None:
    """Nothing is removed: the socket may be that of another program."""
    socket = str(tmp_path / "gone")
    target = make_target(identity_agent=socket if setting else None, identities_only=False)
    ring = KeyRing(target, {"SSH_AUTH_SOCK": socket})
    await ring.prepare()
    hint = ring.shortage(Hop("gw", "gw:22")).hint
    assert hint.startswith("start the program again that owns this socket")
    assert step in hint
    assert "rm " not in hint
