"""A link to the SSH server of the test, and something for its channels to lead to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

from openclaw_tunnel.ssh.link import SshLink
from support.sshserver import SshTestServer
from support.sshtargets import make_connector, target_for

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def linked(tmp_path: Path, **fields: Any) -> AsyncIterator[tuple[SshTestServer, SshLink]]:
    """A server and a link to it."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = tmp_path / "id"
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    async with SshTestServer([key]) as server:
        link = await make_connector(target_for(server, tmp_path, identity_files=(str(path),)), **fields).connect()
        try:
            yield server, link
        finally:
            await link.close()


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """A TCP server on loopback; its port."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
