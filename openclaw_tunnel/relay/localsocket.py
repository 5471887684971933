"""A local client's socket: nothing is read before somebody wants it, and what the client does not take yet is kept.

asyncio's own transports read as soon as they may, up to 256 KiB; here the bytes of a client that has to wait stay in
the kernel.
"""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable
from typing import Protocol

logger = logging.getLogger(__name__)

_NOTHING = memoryview(b"")
_RESET = struct.pack("ii", 1, 0)  # struct linger: on, 0 s


class User(Protocol):
    """Whoever the socket works for."""

    def readable(self) -> None:
        """There is something to read, or the client sends no more, or it is gone."""

    def drained(self) -> None:
        """All that was written has left."""

    def lost(self, exc: OSError | None) -> None:
        """The socket is closed; called once and last."""


class LocalSocket:
    """A connected, non-blocking stream socket.

    Attributes:
        user: is called from the event loop; may be replaced.
        gone: it is closed.
        closing: it closes as soon as what was written has left, or is closed.
    """

    def __init__(self, sock: socket.socket, user: User) -> None:
        """Own ``sock`` from now on."""
        self.user = user
        self.gone = False
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._fd = sock.fileno()  # what asyncio does not find it writes out, and a socket's text takes six calls
        self._listening = self._writing = False
        self._unsent = _NOTHING
        self._eof = False
        self.closing = False
        if sock.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def full(self) -> bool:
        """Some of what was written has not left."""
        return bool(self._unsent)

    @property
    def addresses(self) -> tuple[object, object]:
        """The client's address and the one it came to, as ``socket`` gives them; None where they are not known."""
        with contextlib.suppress(OSError):
            return self._sock.getpeername(), self._sock.getsockname()
        return None, None

    @property
    def is_unix(self) -> bool:
        """It is a Unix socket."""
        return self._sock.family == socket.AF_UNIX

    def listen(self, wanted: bool = True) -> None:
        """Call ``user.readable`` whenever there is something to read; or not."""
        if wanted == self._listening or self.gone:
            return
        self._listening = wanted
        if wanted:
            self._loop.add_reader(self._fd, self._readable)
        else:
            self._loop.remove_reader(self._fd)

    def read(self, most: int) -> bytes | None:
        """Up to ``most`` bytes; empty where the client sends no more, None where there is nothing at the moment."""
        if self.gone:
            return None
        try:
            return self._sock.recv(most)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as exc:
            self._close(exc)
            return None

    def peek(self, most: int) -> bytes:
        """The first bytes that wait to be read; they stay where they are."""
        with contextlib.suppress(OSError):
            return self._sock.recv(most, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        return b""

    def write(self, data: bytes) -> None:
        """Send ``data``; what the client does not take at once is kept, and ``full`` says so."""
        if self.gone or self._eof or self.closing:
            return
        if self._unsent:
            self._unsent = memoryview(bytes(self._unsent) + data)
            return
        rest = self._send(memoryview(data))
        if rest:
            self._unsent = rest
            self._writing = True
            self._loop.add_writer(self._fd, self._writable)

    def write_eof(self) -> None:
        """Send no more, once all that was written has left."""
        if not self._eof and not self.gone:
            self._eof = True
            if not self._unsent:
                self._shut()

    def close(self) -> None:
        """Close, once all that was written has left."""
        self.closing = True
        self.listen(False)
        if not self._unsent:
            self._close(None)

    def abort(self, *, reset: bool = False) -> None:
        """Close now; with ``reset`` so that the client sees an error, where the kind of socket can."""
        if self.gone:
            return
        if reset and not self.is_unix:
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close(None)

    def _readable(self) -> None:
        self._call(self.user.readable)

    def _call(self, user: Callable[[], None]) -> None:
        """A fault in what is done for one client ends that client: it would be called again, without end."""
        try:
            user()
        except Exception:
            logger.exception("serving a client failed")
            self.abort(reset=True)

    def _writable(self) -> None:
        self._unsent = self._send(self._unsent)
        if self._unsent or self.gone:
            return
        self._write_no_more()
        if self.closing:
            self._close(None)
            return
        if self._eof:
            self._shut()
        self._call(self.user.drained)

    def _write_no_more(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)

    def _send(self, data: memoryview) -> memoryview:
        """What is left of ``data``; a view, as there may be megabytes of it."""
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return data
        except OSError as exc:
            self._close(exc)
            return _NOTHING
        return data[sent:]

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _close(self, exc: OSError | None) -> None:
        if self.gone:
            return
        self.listen(False)
        self._write_no_more()
        self.gone = self.closing = True
        self._unsent = _NOTHING
        self._sock.close()
        self._loop.call_soon(self._lost, exc)

    def _lost(self, exc: OSError | None) -> None:
        self.user.lost(exc)
