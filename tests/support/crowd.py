"""Clients of local ports that come all the time, and what became of each: nothing is tried twice, nothing is hidden."""

import asyncio
import json
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from support.netns import Namespace
from support.threaded import in_thread


class Fate(StrEnum):
    """What became of a client."""

    ANSWERED = "answered"
    TOLD = "told"  # an answer in HTTP that says why there is none
    REFUSED = "refused"
    RESET = "reset"
    CLOSED = "closed"  # in order, without an answer
    GAVE_UP = "gave up"  # nothing happened for as long as it had patience
    WAITING = "waiting"


@dataclass(slots=True)
class Visit:
    """One client: when it came and when its fate was known, by ``time.monotonic()``."""

    began: float
    ended: float = float("inf")
    fate: Fate = Fate.WAITING

    @property
    def seconds(self) -> float:
        """How long it took; endless while it waits."""
        return self.ended - self.began


@dataclass(slots=True)
class Stream:
    """One long transfer.

    Attributes:
        arrivals: when bytes arrived (download) or were sent (upload).
        ended: when and how it ended; None while it goes on.
    """

    arrivals: list[float] = field(default_factory=list)
    ended: tuple[float, Fate] | None = None


class Crowd:
    """Clients in a thread of their own, made by :func:`crowd`; every method may be called from any other thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._coming: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Crowd":
        return self

    async def __aexit__(self, *error: object) -> None:
        everybody = self._tasks | self._coming
        for task in everybody:
            task.cancel()
        await asyncio.gather(*everybody, return_exceptions=True)

    def come(self, port: int, *, every: float = 0.2, patience: float = 20.0, path: str = "/healthz") -> list[Visit]:
        """Let a new client come to a port all the time; the visits, a list that grows until :meth:`no_more`.

        Args:
            every: seconds between two clients, whatever becomes of the first.
            patience: seconds after which a client gives up: longer than any tunnel makes it wait.
        """
        visits: list[Visit] = []
        self._start(self._keep_coming(port, every, patience, path, visits), self._coming)
        return visits

    def visit(self, port: int, *, patience: float = 20.0, path: str = "/healthz") -> Visit:
        """Let one client come; returns at once."""
        visit = Visit(time.monotonic())
        self._start(_visit(port, patience, path, visit))
        return visit

    def download(self, port: int, *, rate: int = 20_000) -> Stream:
        """Begin a download that never ends, of ``rate`` bytes a second."""
        stream = Stream()
        self._start(_download(port, rate, stream))
        return stream

    def upload(self, port: int, *, every: float = 0.2) -> Stream:
        """Begin an upload that never ends, of a few bytes ``every`` so many seconds."""
        stream = Stream()
        self._start(_upload(port, every, stream))
        return stream

    def no_more(self) -> None:
        """Let nobody new come; those who are here see their visit through."""
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._coming])

    def _start(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]] | None = None) -> None:
        self._loop.call_soon_threadsafe(self._keep, work, self._tasks if among is None else among)

    def _keep(self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]) -> None:
        task = self._loop.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)

    async def _keep_coming(self, port: int, every: float, patience: float, path: str, visits: list[Visit]) -> None:
        due = self._loop.time()
        while True:
            visit = Visit(time.monotonic())
            visits.append(visit)
            self._keep(_visit(port, patience, path, visit), self._tasks)
            due = max(due + every, self._loop.time())
            await asyncio.sleep(due - self._loop.time())


@contextmanager
def crowd(place: Namespace) -> Iterator[Crowd]:
    """Clients within a namespace."""
    with ExitStack() as stack:
        with place.inside():
            people = stack.enter_context(in_thread(Crowd))
        yield people


async def _visit(port: int, patience: float, path: str, visit: Visit) -> None:
    fate = Fate.GAVE_UP
    try:
        async with asyncio.timeout(patience):
            fate = await _ask(port, path)
    except ConnectionRefusedError:
        fate = Fate.REFUSED
    except OSError as error:
        fate = fate if isinstance(error, TimeoutError) else Fate.RESET
    visit.ended, visit.fate = time.monotonic(), fate


async def _ask(port: int, path: str) -> Fate:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: far\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(None, 2)[1])
        if status != 200:
            return Fate.TOLD
        length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        json.loads(await reader.readexactly(length))
        return Fate.ANSWERED
    except asyncio.IncompleteReadError:
        return Fate.CLOSED
    finally:
        writer.transport.abort()


async def _download(port: int, rate: int, stream: Stream) -> None:
    fate = Fate.CLOSED
    with suppress(OSError):
        fate = Fate.RESET
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET /download?rate={rate} HTTP/1.1\r\nHost: far\r\n\r\n".encode())
            while await reader.read(1 << 16):
                stream.arrivals.append(time.monotonic())
            fate = Fate.CLOSED
        finally:
            writer.transport.abort()
    stream.ended = time.monotonic(), fate


async def _upload(port: int, every: float, stream: Stream) -> None:
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"POST /upload HTTP/1.1\r\nHost: far\r\nContent-Length: 1000000000\r\n\r\n")
            while not writer.transport.is_closing():
                writer.write(b"x" * 100)
                stream.arrivals.append(time.monotonic())
                await asyncio.sleep(every)
        finally:
            writer.transport.abort()
    stream.ended = time.monotonic(), Fate.RESET
