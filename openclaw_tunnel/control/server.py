"""The daemon's door: a Unix socket that speaks ``control.messages``."""

import asyncio
import contextlib
import logging
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from openclaw_tunnel.control import wire
from openclaw_tunnel.control.lock import DaemonLock
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.paths import ensure_private_dir

log = logging.getLogger(__name__)

Emit = Callable[[dict[str, Any]], None]
_MAX_UNREAD = 4 << 20
"""A client that leaves so many bytes of events unread is hung up on."""

_FAREWELL = 2.0
"""Seconds that requests in progress get to finish when the door closes."""

_TOO_LONG = b"a line beyond the limit"  # told by its identity


class Handler(Protocol):
    """Who answers: the daemon."""

    async def handle(self, method: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """Carry out one request; cancelled when the client hangs up.

        Args:
            emit: sends an event to the client at once; never blocks.

        Raises:
            TunnelError: becomes the client's error, with message, hint and exit code.
        """

    def orphaned(self) -> None:
        """The folder of the socket is gone, or another daemon has it: nobody can reach this one any more."""


class ControlServer:
    """Listens on the control socket for as long as it lives.

    The socket file belongs to the holder of the daemon's lock: what a dead daemon left there is replaced, and
    a file that vanishes (a cleaner of temporary folders) is made again within ``check_every`` seconds.
    """

    def __init__(
        self,
        path: Path,
        handler: Handler,
        *,
        lock: DaemonLock,
        check_every: float = 2.0,
        limit: int = wire.MAX_REQUEST,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            path: of the socket, at most 103 bytes; its folder is made, or made private, where it is not.
            lock: held by the caller, and until after :meth:`close`.
            limit: bytes of the longest request.
        """
        self._path = path
        self._handler = handler
        self._lock = lock
        self._check_every = check_every
        self._limit = limit
        self._server: asyncio.Server | None = None
        self._file: os.stat_result | None = None
        self._tasks = Tasks(log)
        self._checking = Tasks(log)
        self._answers: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: its folder is not ours.
            OSError: the socket cannot be made.
        """
        await self._bind()
        self._checking.start(self._keep_file(), name="control socket check")

    async def close(self) -> None:
        """Stop listening, let requests in progress finish for two seconds, hang up, remove the socket; idempotent."""
        self._closing = True
        await self._checking.cancel_all()
        self._unlink()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._answers:
            await asyncio.wait(self._answers, timeout=_FAREWELL)
        await self._tasks.cancel_all()

    async def _bind(self) -> None:
        ensure_private_dir(self._path.parent)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            sock.bind(str(self._path))
            self._path.chmod(0o600)
            server = await asyncio.start_unix_server(self._accept, sock=sock, limit=self._limit, backlog=128)
        except BaseException:
            sock.close()
            raise
        self._server = server
        self._file = self._path.lstat()

    def _unlink(self) -> None:
        with contextlib.suppress(OSError):
            if self._file is not None and os.path.samestat(self._file, self._path.lstat()):
                self._path.unlink()

    async def _keep_file(self) -> None:
        while True:
            await asyncio.sleep(self._check_every)
            if not self._lock.still_ours():
                log.warning("the folder of the control socket is gone or taken: %s", self._path.parent)
                self._handler.orphaned()
                return
            with contextlib.suppress(OSError):
                if self._file is not None and os.path.samestat(self._file, self._path.lstat()):
                    continue
            await self._bind_again()

    async def _bind_again(self) -> None:
        log.warning("the control socket %s was removed: made again", self._path)
        if self._server is not None:
            self._server.close()
        try:
            await self._bind()
        except (OSError, TunnelError) as problem:
            log.warning("cannot make the control socket: %s", problem)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.start(self._converse(reader, writer), name="control connection")

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if _peer_is_us(writer.get_extra_info("socket")):
                await self._answer_all(reader, writer)
        except ConnectionError:
            pass  # the client hung up: its own business
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one line after the other; reading on meanwhile is how a hang-up is noticed."""
        line = await _read_line(reader)
        while line and not self._closing:
            answering = self._tasks.start(self._answer(line, writer), name="control answer")
            reading = self._tasks.start(_read_line(reader), name="control read")
            self._answers.add(answering)
            try:
                await asyncio.wait({answering, reading}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done() and not reading.result():
                    return
                await answering
                line = b"" if line is _TOO_LONG else await reading
            finally:
                answering.cancel()
                reading.cancel()
                await asyncio.wait({answering, reading})
                self._answers.discard(answering)

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        """Carry out one request and send what came of it."""
        request_id = 0
        try:
            if line is _TOO_LONG:
                raise wire.too_long(self._limit)
            request = wire.decode_request(line)
            request_id = request.id
            result = await self._handler.handle(request.method, request.params, _emitter(writer, request_id))
            answer = wire.encode_result(request_id, result)
        except wire.BadRequest as refusal:
            answer = wire.encode_error(refusal.id, refusal)
        except TunnelError as refusal:
            answer = wire.encode_error(request_id, refusal)
        except Exception:
            log.exception("a control request failed")
            answer = wire.encode_error(request_id, _bug())
        with contextlib.suppress(ConnectionError):
            writer.write(answer)
            await writer.drain()


def _emitter(writer: asyncio.StreamWriter, request_id: int) -> Emit:
    def emit(event: dict[str, Any]) -> None:
        if writer.transport.get_write_buffer_size() > _MAX_UNREAD:
            writer.transport.abort()
        if not writer.transport.is_closing():
            writer.write(wire.encode_event(request_id, event))

    return emit


def _bug() -> TunnelError:
    return TunnelError(
        "internal error of the daemon",
        hint="its log has the details: openclaw-tunnel logs",
        exit_code=ExitCode.BUG,
    )


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """The next line; ``_TOO_LONG`` for one beyond the limit; nothing at the end of the stream."""
    try:
        return await reader.readline()
    except ValueError:
        return _TOO_LONG
    except ConnectionError:
        return b""


def _peer_is_us(sock: Any) -> bool:
    """Whether the process at the other end is this user's, or root's; True where the system does not tell."""
    uid = _peer_uid(sock)
    if uid is None or uid in (0, os.geteuid()):
        return True
    log.warning("a process of uid %s was refused at the control socket", uid)
    return False


def _peer_uid(sock: Any) -> int | None:
    try:
        if sys.platform == "linux":
            ucred = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", ucred)[1])
        # LOCAL_PEERCRED of macOS and the BSDs (sys/un.h): struct xucred begins with its version and the uid
        xucred = sock.getsockopt(0, 1, 76)
        return int(struct.unpack("=II", xucred[:8])[1])
    except (OSError, struct.error):
        return None
