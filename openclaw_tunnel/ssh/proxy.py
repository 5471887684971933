"""ProxyCommand: a process whose standard input and output are the connection."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

from openclaw_tunnel.host.process import kill_group
from openclaw_tunnel.ssh.words import Transcript

_MOST_UNREAD = 4096
_UNSENT = 1 << 15  # bytes that wait for the process, as in ssh/tcp.py: what waits there has its place in the line
_GRACE = 0.5  # seconds between asking the process to end and ending it


class ProxyProcess(asyncio.SubprocessProtocol):
    """A running ProxyCommand; ``socket`` is our end of it.

    The process leads a session of its own, so that ``close`` ends whatever it has started too.

    Attributes:
        words: what it has written to standard error.
        listener: called whenever that has become more.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._spare = sock.dup()  # asyncssh closes the other one when its first write fails, with all that is unread
        self._exited = asyncio.Event()
        self._stderr_closed = asyncio.Event()
        self.words = Transcript()
        self.listener: Callable[[], None] = lambda: None
        self._transport: asyncio.SubprocessTransport | None = None

    @classmethod
    async def start(cls, command: str, env: Mapping[str, str]) -> "ProxyProcess":
        """Run ``command``, its tokens already expanded, through the shell, as ssh does.

        Raises:
            OSError: no process could be started.
        """
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
            _, process = await asyncio.get_running_loop().subprocess_exec(
                lambda: cls(ours),
                *("/bin/sh", "-c", f"exec {command}"),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                env=dict(env),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.words.add(data)
        self.listener()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._stderr_closed.set()

    def process_exited(self) -> None:
        self._exited.set()

    def unread(self) -> bytes:
        """What it has sent, and a connection that has ended did not read."""
        try:
            return self._spare.recv(_MOST_UNREAD)
        except OSError:
            return b""

    def keep_no_spare(self) -> None:
        """``unread`` is not asked for any more; idempotent."""
        self._spare.close()

    async def fall_silent(self) -> None:
        """Return when it has written its last word to standard error; waits only a moment, for one that is ending."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await self._stderr_closed.wait()

    async def close(self) -> None:
        """End the process and all it has started; returns when it is gone. Idempotent."""
        self.socket.close()
        self.keep_no_spare()
        transport, self._transport = self._transport, None
        if transport is None:
            return
        try:
            kill_group(transport.get_pid(), signal.SIGHUP)
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await self._exited.wait()
        finally:
            kill_group(transport.get_pid())
            transport.close()
        await self._exited.wait()
