"""Any answer counts, and a server that never answers properly is still alive."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import asyncssh
import pytest

from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.ssh.ping import Pinger
from support.aio import async_test, settle


class FakeConnection:
    """As much of asyncssh's connection as a ping needs.

    Attributes:
        reply: set to answer all requests, present and future.
        debugs: how many meaningless packets were sent.
    """

    def __init__(self) -> None:
        self.reply = asyncio.Event()
        self.requests: list[bytes] = []
        self.debugs = 0
        self.received: list[bytes] = []

    async def _make_global_request(self, request: bytes) -> None:
        self.requests.append(request)
        await self.reply.wait()

    def data_received(self, data: bytes, datatype: Any = None) -> None:
        self.received.append(data)

    def send_debug(self, message: str) -> None:
        self.debugs += 1

    def is_closed(self) -> bool:
        return False


def make(progress: Callable[[], int] | None = lambda: 0) -> tuple[FakeConnection, Pinger]:
    connection = FakeConnection()
    return connection, Pinger(cast(asyncssh.SSHClientConnection, connection), Tasks(), progress=progress)


@async_test
async def test_progress_that_is_seen_too_late_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    """This process was held up: the deadline and the look at the progress are due in the same round of the loop."""
    count = iter(range(1000))
    connection, tasks = FakeConnection(), Tasks()
    pinger = Pinger(cast(asyncssh.SSHClientConnection, connection), tasks, progress=lambda: next(count))

    async def hold_up() -> None:
        await settle(lambda: connection.requests)
        time.sleep(0.2)  # noqa: ASYNC251  nothing else runs meanwhile, that is the point

    async with asyncio.TaskGroup() as group:
        group.create_task(hold_up())
        with pytest.raises(TimeoutError):
            await pinger.ping(timeout=0.12)
    await settle(lambda: len(tasks) == 0)
    assert caplog.records == []


@async_test
async def test_a_reply() -> None:
    connection, pinger = make()
    connection.reply.set()
    assert await pinger.ping(timeout=30) >= 0
    assert connection.requests == [b"keepalive@openssh.com"]
    connection.data_received(b"x")
    assert connection.received == [b"x"], "asyncssh's own method is back"


@async_test
async def test_no_answer_at_all() -> None:
    connection, pinger = make()
    with pytest.raises(TimeoutError):
        await pinger.ping(timeout=0.05)
    assert connection.debugs == 0


@async_test
async def test_a_server_that_only_says_that_it_does_not_understand() -> None:
    connection, pinger = make()
    async with asyncio.TaskGroup() as group:
        ping = group.create_task(pinger.ping(timeout=30))
        await settle(lambda: connection.requests)
        connection.data_received(b"unimplemented")
    assert ping.result() > 0.2
    assert connection.received == [b"unimplemented"]


@async_test
async def test_a_server_that_has_replied_before_must_reply_again() -> None:
    connection, pinger = make()
    connection.reply.set()
    await pinger.ping(timeout=30)
    connection.reply.clear()
    with pytest.raises(TimeoutError):
        await pinger.ping(timeout=0.05)
    assert pinger.nudge_later() is None, "it needs no nudge"
    assert connection.debugs == 0


@async_test
async def test_a_packet_that_was_left_lying_is_nudged() -> None:
    connection, pinger = make()
    async with asyncio.TaskGroup() as group:
        ping = group.create_task(pinger.ping(timeout=30))
        await settle(lambda: connection.debugs == 1)
        connection.reply.set()
    assert ping.result() > 0.2


@async_test
async def test_as_long_as_bytes_get_through_the_answer_may_take_its_time() -> None:
    """Behind a large upload: the question waits for four times its timeout, and the answer still counts."""
    looks = 0

    def progress() -> int:
        nonlocal looks
        looks += 1
        if looks == 48:
            connection.reply.set()
        return looks

    connection, pinger = make(progress)
    assert await pinger.ping(timeout=0.12) > 0.24
    assert looks >= 48


@async_test
async def test_progress_that_ends_is_none() -> None:
    looks = 0

    def progress() -> int:
        nonlocal looks
        looks += 1
        return min(looks, 20)

    _, pinger = make(progress)
    with pytest.raises(TimeoutError):
        await pinger.ping(timeout=0.12)
    assert looks > 20  # it was asked on after the last progress, and then gave up


@async_test
async def test_behind_a_proxy_what_arrives_is_the_progress() -> None:
    connection, pinger = make(None)
    connection.reply.set()
    await pinger.ping(timeout=30)
    connection.reply.clear()
    loop = asyncio.get_running_loop()
    began = loop.time()

    def window_adjust() -> None:
        connection.data_received(b"window adjust")
        if loop.time() < began + 0.4:
            loop.call_later(0.02, window_adjust)
        else:
            connection.reply.set()

    window_adjust()
    assert await pinger.ping(timeout=0.12) > 0.3
    assert set(connection.received) == {b"window adjust"}
