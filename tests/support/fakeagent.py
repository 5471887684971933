"""An SSH agent inside the test (draft-miller-ssh-agent), whose owner is slow, says no, or is not there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

_FAILURE, _LIST, _LISTED, _SIGN, _SIGNED = 5, 11, 12, 13, 14
_SHA_256, _SHA_512 = 2, 4


class FakeAgent:
    """Holds keys and signs with them, unless told otherwise.

    Attributes:
        hold_list: the list of keys does not come before this is set; None: at once.
        hold_signature: the same for signatures.
        refuses: signatures are refused.
        hangs_up: instead of signing, the connection is closed.
        asked: how many signatures were asked for.
    """

    def __init__(self, keys: Sequence[asyncssh.SSHKey]) -> None:
        self.keys = list(keys)
        self.hold_list: asyncio.Event | None = None
        self.hold_signature: asyncio.Event | None = None
        self.refuses = False
        self.hangs_up = False
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                writer.write(_string(await self._answer(await reader.readexactly(size))))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, message: bytes) -> bytes:
        if message[0] == _LIST:
            if self.hold_list:
                await self.hold_list.wait()
            listed = b"".join(_string(key.public_data) + _string(b"a comment") for key in self.keys)
            return bytes([_LISTED]) + len(self.keys).to_bytes(4, "big") + listed
        if message[0] != _SIGN:
            return bytes([_FAILURE])
        self.asked += 1
        if self.hold_signature:
            await self.hold_signature.wait()
        if self.hangs_up:
            raise ConnectionResetError
        return bytes([_FAILURE]) if self.refuses else self._sign(message)

    def _sign(self, message: bytes) -> bytes:
        blob, data, flags = _strings(message)
        key: Any = next(key for key in self.keys if key.public_data == blob)
        algorithm = {_SHA_256: b"rsa-sha2-256", _SHA_512: b"rsa-sha2-512"}.get(flags, key.algorithm)
        return bytes([_SIGNED]) + _string(key.sign(data, algorithm))


@asynccontextmanager
async def fake_agent(path: Path, *keys: asyncssh.SSHKey) -> AsyncIterator[FakeAgent]:
    """An agent on a socket."""
    agent = FakeAgent(keys)
    server = await asyncio.start_unix_server(agent.serve, path)
    async with server:
        yield agent


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _strings(message: bytes) -> tuple[bytes, bytes, int]:
    """Key, data and flags of a sign request."""
    found, rest = [], message[1:]
    for _ in range(2):
        size = int.from_bytes(rest[:4], "big")
        found.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return found[0], found[1], int.from_bytes(rest[:4], "big")
