"""Servers in front of sshd's ports that let clients in and throw them out at once, and count how often they come."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncssh


class Dropper:
    """Accepts and closes; an async context manager.

    Attributes:
        dials: when (``time.monotonic()``) each port was connected to.
    """

    def __init__(self, address: str, ports: Sequence[int]) -> None:
        self._address = address
        self.dials: dict[int, list[float]] = {port: [] for port in ports}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            for port in self.dials:
                self._stack.push_async_callback(await self._listen(self._address, port))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _listen(self, address: str, port: int) -> Callable[[], Awaitable[None]]:
        """Listen; what stops that."""

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.dials[port].append(time.monotonic())
            writer.close()

        server = await asyncio.start_server(accepted, address, port)
        return lambda: _close(server)


class LoginDropper(Dropper):
    """Lets clients log in and closes then: what a server does that kills the session of an account.

    Args:
        host_key, authorized_keys: files of the sshd whose place it takes.
    """

    def __init__(self, address: str, ports: Sequence[int], host_key: Path, authorized_keys: Path) -> None:
        super().__init__(address, ports)
        self._host_key, self._authorized_keys = host_key, authorized_keys

    async def _listen(self, address: str, port: int) -> Callable[[], Awaitable[None]]:
        server = await asyncssh.create_server(
            lambda: _Doorman(lambda: self.dials[port].append(time.monotonic())),
            address,
            port,
            server_host_keys=[str(self._host_key)],
            authorized_client_keys=str(self._authorized_keys),
        )
        return lambda: _close(server)


class _Doorman(asyncssh.SSHServer):
    def __init__(self, on_dial: Callable[[], None]) -> None:
        self._on_dial = on_dial

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._on_dial()

    def auth_completed(self) -> None:
        # in the next round: what says that the login worked is sent first
        asyncio.get_running_loop().call_soon(self._connection.close)


async def _close(server: "asyncio.Server | asyncssh.SSHAcceptor") -> None:
    server.close()
    await server.wait_closed()
