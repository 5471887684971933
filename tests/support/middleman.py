"""Somebody on the way to an SSH server, who can answer in its place or lead to another one."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Middleman:
    """Listens on a port of 127.0.0.1 and passes everything on; a context manager.

    Attributes:
        port: where it listens.
        to: the port of 127.0.0.1 to which the next connections lead.
        instead: what the next connections get instead, before they are closed; None: they are passed on.
        connections: how many there were.
    """

    def __init__(self, to: int) -> None:
        self.to = to
        self.instead: bytes | None = None
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """End every connection that there is."""
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._begin(self._answer, near) if self.instead is not None else self._join(near)

    def _answer(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            near.sendall(self.instead or b"")
            near.shutdown(socket.SHUT_WR)
            while near.recv(1 << 16):
                pass

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            near.close()
            return
        with self._lock:
            self._open |= {near, far}
        ends = [near, far]
        self._begin(self._pump, near, far, ends)
        self._begin(self._pump, far, near, ends)

    def _pump(self, one: socket.socket, other: socket.socket, ends: list[socket.socket]) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)
        with self._lock:
            ends.pop()
            if not ends:  # both directions are over
                self._open -= {one, other}
                one.close()
                other.close()

    def _begin(self, work: object, *arguments: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
