"""Signs of life are given only while every state machine moves."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import RetryStatus, Snapshot
from openclaw_tunnel.daemon.watchdog import Watchdog
from openclaw_tunnel.host.sdnotify import Notifier
from support.aio import async_test, settle

TUNNEL = Snapshot("a", State.CONNECTING, "2026-11-22T06:00:00Z", "me@host:22", "host", ())


@dataclass
class Tunnels:
    """The daemon, as far as signs of life need it."""

    tunnel: Snapshot = TUNNEL

    def snapshots(self) -> list[Snapshot]:
        return [self.tunnel]

    def supervisor(self, name: str) -> Any:
        return SimpleNamespace(spec=SimpleNamespace(policy=Policy()))


@dataclass
class Systemd:
    """Counts the signs."""

    watchdog: float | None = 0.003
    signs: list[str] = field(default_factory=list)

    def alive(self) -> None:
        self.signs.append("alive")

    def beat(self) -> None:
        self.signs.append("beat")

    def start(self) -> None:
        self.signs.append("start")

    def stop(self) -> None:
        self.signs.append("stop")


def watchdog(tunnels: Tunnels) -> Watchdog:
    made = Watchdog(Notifier({}))
    made.watch(cast(Any, tunnels))
    return made


def test_time_in_one_state_counts() -> None:
    tunnels = Tunnels()
    watched = watchdog(tunnels)
    assert watched.stuck(100) == []
    assert watched.stuck(570) == []
    assert watched.stuck(581) == ["a"]
    tunnels.tunnel = replace(TUNNEL, retry=RetryStatus(attempt=1))  # the next try: it moves
    assert watched.stuck(582) == []
    assert watched.stuck(1060) == []
    assert watched.stuck(1063) == ["a"]
    watched.watch(None)
    assert watched.stuck(999) == []


@async_test
async def test_a_machine_that_stands_still_ends_the_signs() -> None:
    systemd = Systemd()
    looks: list[float] = []

    class Standing(Watchdog):
        def stuck(self, now: float) -> list[str]:
            looks.append(now)
            return ["a"] if len(looks) > 3 else []

    made = Standing(cast(Any, systemd), cast(Any, systemd))
    made.start()
    await settle(lambda: len(looks) > 10, "looks")
    await made.stop()
    assert systemd.signs == ["start", *["alive", "beat"] * 3, "stop"]
