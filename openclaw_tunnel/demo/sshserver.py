"""The SSH server of ``demo``: in this process, on a free port of 127.0.0.1, with keys that live as long as it does."""

import asyncio
import contextlib
import socket
from typing import Any, Self

import asyncssh

from openclaw_tunnel.host.loop.tasks import Tasks

USER = "demo"


class DemoServer:
    """Lets the holder of one key open channels to one address, and can have an outage; an async context manager.

    There is no shell, no command, no password and no other forwarding.

    Attributes:
        client_key, client_public: the key that is let in: as OpenSSH writes it, and in wire format.
        connections: those that are logged in, or about to be.
        port: stays the same through outages.
    """

    def __init__(self, to: tuple[str, int]) -> None:
        """Make a server that does not listen yet. Args: ``to``: host and port that it forwards to."""
        self.to = to
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.client_key = key.export_private_key()
        self.port = 0
        self.client_public = key.public_data
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._kept: socket.socket | None = None
        self._carrying = Tasks()

    @property
    def known_hosts_line(self) -> str:
        """The line of known_hosts that makes this server a known one, with its newline."""
        return f"[127.0.0.1]:{self.port} {self._host_key.export_public_key().decode().strip()}\n"

    async def __aenter__(self) -> Self:
        await self.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.fail()
        finally:
            self._release_port()

    async def begin(self) -> None:
        """Listen, after an outage on the port of before."""
        self._release_port()
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Session(self),
            encoding=None,
            server_host_keys=[self._host_key],
            login_timeout=10,
            reuse_address=True,
        )
        self.port = self._acceptor.get_port()

    async def fail(self) -> None:
        """Cut every connection without a word and refuse new ones; idempotent."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None:
            acceptor.close()
            self._keep_port()
        for connection in tuple(self.connections):
            connection.abort()
            await connection.wait_closed()
        await self._carrying.cancel_all()
        if acceptor is not None:
            await acceptor.wait_closed()

    def _keep_port(self) -> None:
        """Have the port without listening: clients are refused, and the kernel gives it to no other connection."""
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept.bind(("127.0.0.1", self.port))

    def _release_port(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def carry(self, reader: "asyncssh.SSHReader[bytes]", writer: "asyncssh.SSHWriter[bytes]") -> None:
        """Serve a channel. asyncssh would do so by itself, and leave connections open that are made while it ends."""
        self._carrying.start(_carry(self.to, reader, writer), name="a channel of the demo's server")


async def _carry(to: tuple[str, int], reader: "asyncssh.SSHReader[bytes]", writer: "asyncssh.SSHWriter[bytes]") -> None:
    try:
        theirs, ours = await asyncio.open_connection(*to)
    except OSError:
        writer.close()
        return
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, ours))
            group.create_task(_pump(theirs, writer))
    except* (OSError, asyncssh.Error):
        pass  # one side is gone: so is the other, now
    finally:
        writer.close()
        ours.close()
        with contextlib.suppress(OSError):
            await ours.wait_closed()


async def _pump(source: Any, sink: Any) -> None:
    """Carry one direction to its end."""
    while data := await source.read(1 << 16):
        sink.write(data)
        await sink.drain()
    sink.write_eof()


class _Session(asyncssh.SSHServer):
    """One connection's rules."""

    def __init__(self, server: DemoServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._server.client_public

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        if (dest_host, dest_port) == self._server.to:
            return self._server.carry
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "this server leads elsewhere")
