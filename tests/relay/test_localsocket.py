"""relay/localsocket.py: nothing is read before somebody wants it, what is not taken is kept, the end is told once."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from openclaw_tunnel.relay.localsocket import LocalSocket
from support.aio import async_test, settle

Pair = Callable[[], tuple[socket.socket, socket.socket]]


def tcp() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        return ours, theirs


KINDS = pytest.mark.parametrize("pair", [tcp, socket.socketpair], ids=["tcp", "unix"])


class User:
    """Counts what it hears; fails where the end is not told once and last."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = LocalSocket(sock, self)
        self.heard: list[str] = []
        self.exc: OSError | None = None
        self.react: Callable[[str], None] = lambda _: None

    def _hear(self, what: str) -> None:
        assert "lost" not in self.heard
        self.heard.append(what)
        self.react(what)

    def readable(self) -> None:
        self._hear("readable")

    def drained(self) -> None:
        self._hear("drained")

    def lost(self, exc: OSError | None) -> None:
        self.exc = exc
        self._hear("lost")


@contextmanager
def connected(pair: Pair) -> Iterator[tuple[User, socket.socket]]:
    """Our end with its user, and the client's, which blocks for at most half a minute."""
    ours, theirs = pair()
    with ExitStack() as stack:
        stack.callback(ours.close)
        stack.callback(theirs.close)
        theirs.settimeout(30)
        yield User(ours), theirs


async def turns() -> None:
    """Whatever is due in the loop has happened."""
    for _ in range(5):
        await asyncio.sleep(0)


def fill(user: User, more: int = 1 << 20) -> bytes:
    """Write more than the client's side takes."""
    data = os.urandom((4 << 20) + more)
    user.socket.write(data)
    assert user.socket.full
    return data


async def drain(client: socket.socket, size: int) -> bytes:
    """Read ``size`` bytes, or up to the end, on the client's side."""

    def read() -> bytes:
        got = bytearray()
        while len(got) < size and (data := client.recv(1 << 16)):
            got += data
        return bytes(got)

    return await asyncio.to_thread(read)


@KINDS
@async_test
async def test_what_is_there_what_is_not_and_the_end(pair: Pair) -> None:
    with connected(pair) as (user, client):
        assert user.socket.read(10) is None
        client.sendall(b"hello world")
        assert user.socket.read(5) == b"hello"
        assert user.socket.read(100) == b" world"
        assert user.socket.read(100) is None
        client.shutdown(socket.SHUT_WR)
        assert user.socket.read(100) == b""
        assert user.socket.read(100) == b"", "and again"
        assert not user.socket.gone
        user.socket.abort()
        assert user.socket.read(100) is None
        await turns()
        assert (user.heard, user.exc) == (["lost"], None)


@KINDS
@async_test
async def test_a_peek_leaves_everything_where_it_is(pair: Pair) -> None:
    with connected(pair) as (user, client):
        assert user.socket.peek(10) == b""
        client.sendall(b"hello")
        assert user.socket.peek(4) == b"hell"
        assert user.socket.read(10) == b"hello"
        user.socket.abort()
        assert user.socket.peek(10) == b""
        await turns()


@KINDS
@async_test
async def test_nothing_is_heard_before_somebody_listens_and_nothing_after(pair: Pair) -> None:
    with connected(pair) as (user, client):
        client.sendall(b"x")
        await turns()
        assert user.heard == []
        user.socket.listen()
        user.socket.listen()
        await settle(lambda: user.heard)
        user.socket.listen(False)
        user.socket.listen(False)
        heard = list(user.heard)
        await turns()
        assert user.heard == heard
        assert user.socket.read(10) == b"x"
        user.socket.listen()
        await turns()
        assert user.heard == heard
        client.close()
        await settle(lambda: len(user.heard) > len(heard))
        assert user.socket.read(10) == b""
        user.socket.abort()
        user.socket.listen()
        await turns()
        assert user.heard[-1] == "lost"


@KINDS
@async_test
async def test_what_the_client_does_not_take_is_kept_and_sent_later(pair: Pair) -> None:
    with connected(pair) as (user, client):
        user.socket.write(b"first ")
        assert not user.socket.full
        data = fill(user)
        user.socket.write(b"more")
        await turns()
        assert user.heard == []
        expected = b"first " + data + b"more"
        assert await drain(client, len(expected)) == expected
        await settle(lambda: user.heard)
        assert (user.heard, user.socket.full) == (["drained"], False)
        user.socket.write(b"again")
        assert await drain(client, 5) == b"again"
        assert user.heard == ["drained"]
        user.socket.abort()
        await turns()


@KINDS
@async_test
async def test_an_end_of_file_comes_after_what_was_written(pair: Pair) -> None:
    with connected(pair) as (user, client):
        data = fill(user)
        user.socket.write_eof()
        user.socket.write_eof()
        user.socket.write(b"too late")
        assert await drain(client, 1 << 30) == data
        client.sendall(b"still here")
        await settle(lambda: user.socket.peek(1))
        assert user.socket.read(100) == b"still here"
        assert not user.socket.gone
        user.socket.close()
        await turns()
        assert user.heard == ["drained", "lost"]


