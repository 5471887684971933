"""Is the SSH server still there? One question, and any answer counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.ssh.asyncssh_seams import ask_for_reply, replace_receiver

_PATIENCE = 0.25  # seconds that a proper answer may come after the first sign of life
_LOOKS = 12  # within the patience of one question
_NUDGE = 0.3  # seconds without an answer after which a second packet is sent


class Pinger:
    """Asks for a reply to ``keepalive@openssh.com``, as OpenSSH's ServerAliveInterval does.

    tinysshd replies to no global request; it only says that it does not understand. So as long as a server has
    never replied, whatever arrives after the question is taken for its answer. It also leaves a packet in its buffer
    now and then until the next one comes (one in five was measured): hence the nudges.

    On a line that carries a large upload the question waits behind what was sent before it, megabytes maybe. As long as
    those get through, the server is no less alive: its time to answer begins anew.
    """

    def __init__(
        self, connection: asyncssh.SSHClientConnection, tasks: Tasks, *, progress: Callable[[], int] | None = None
    ) -> None:
        """Ask nothing yet.

        Args:
            progress: a number that grows whenever bytes get through to the server, or from it. Without one, as behind
                a proxy's process, only what arrives here counts.
        """
        self._connection = connection
        self._tasks = tasks
        self._heard = 0
        self._progress = progress or (lambda: self._heard)
        self._keep_listening = progress is None
        self._replies = False
        self._sign: asyncio.Future[None] | None = None
        self._receive = replace_receiver(connection, self._data_received)

    def probe(self, then: Callable[[], None]) -> None:
        """Ask, and call ``then`` when the server has replied; an answer that is none does not count."""
        self._tasks.start(self._probe(then), name="ping among the bytes")

    async def _probe(self, then: Callable[[], None]) -> None:
        await self._ask()
        if not self._connection.is_closed():
            then()

    async def ping(self, *, timeout: float) -> float:
        """The round-trip time in seconds; that the connection is gone, the caller finds out.

        Args:
            timeout: seconds without an answer and without any progress.

        Raises:
            TimeoutError: no answer came in time.
        """
        started = time.perf_counter()
        reply = self._tasks.start(self._ask(), name="ping")
        nudge = self.nudge_later()
        try:
            async with asyncio.timeout(timeout) as deadline, self._extended(deadline, timeout):
                if not self._replies:
                    await self._wait_for_sign(reply)
                if self._replies:
                    await asyncio.shield(reply)
        finally:
            reply.cancel()
            if nudge:
                nudge.cancel()
        return time.perf_counter() - started

    @asynccontextmanager
    async def _extended(self, deadline: asyncio.Timeout, patience: float) -> AsyncIterator[None]:
        """Put the deadline off for as long as there is progress."""
        watching = self._tasks.start(self._extend(deadline, patience), name="progress of a ping")
        try:
            yield
        finally:
            watching.cancel()

    async def _extend(self, deadline: asyncio.Timeout, patience: float) -> None:
        before = self._progress()
        while True:
            await asyncio.sleep(patience / _LOOKS)
            now = self._progress()
            if deadline.expired():
                return  # just now, and whoever waits has not been told yet
            if now != before:
                before = now
                deadline.reschedule(asyncio.get_running_loop().time() + patience)

    def nudge_later(self) -> asyncio.TimerHandle | None:
        """Unless cancelled in time, send a packet that means nothing, so that the one before is looked at."""
        return None if self._replies else asyncio.get_running_loop().call_later(_NUDGE, self._nudge)

    def _nudge(self) -> None:
        if not self._replies and not self._connection.is_closed():
            self._connection.send_debug("")

    async def _wait_for_sign(self, reply: asyncio.Task[None]) -> None:
        sign = self._sign = self._sign or asyncio.get_running_loop().create_future()
        await asyncio.wait({reply, sign}, return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            await asyncio.wait({reply}, timeout=_PATIENCE)
        self._sign = None

    async def _ask(self) -> None:
        await ask_for_reply(self._connection)
        self._replies = True
        if not self._keep_listening:
            # From now on nothing has to be watched.
            replace_receiver(self._connection, self._receive)

    def _data_received(self, data: bytes, datatype: Any = None) -> None:
        self._heard += len(data)
        if self._sign and not self._sign.done():
            self._sign.set_result(None)
        self._receive(data, datatype)
