"""The command line's end of the control socket: plain blocking calls, quick to import."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

from openclaw_tunnel.control import wire
from openclaw_tunnel.control.lock import read_pid
from openclaw_tunnel.control.messages import A, E, Request, Stream
from openclaw_tunnel.errors import DaemonUnreachable, TunnelError

T = TypeVar("T")
_Conversation = Generator[dict[str, Any], None, dict[str, Any]]


class StreamTimeout(TimeoutError):
    """The deadline of :meth:`ControlClient.stream` passed before the final answer."""


class ControlClient:
    """Talks to the daemon of this user, if one runs. Every call is a connection of its own."""

    def __init__(self, path: Path, *, lock_path: Path | None = None) -> None:
        """Make a client; nothing is opened yet.

        Args:
            path: of the control socket.
            lock_path: of the daemon's lock, which names the process when it hangs; by default beside the socket.
        """
        self._path = path
        self._lock_path = lock_path or path.with_name("daemon.lock")

    def call(self, request: Request[A], timeout: float = 10.0) -> A:
        """Ask, return the answer; events on the way are passed over.

        Args:
            timeout: seconds for everything.

        Raises:
            DaemonUnreachable: no daemon runs.
            RequestRefused: the daemon said no.
            TunnelError: it does not answer, or not in our language.
        """
        conversation = self._converse(request, time.monotonic() + timeout)
        try:
            while True:
                next(conversation)
        except StopIteration as end:
            return _read(request.answer, end.value)
        except StreamTimeout:
            raise self._hangs() from None

    def stream(self, request: Stream[E], timeout: float | None = None) -> Iterator[E]:
        """Ask, yield each event as it comes, end with the final answer. Closing the iterator hangs up.

        Args:
            timeout: seconds for everything; None: for ever.

        Raises:
            StreamTimeout: the time is up.
            DaemonUnreachable: no daemon runs, or it ended before it answered.
            RequestRefused: the daemon said no.
            TunnelError: it answers, but not in our language.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with contextlib.closing(self._converse(request, deadline)) as events:
            for event in events:
                yield _read(request.event, event)

    def _converse(self, request: Request[Any], deadline: float | None) -> _Conversation:
        line = wire.encode_request(wire.Request(1, request.METHOD, request.to_json()))
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
            self._connect(sock, deadline)
            for answer in _lines(sock, line, deadline):
                reply = wire.decode_reply(answer)
                if isinstance(reply, wire.Event):
                    yield reply.event
                elif reply.error is not None:
                    raise reply.error
                else:
                    return reply.result
            raise DaemonUnreachable(
                "the daemon ended before it answered", hint="its log may say why: openclaw-tunnel logs"
            )

    def _connect(self, sock: socket.socket, deadline: float | None) -> None:
        try:
            owner = self._path.parent.lstat().st_uid
            if owner != os.geteuid():
                raise TunnelError(
                    f"the folder of the control socket belongs to another user: {self._path.parent}",
                    hint="run the command as that user, or set OPENCLAW_TUNNEL_HOME to a folder of yours",
                )
            _limit(sock, deadline)
            sock.connect(str(self._path))
        except TimeoutError:
            raise StreamTimeout from None
        except BlockingIOError:
            raise StreamTimeout from None  # Linux: the queue of a daemon that no longer accepts is full
        except OSError:
            raise DaemonUnreachable("no tunnel is running", hint="start one: openclaw-tunnel up") from None

    def _hangs(self) -> TunnelError:
        pid = self.pid()
        return TunnelError(
            f"the daemon{f' (pid {pid})' if pid else ''} does not answer",
            hint=f"let it go on if it was stopped with Ctrl-Z: kill -CONT {pid or 'PID'}; else end it and start anew: "
            f"kill -9 {pid or 'PID'}; openclaw-tunnel up -d",
        )

    def pid(self) -> int | None:
        """Process id of the last daemon, running or not; None where it is not known."""
        return read_pid(self._lock_path)


def _read(read: Callable[[dict[str, Any]], T], data: dict[str, Any]) -> T:
    """What a daemon sent, where it can be read.

    Raises:
        TunnelError: it cannot.
    """
    try:
        return read(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise wire.not_understood(type(error).__name__) from None


def _lines(sock: socket.socket, request: bytes, deadline: float | None) -> Iterator[bytes]:
    """Send ``request``, yield what comes back line by line, end when the other side hangs up."""
    pending = bytearray()
    try:
        _limit(sock, deadline)
        sock.sendall(request)
        while True:
            _limit(sock, deadline)
            data = sock.recv(65536)
            if not data:
                return
            first, *more = data.split(b"\n")
            pending += first
            for rest in more:
                yield bytes(pending)
                pending = bytearray(rest)
            if len(pending) > wire.MAX_RESULT:
                yield bytes(pending)  # decode_reply refuses it for its length
    except TimeoutError:
        raise StreamTimeout from None
    except ConnectionError:
        return


def _limit(sock: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        sock.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise StreamTimeout
    sock.settimeout(left)
