"""ssh/agent.py: agents that answer, hang, vanish, talk nonsense, or never come back with a signature."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.ssh.agent import agent_path, ask_agent, close_agent
from support.aio import async_test, pass_time
from support.sshserver import SshTestServer
from support.sshtargets import make_connector, target_for


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@asynccontextmanager
async def fake_agent(path: Path, answers: list[bytes], asked: list[int] | None = None) -> AsyncIterator[str]:
    """An agent that gives ``answers`` to the first requests and then falls silent; ``asked`` gets their kinds."""
    remaining = list(answers)
    kinds = [] if asked is None else asked

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while size := await reader.read(4):
                kinds.append((await reader.readexactly(int.from_bytes(size, "big")))[0])
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
SIGN = 13


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
        answer = await ask_agent(path, timeout=30 if answers else 0.1)
        assert answer.keys == []
        assert answer.client is None
        assert problem in answer.problem
        assert path in answer.problem


def test_which_agent_is_asked() -> None:
    env = {"SSH_AUTH_SOCK": "/s"}
    assert agent_path(None, env) == "/s"
    assert agent_path(None, {}) == ""
    assert agent_path("", env) == ""
    assert agent_path("/other", env) == "/other"


@async_test
async def test_a_signature_that_never_comes(tmp_path: Path) -> None:
    """As with a security key that waits for a touch."""
    asked: list[int] = []
    async with SshTestServer([KEY]) as server, fake_agent(tmp_path / "a", [identities(KEY)], asked) as path:
        target = target_for(server, tmp_path, identity_agent=path, identities_only=False, connect_timeout=20)
        async with asyncio.TaskGroup() as group:
            group.create_task(pass_time(20, lambda: SIGN in asked))
            with pytest.raises(DialFailed) as caught:
                await make_connector(target).connect()
    failure = caught.value.failure
    assert failure.code is Code.AGENT_UNREACHABLE
    assert failure.message.startswith("the SSH agent did not sign with a comment of the agent (ED25519 SHA256:")
    assert "touch" in failure.message
