"""A daemon that only talks: the real control server with a handler of the test's own, in a thread."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openclaw_tunnel.control.lock import DaemonLock
from openclaw_tunnel.control.server import ControlServer, Emit, Handler
from openclaw_tunnel.control.wire import MAX_REQUEST, unknown_method
from openclaw_tunnel.core.status import DaemonInfo, Snapshot, report

INFO = DaemonInfo(os.getpid(), "2026-11-22T06:00:00Z", "0.1.0")


class FakeDaemon:
    """Answers ``ping`` and ``status`` from a list of snapshots, other methods from the functions given to it.

    Attributes:
        tunnels: what status shows; tests change it.
        asked: every request, in order: method and params.
        cancelled: set when a client hung up on a call.
        was_orphaned: set when the server said so.
    """

    def __init__(self, tunnels: Sequence[Snapshot] = (), **methods: Callable[[dict[str, Any], Emit], Any]) -> None:
        self.tunnels = list(tunnels)
        self.methods = methods
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.cancelled = threading.Event()
        self.was_orphaned = threading.Event()

    async def handle(self, method: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        self.asked.append((method, params))
        if method in self.methods:
            try:
                result = self.methods[method](params, emit)
                answer: dict[str, Any] = await result if asyncio.iscoroutine(result) else result
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
            return answer
        if method == "ping":
            return {"pid": INFO.pid, "version": INFO.version}
        if method == "status":
            name = params.get("name")
            return report(INFO, [t for t in self.tunnels if name in (None, t.name)])
        raise unknown_method(method)

    def orphaned(self) -> None:
        self.was_orphaned.set()


@contextmanager
def serving(folder: Path, handler: Handler, *, check_every: float = 0.05, limit: int = MAX_REQUEST) -> Iterator[Path]:
    """Run a control server for ``handler`` in ``folder``, with the options of its own; the path of its socket."""
    started = threading.Event()
    ending: list[Callable[[], object]] = []
    path = folder / "control.sock"

    async def live() -> None:
        lock = DaemonLock(folder / "daemon.lock")
        lock.acquire()
        server = ControlServer(path, handler, lock=lock, check_every=check_every, limit=limit)
        end = asyncio.Event()
        loop = asyncio.get_running_loop()
        ending.append(lambda: loop.call_soon_threadsafe(end.set))
        try:
            await server.start()
            started.set()
            await end.wait()
        finally:
            await server.close()
            lock.release()

    thread = threading.Thread(target=asyncio.run, args=(live(),), name="fake daemon")
    thread.start()
    try:
        assert started.wait(60), "the fake daemon did not start"
        yield path
    finally:
        ending[0]()
        thread.join(60)
        assert not thread.is_alive(), "the fake daemon did not end"