@KINDS
@async_test
async def test_an_end_of_file_with_nothing_before_it_comes_at_once(pair: Pair) -> None:
    with connected(pair) as (user, client):
        user.socket.write_eof()
        assert await drain(client, 1) == b""
        user.socket.abort()
        user.socket.write_eof()
        await turns()


@KINDS
@async_test
async def test_closing_waits_for_what_was_written(pair: Pair) -> None:
    with connected(pair) as (user, client):
        user.socket.listen()
        data = fill(user)
        user.socket.close()
        user.socket.close()
        user.socket.write(b"too late")
        assert (user.socket.closing, user.socket.gone) == (True, False)
        assert await drain(client, 1 << 30) == data
        await settle(lambda: user.heard)
        assert (user.heard, user.exc, user.socket.gone) == (["lost"], None, True)
        user.socket.close()
        user.socket.abort()
        await turns()
        assert user.heard == ["lost"]


@KINDS
@async_test
async def test_closing_with_an_end_of_file_before_it(pair: Pair) -> None:
    with connected(pair) as (user, client):
        data = fill(user)
        user.socket.write_eof()
        user.socket.close()
        assert await drain(client, 1 << 30) == data
        await settle(lambda: user.heard == ["lost"])


@KINDS
@async_test
async def test_closing_with_nothing_to_send_is_told_a_moment_later(pair: Pair) -> None:
    with connected(pair) as (user, client):
        user.socket.close()
        assert (user.socket.gone, user.heard) == (True, [])
        await turns()
        assert user.heard == ["lost"]
        assert await drain(client, 1) == b""


@async_test
async def test_an_abort_drops_what_was_not_sent() -> None:
    with connected(socket.socketpair) as (user, client):
        data = fill(user)
        user.socket.abort()
        assert (user.socket.gone, user.socket.full) == (True, False)
        assert len(await drain(client, 1 << 30)) < len(data)
        await turns()
        assert (user.heard, user.exc) == (["lost"], None)


@async_test
async def test_a_reset_is_an_error_for_the_client() -> None:
    with connected(tcp) as (user, client):
        user.socket.abort(reset=True)
        with pytest.raises(ConnectionResetError):
            await drain(client, 1)
        await turns()
        assert user.heard == ["lost"]


@async_test
async def test_a_unix_socket_cannot_be_reset_and_ends() -> None:
    with connected(socket.socketpair) as (user, client):
        user.socket.abort(reset=True)
        assert await drain(client, 1) == b""
        await turns()


@async_test
async def test_a_client_that_resets_is_lost_when_it_is_read() -> None:
    with connected(tcp) as (user, client):
        user.socket.listen()
        user.react = lambda what: None if what == "lost" else assert_nothing(user.socket.read(10))
        _reset(client)
        await settle(lambda: "lost" in user.heard)
        assert isinstance(user.exc, ConnectionResetError)
        assert user.heard == ["readable", "lost"]


def assert_nothing(data: bytes | None) -> None:
    assert data is None


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@async_test
async def test_a_client_that_resets_is_lost_when_it_is_written_to() -> None:
    with connected(tcp) as (user, client):
        _reset(client)
        for _ in range(100):
            user.socket.write(b"x")
            await turns()
        assert (user.heard, user.socket.gone) == (["lost"], True)
        assert isinstance(user.exc, OSError)


@KINDS
@async_test
async def test_a_client_that_leaves_while_something_is_kept_for_it(pair: Pair) -> None:
    with connected(pair) as (user, client):
        fill(user)
        user.socket.close()
        client.close()
        await settle(lambda: user.heard)
        assert user.heard == ["lost"]
        assert isinstance(user.exc, OSError)
        assert (user.socket.gone, user.socket.full) == (True, False)


@KINDS
@async_test
async def test_the_end_may_come_from_within_a_call(pair: Pair) -> None:
    with connected(pair) as (user, client):
        user.react = lambda what: user.socket.abort()
        user.socket.listen()
        client.sendall(b"x")
        await settle(lambda: "lost" in user.heard)
        assert user.heard == ["readable", "lost"]


@KINDS
@async_test
async def test_another_user_hears_from_now_on(pair: Pair) -> None:
    with connected(pair) as (user, client):
        other = User(client)
        user.socket.user = other
        user.socket.abort()
        other.socket.abort()
        await turns()
        assert user.heard == []
        assert other.heard.count("lost") == 1


@KINDS
@async_test
async def test_a_user_that_fails_loses_its_client_and_nothing_else(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop would call it again and again: what it failed to read is still there."""
    with connected(pair) as (user, client):

        def fail(what: str) -> None:
            if what != "lost":
                raise ZeroDivisionError

        user.react = fail
        user.socket.listen()
        client.sendall(b"x")
        await settle(lambda: "lost" in user.heard)
        assert user.heard == ["readable", "lost"]
        assert "ZeroDivisionError" in caplog.text


@async_test
async def test_addresses_and_kinds() -> None:
    with connected(tcp) as (user, client):
        assert user.socket.addresses == (client.getsockname(), client.getpeername())
        assert not user.socket.is_unix
        user.socket.abort()
        assert user.socket.addresses == (None, None)
        await turns()
    with connected(socket.socketpair) as (user, client):
        assert user.socket.is_unix
        assert all(isinstance(address, str | bytes) for address in user.socket.addresses)
        user.socket.abort()
        await turns()
