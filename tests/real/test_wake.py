"""A process whose clocks move as in sleep notices that; the clocks that it reads are the real ones."""

import os
import sys
from pathlib import Path

from support.clockshim import SleepyClocks
from support.process import Child
from support.waiting import wait_until

WATCHER = """
import asyncio
from openclaw_tunnel.host.net.wake import WakeWatch

async def watch():
    WakeWatch(lambda seconds: print(f"slept {seconds:.0f}", flush=True)).start()
    print("watching", flush=True)
    await asyncio.Event().wait()

asyncio.run(watch())
"""


def test_a_process_notices_that_it_slept(tmp_path: Path) -> None:
    clocks = SleepyClocks(tmp_path)
    watcher = Child([sys.executable, "-c", WATCHER], tmp_path / "log", {**os.environ, **clocks.environment()})
    try:
        wait_until(lambda: "watching" in watcher.output(), 20, "the start")
        clocks.sleep(3600)
        wait_until(lambda: "slept 3600" in watcher.output(), 20, "the sleep to be noticed")
        clocks.sleep(1)
        clocks.sleep(20)
        wait_until(lambda: "slept 2" in watcher.output(), 20, "the second sleep to be noticed")
        assert watcher.output().splitlines() in (
            ["watching", "slept 3600", "slept 21"],
            ["watching", "slept 3600", "slept 20"],  # compared between the two: one second is too short to be sleep
        )
    finally:
        watcher.end()
