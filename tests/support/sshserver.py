"""An SSH server inside the test, on 127.0.0.1, that misbehaves when it is told to."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import asyncssh

from support.ports import free_port


class SshTestServer:
    """Lets every listed key in and forwards to loopback, unless told otherwise; an async context manager.

    Attributes:
        host_keys: replaced, the next connection sees the new ones.
        forbid_forwarding: every channel is refused with "administratively prohibited".
        refuse_channels: an SSH code and text with which every channel is refused.
        hold_channels: channels do not open until this is set; None opens them at once.
        banner: shown to whoever logs in, before the login goes on.
        hold_login: logins do not go on until this is set.
        logins: how many were begun.
        farewell: with these words every login is ended; empty: none is.
        far_ends: what makes the far end of a channel to one of these ports, which lies within the server: a session, or
            a channel of its own and the session.
        mute: new connections answer no global request, not even with a refusal.
        channels: how many direct-tcpip channels are open now.
        opened: how many were ever asked for.
        connections: the live ones.
    """

    def __init__(self, keys: Sequence[asyncssh.SSHKey] = (), *, kinds: Sequence[str] = ("ssh-ed25519",)) -> None:
        self.host_keys: list[Any] = [asyncssh.generate_private_key(kind) for kind in kinds]
        self.keys = list(keys)
        self.forbid_forwarding = False
        self.refuse_channels: tuple[int, str] | None = None
        self.hold_channels: asyncio.Event | None = None
        self.banner = ""
        self.hold_login: asyncio.Event | None = None
        self.logins = 0
        self.farewell = ""
        self.passwords = False
        self.far_ends: dict[int, Callable[[], Any]] = {}
        self.mute = False
        self.channels = 0
        self.opened = 0
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.port = free_port()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, **options: Any) -> None:
        """Listen, always on the same port."""
        self._acceptor = await asyncssh.create_server(
            lambda: _Owner(self), "127.0.0.1", self.port, server_host_keys=self.host_keys, **options
        )

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._acceptor:
            self._acceptor.close()
        self.cut()
        for connection in tuple(self.connections):
            await connection.wait_closed()
        if self._acceptor:
            await self._acceptor.wait_closed()
            self._acceptor = None

    def cut(self) -> None:
        """Drop every connection without a word."""
        for connection in tuple(self.connections):
            connection.abort()

    def fall_silent(self) -> None:
        """Read nothing more from the connections there are; they stay open."""
        for connection in self.connections:
            connection._transport.pause_reading()  # type: ignore[union-attr]

    def known_hosts_line(self, name: str = "") -> str:
        """The line of known_hosts for the first host key."""
        public = self.host_keys[0].export_public_key().decode().strip()
        return f"{name or f'[127.0.0.1]:{self.port}'} {public}\n"


class _Owner(asyncssh.SSHServer):
    def __init__(self, server: SshTestServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)
        if self._server.mute:
            # asyncssh answers one request after the other, and this one never
            conn._global_request_queue.append((None, asyncssh.packet.SSHPacket(b""), False))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._server.connections.discard(self._connection)

    async def begin_auth(self, username: str) -> bool:
        self._server.logins += 1
        assert self._connection
        if self._server.banner:
            self._connection.send_auth_banner(self._server.banner)
        if self._server.hold_login:
            await self._server.hold_login.wait()
        if self._server.farewell:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, self._server.farewell)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.public_data in [known.public_data for known in self._server.keys]

    def password_auth_supported(self) -> bool:
        return self._server.passwords

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        if dest_port in self._server.far_ends:
            self._server.opened += 1
            return self._server.far_ends[dest_port]()
        return self._forward(lambda peer: asyncio.get_running_loop().create_connection(peer, dest_host, dest_port))

    def unix_connection_requested(self, dest_path: str) -> Any:
        return self._forward(lambda peer: asyncio.get_running_loop().create_unix_connection(peer, dest_path))

    async def _forward(self, dial: Callable[[Callable[[], asyncio.Protocol]], Any]) -> Any:
        server = self._server
        server.opened += 1
        if server.hold_channels:
            await server.hold_channels.wait()
        if server.forbid_forwarding:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        if server.refuse_channels:
            raise asyncssh.ChannelOpenError(*server.refuse_channels)
        bridge = _Bridge(server)
        try:
            await dial(lambda: bridge.peer)
        except OSError as exc:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, exc.strerror or str(exc)) from None
        return bridge


class _Bridge(asyncssh.SSHTCPSession[bytes]):
    """Joins a channel and a connection, with backpressure and half-close both ways."""

    def __init__(self, server: SshTestServer) -> None:
        self._server = server
        self.peer = _Peer(self)
        self.channel: Any = None
        self._ends = 0

    def connection_made(self, chan: Any) -> None:
        self._server.channels += 1
        self.channel = chan
        self.peer.transport.resume_reading()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.peer.transport.write_eof()
        self.one_end()
        return True

    def one_end(self) -> None:
        """One direction has ended; after the second one sshd closes, and so does this."""
        self._ends += 1
        if self._ends == 2:
            self.channel.close()

    def pause_writing(self) -> None:
        self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.channels -= 1
        self.peer.transport.close()


class _Peer(asyncio.Protocol):
    def __init__(self, bridge: _Bridge) -> None:
        self._bridge = bridge
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        # until the channel is there to write to; not at once: before Python 3.11.4 the loop would read all the same
        asyncio.get_running_loop().call_soon(transport.pause_reading)

    def data_received(self, data: bytes) -> None:
        if not self._bridge.channel.is_closing():
            self._bridge.channel.write(data)

    def eof_received(self) -> bool:
        if not self._bridge.channel.is_closing():
            self._bridge.channel.write_eof()
            self._bridge.one_end()
        return True

    def pause_writing(self) -> None:
        self._bridge.channel.pause_reading()

    def resume_writing(self) -> None:
        self._bridge.channel.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._bridge.channel:
            self._bridge.channel.close()
