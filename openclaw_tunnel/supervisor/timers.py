"""The clocks of one tunnel's machine: started and cancelled by its commands, answered with its events."""

import asyncio
import math
from collections.abc import Callable

from openclaw_tunnel.core import commands as do
from openclaw_tunnel.core import events as ev

_EVENTS: dict[do.Timer, Callable[[int], ev.Event]] = {
    do.Timer.RETRY: ev.RetryDue,
    do.Timer.HURRY: ev.HurryDue,
    do.Timer.PROBE: ev.ProbeDue,
}

MOMENT = 10.0
"""Seconds for which a command that has just been given waits for the dial that it hurries; a later one is shown."""


class Timers:
    """At most one of each kind runs."""

    def __init__(self, post: Callable[[ev.Event], None]) -> None:
        """Run none; ``post`` takes the event of one that runs out."""
        self._post = post
        self._running: dict[do.Timer, asyncio.TimerHandle] = {}

    def start(self, timer: do.Timer, delay: float, attempt: int) -> None:
        """Let it run out in ``delay`` seconds; one of this kind that runs is set again."""
        if timer in self._running:
            self._running[timer].cancel()
        self._running[timer] = asyncio.get_running_loop().call_later(delay, self._due, timer, attempt)

    def cancel_all(self) -> None:
        """Let none run."""
        for handle in self._running.values():
            handle.cancel()
        self._running.clear()

    def runs(self, timer: do.Timer, within: float = math.inf) -> bool:
        """Whether it runs, and runs out within so many seconds."""
        handle = self._running.get(timer)
        return handle is not None and handle.when() - asyncio.get_running_loop().time() <= within

    def next_dial_in(self) -> float | None:
        """Seconds until the first of those that dial runs out; None where none runs."""
        now = asyncio.get_running_loop().time()
        dials = (self._running.get(timer) for timer in (do.Timer.RETRY, do.Timer.HURRY))
        left = [max(0.0, handle.when() - now) for handle in dials if handle is not None]
        return round(min(left), 1) if left else None

    def _due(self, timer: do.Timer, attempt: int) -> None:
        del self._running[timer]
        self._post(_EVENTS[timer](attempt))
