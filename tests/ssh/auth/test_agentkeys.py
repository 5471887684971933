"""ssh/auth/agentkeys.py: what an agent holds, whatever state it is in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.ssh.auth.agentkeys import list_keys, parse_answer
from support.agent import SshAgent
from support.aio import async_test
from support.fakeagent import fake_agent
from support.servers import new_key


@asynccontextmanager
async def answers(path: Path, data: bytes) -> AsyncIterator[None]:
    """An agent that says this to whatever it is asked, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(data)
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield


@async_test
async def test_a_real_agent(tmp_path: Path) -> None:
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
async def test_several_keys_and_no_agent(tmp_path: Path) -> None:
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(3)]
    async with fake_agent(tmp_path / "agent", *keys):
        assert await list_keys(str(tmp_path / "agent")) == frozenset(key.public_data for key in keys)
    assert await list_keys("") == await list_keys("/no\0path") == frozenset()


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\0\1\5", b"\xff" * 4, b"\0\0\0\5\x0c\0\0\0\1", b"\0\0\0\0"])
@async_test
async def test_an_agent_that_says_something_else_has_no_keys(tmp_path: Path, data: bytes) -> None:
    async with answers(tmp_path / "agent", data):
        assert await list_keys(str(tmp_path / "agent")) == frozenset()


@given(st.lists(st.binary(max_size=9), max_size=4), st.integers(0, 200))
def test_an_answer_that_is_cut_off_is_malformed(keys: list[bytes], cut: int) -> None:
    parts = b"".join(len(part).to_bytes(4, "big") + part for key in keys for part in (key, b"comment"))
    answer = b"\x0c" + len(keys).to_bytes(4, "big") + parts
    assert parse_answer(answer) == frozenset(keys)
    if 5 <= cut < len(answer):
        with pytest.raises(ValueError, match="truncated"):
            parse_answer(answer[:cut])
