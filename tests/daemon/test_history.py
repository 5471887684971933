"""The histories that the daemon writes: one a tunnel, a sign of life of each that runs."""

import asyncio
import os
from pathlib import Path

from openclaw_tunnel.core.history.day import KEPT_FOR
from openclaw_tunnel.core.history.entries import BEAT, moment
from openclaw_tunnel.core.states import State
from openclaw_tunnel.daemon.history import Recorders
from openclaw_tunnel.host.historyfile import history_file, load, recorded
from support.aio import async_test, settle

NOON = moment("2026-11-22T12:00:00Z")


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.passed = 0.0

    def recorders(self, folder: Path) -> Recorders:
        return Recorders(folder, wall=lambda: NOON + self.passed, awake=lambda: self.passed)


def up_seconds(folder: Path, name: str) -> float:
    return load(history_file(folder, name)).history.day(NOON + 86400 / 2).total.up


def test_a_tunnel_that_is_started_anew_goes_on_with_its_recorder(tmp_path: Path) -> None:
    recorders = Clock().recorders(tmp_path)
    assert recorders.of("a") is recorders.of("a")
    assert recorders.of("a") is not recorders.of("b")


def test_old_histories_are_removed_when_the_daemon_starts(tmp_path: Path) -> None:
    for name, age in (("old", KEPT_FOR + 10), ("new", KEPT_FOR - 10)):
        history_file(tmp_path, name).touch()
        os.utime(history_file(tmp_path, name), (NOON - age, NOON - age))
    Clock().recorders(tmp_path)
    assert recorded(tmp_path) == ["new"]


def test_all_are_told_of_a_sleep(tmp_path: Path) -> None:
    recorders = Clock().recorders(tmp_path)
    for name in ("a", "b"):
        recorders.of(name).note(State.STOPPED, State.CONNECTING)
    recorders.slept(100.0)
    assert [load(history_file(tmp_path, n)).history.entries[-1].asleep_s for n in ("a", "b")] == [100.0, 100.0]


@async_test
async def test_they_give_signs_of_life(tmp_path: Path) -> None:
    clock = Clock()
    recorders = clock.recorders(tmp_path)
    for name in ("a", "b"):
        recorders.of(name).note(State.CONNECTING, State.UP)
    beating = asyncio.get_running_loop().create_task(recorders.keep_beating(0.001))
    try:
        for beats in (1, 2):
            clock.passed += BEAT
            await settle(lambda: [up_seconds(tmp_path, n) for n in ("a", "b")] == [beats * BEAT] * 2)  # noqa: B023
    finally:
        beating.cancel()
