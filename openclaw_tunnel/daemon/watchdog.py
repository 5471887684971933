"""Signs of life for the watchdogs: given only while the event loop turns and every state machine moves."""

import asyncio
import logging

from openclaw_tunnel.core.liveness import is_stuck
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.daemon.tunnels import Daemon
from openclaw_tunnel.host.inprocess_watchdog import InprocessWatchdog
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.sdnotify import Notifier

logger = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two signs of life, at most: systemd wants one at least twice in its time."""


class Watchdog:
    """Feeds systemd's watchdog, and the one inside the process where there is one."""

    def __init__(self, notifier: Notifier, inner: InprocessWatchdog | None = None) -> None:
        """Args: ``inner`` is for a manager without a watchdog."""
        self._notifier = notifier
        self._inner = inner
        self._daemon: Daemon | None = None
        self._seen: dict[str, tuple[object, float]] = {}
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to give signs of life."""
        every = EVERY if self._notifier.watchdog is None else min(EVERY, self._notifier.watchdog / 3)
        self._tasks.start(self._beat(every), name="signs of life")
        if self._inner:
            self._inner.start()

    async def stop(self) -> None:
        """Give none any more, and end the watchdog inside."""
        if self._inner:
            self._inner.stop()
        await self._tasks.cancel_all()

    def watch(self, daemon: Daemon | None) -> None:
        """The daemon whose tunnels have to move; None: there is none in this process."""
        self._daemon = daemon
        self._seen.clear()

    def stuck(self, now: float) -> list[str]:
        """The tunnels whose state machine moves no more.

        Args:
            now: seconds of a clock that stands still while the computer sleeps.
        """
        return [] if self._daemon is None else [t.name for t in self._daemon.snapshots() if self._is_stuck(t, now)]

    def _is_stuck(self, tunnel: Snapshot, now: float) -> bool:
        mark = tunnel.state, tunnel.since, tunnel.retry.attempt
        seen, began = self._seen.get(tunnel.name, (None, now))
        if seen != mark:
            began = now
        self._seen[tunnel.name] = mark, began
        supervisor = self._daemon.supervisor(tunnel.name) if self._daemon else None
        return supervisor is not None and is_stuck(tunnel, supervisor.spec.policy, now - began)

    async def _beat(self, every: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if stuck := self.stuck(loop.time()):
                logger.error("no sign of life: the state machine of %s stands still", ", ".join(stuck))
            else:
                self._notifier.alive()
                if self._inner:
                    self._inner.beat()
            await asyncio.sleep(every)
