"""A port that is taken, by real sockets: who has it, and whether it is a gateway."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from openclaw_tunnel.host.ports.explain import Kind
from openclaw_tunnel.host.ports.inuse import answers_as_gateway, why_in_use
from support.waiting import free_port

LIVE = b'HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{"ok":true,"status":"live"}'


@contextmanager
def answering(*pieces: bytes) -> Iterator[int]:
    """A server that answers one client after another with the same bytes, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                with conn:
                    conn.recv(4096)
                    for piece in pieces:
                        conn.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.mark.parametrize(
    ("pieces", "is_one"),
    [
        ((LIVE,), True),
        ((LIVE[:30], LIVE[30:]), True),
        ((LIVE.replace(b"200 OK", b"503 No"),), False),
        ((LIVE.replace(b"live", b"dead"),), False),
        ((LIVE.replace(b'{"ok', b'["ok'),), False),
        ((b"HTTP/1.1 200 OK\r\n\r\n[1]",), False),
        ((b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 4000,), False),
        ((b'HTTP/1.1 200 OK\r\n\r\n{"ok":' + b"9" * 4000,), False),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), False),
        ((b"x" * 100_000,), False),
        ((), False),
    ],
)
def test_a_gateway_is_known_by_its_answer(pieces: tuple[bytes, ...], is_one: bool) -> None:
    with answering(*pieces) as port:
        assert answers_as_gateway("127.0.0.1", port) is is_one


def test_nobody_is_no_gateway() -> None:
    assert not answers_as_gateway("127.0.0.1", free_port())


def test_who_says_nothing_is_no_gateway() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not answers_as_gateway("0.0.0.0", silent.getsockname()[1])


def test_this_process_is_told_from_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        found = why_in_use("127.0.0.1", ours.getsockname()[1])
    assert found is not None
    assert found.kind is Kind.OURSELVES
    assert found.by.endswith(": another tunnel of this daemon")
