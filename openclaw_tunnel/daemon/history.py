"""The histories that this daemon writes: one recorder for each tunnel, and a sign of life of all."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from openclaw_tunnel.core.history.entries import BEAT
from openclaw_tunnel.host.historyfile import Recorder, forget_old, history_file
from openclaw_tunnel.host.logs import tunnel_logger


class Recorders:
    """The recorders by the names of their tunnels."""

    def __init__(
        self, state_dir: Path, *, wall: Callable[[], float] = time.time, awake: Callable[[], float] = time.monotonic
    ) -> None:
        """Remove the histories of tunnels that have not run for long.

        Args:
            state_dir: holds the files.
            wall, awake: the clocks of the recorders.
        """
        self._state_dir = state_dir
        self._wall = wall
        self._awake = awake
        self._by_name: dict[str, Recorder] = {}
        forget_old(state_dir, wall())

    def of(self, name: str) -> Recorder:
        """The recorder of that tunnel; the same each time, however often the tunnel is started anew."""
        if name not in self._by_name:
            path = history_file(self._state_dir, name)
            self._by_name[name] = Recorder(path, tunnel_logger(name), wall=self._wall, awake=self._awake)
        return self._by_name[name]

    def slept(self, seconds: float) -> None:
        """The computer slept for so long, until just now."""
        for recorder in self._by_name.values():
            recorder.slept(seconds)

    async def keep_beating(self, every: float = BEAT) -> None:
        """Give a sign of life of every tunnel that runs, every so many seconds, until cancelled."""
        while True:
            await asyncio.sleep(every)
            for recorder in self._by_name.values():
                recorder.beat()
