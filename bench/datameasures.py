"""What is measured of the data path: each measurement is one run with one program, on a site of its kind.

Two cores are what most of this was thought out on: client, tunnel, sshd and service then share them, as they do for
every program that is compared. What is measured of a tunnel's own price is the CPU time of its processes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from datacontestants import Contestant
from datasite import Site, asks, pairs, result, seconds, stopped
from figures import (
    Ask,
    Moment,
    Samples,
    alone,
    beside,
    opened,
    percentile,
    rate_mbit,
    series,
    without_first,
)
from lines import FAR, LINES, SLOW, Line

WARM_UP = 2.0
"""Seconds from the beginning of a transfer that do not count."""
IDLE = 3.0
ASKING = 3
"""So many clients ask from before a transfer on, and so many come beside it: some programs serve only some of them."""
LATE = 0.7
"""Seconds from the beginning of a transfer to the clients that come beside it."""
ASK = (200, 50)
"""Bytes of a request, milliseconds from one to the next."""
_MIB = 1024 * 1024
BULK = 512 * _MIB
CONNECTIONS = 400
TUNNELS = 50
CLIENTS = 64
CHANGE, CHANGE_BACK, CHANGES_END = 8.0, 20.0, 30.0
_SETTLED = 4.0
"""Seconds after a change of the line that are the time to find the new pace."""

Measure = Callable[[Site, Contestant, float], dict[str, float]]
"""The number: seconds of each transfer that is measured by time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a transfer and of those who asked beside it.

    Attributes:
        asked: by clients that were there before, and by as many that came after its beginning.
        bulk: of the transfer.
        began: when it did.
    """

    asked: Sequence[Ask]
    bulk: Samples
    began: float


Plan = Sequence[tuple[float, Line]]
"""Seconds after the beginning of a transfer, and what the line becomes."""


def watch(site: Site, contestant: Contestant, way: str, whole: float, plan: Plan = ()) -> Seen:
    """Let clients ask, first alone, then while another one uploads or downloads."""
    with contestant.up(site) as tunnel:
        asking = site.load("ask", tunnel.port, *ASK, IDLE + whole, ASKING, IDLE + LATE)
        time.sleep(IDLE)
        began = time.monotonic()
        moving = site.load(way, tunnel.port, 0, whole)
        for at, line in plan:
            time.sleep(began + at - time.monotonic())
            site.change(line)
        moved, asked = pairs(result(moving, whole)), asks(result(asking, whole))
    return Seen(asked, site.uploaded() if way == "up" else moved, began)


def transfer(way: str) -> Measure:
    """Those who ask beside a transfer, and the transfer's rate."""

    def measure(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
        seen = watch(site, contestant, way, WARM_UP + length)
        warm, end = seen.began + WARM_UP, seen.began + WARM_UP + length
        return {
            **alone(seen.asked, seen.began),
            **beside(seen.asked, seen.began, warm, end),
            "opened_ms": opened(seen.asked, range(ASKING, 2 * ASKING), end),
            "rate_mbit": rate_mbit(seen.bulk, warm, end),
        }

    return measure


def changes(way: str, other: Line, show: Callable[[Sequence[Moment]], None]) -> Measure:
    """The same while the line becomes another one, and after a while again what it was."""

    def measure(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
        del length  # a change needs its time
        try:
            seen = watch(site, contestant, way, CHANGES_END, [(CHANGE, other), (CHANGE_BACK, LINES["20"])])
        finally:
            site.change(LINES["20"])
        show(series(seen.asked, seen.bulk, seen.began, seen.began + CHANGES_END))
        found = alone(seen.asked, seen.began)
        for part, start, end in (("changed", CHANGE, CHANGE_BACK), ("back", CHANGE_BACK, CHANGES_END)):
            start, settled, end = (seen.began + at for at in (start, start + _SETTLED, end))
            met = beside(seen.asked, start, settled, end)
            found |= {f"{part}_{key}": met[key] for key in ("p50_ms", "p95_ms", "longest_ms", "start_ms")}
            found[f"{part}_rate_mbit"] = rate_mbit(seen.bulk, settled, end)
        return found

    return measure


def round_trip(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
    """One client that asks as fast as it can, alone."""
    with contestant.up(site) as tunnel:
        asked = asks(result(site.load("ask", tunnel.port, ASK[0], 0, length / 2, 1, 0), length))
    took = [ask.took for ask in without_first(asked)]
    return {"p50_us": percentile(took, 50) * 1e6, "p99_us": percentile(took, 99) * 1e6}


def connecting(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
    """New connections, one after the other, a byte there and back on each."""
    with contestant.up(site) as tunnel:
        took = seconds(result(site.load("connect", tunnel.port, CONNECTIONS), length))
    return {"p50_us": percentile(took, 50) * 1e6, "p95_us": percentile(took, 95) * 1e6}


def bulk(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
    """Much at once, alone: how fast, and the CPU time of the tunnel's processes."""
    found = {}
    with contestant.up(site) as tunnel:
        for way in ("down", "up"):
            before, began = tunnel.cpu_seconds(), time.monotonic()
            result(site.load(way, tunnel.port, BULK, 0), length)
            found[f"{way}_mib_s"] = BULK / _MIB / (time.monotonic() - began)
            found[f"{way}_cpu_s_gib"] = (tunnel.cpu_seconds() - before) * 1024 * _MIB / BULK
    return found


def busy(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
    """One client that asks while another one downloads at full speed."""
    with contestant.up(site) as tunnel:
        moving = site.load("down", tunnel.port, 0, length)
        time.sleep(LATE)
        asking = site.load("ask", tunnel.port, ASK[0], 10, length - 2 * LATE, 1, 0)
        took = [ask.took for ask in without_first(asks(result(asking, length)))]
        result(moving, length)
    return {"p50_ms": percentile(took, 50) * 1e3, "p95_ms": percentile(took, 95) * 1e3}


def many(way: str, size: int) -> Measure:
    """Many transfers of so many bytes at once, and one client that asks."""

    def measure(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
        with contestant.up(site) as tunnel:
            asking = site.load("ask", tunnel.port, *ASK, 3600, 1, 0)
            time.sleep(IDLE)
            began = time.monotonic()
            took = seconds(result(site.load("many", tunnel.port, way, CLIENTS, size), 300))
            end = time.monotonic()
            asked = asks(stopped(asking))
        idle, met = alone(asked, began), beside(asked, began, began, end)
        return {
            **idle,
            "longest_ms": met["longest_ms"],
            "longer_ms": met["longest_ms"] - idle["idle_p50_ms"],
            "fastest_s": min(took),
            "slowest_s": max(took),
            "slowest_by_fastest": max(took) / min(took),
        }

    return measure


def cold_start(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
    """From the command to the first byte, with nothing running before."""
    with contestant.up(site) as tunnel:
        return {"seconds": tunnel.started_in}


def memory(site: Site, contestant: Contestant, length: float) -> dict[str, float]:
    """Of many tunnels at once."""
    with contestant.up(site, TUNNELS) as tunnels:
        return {"mb": tunnels.memory() / 1e6, "processes": len(tunnels.pids)}


@dataclass(frozen=True, slots=True)
class Measurement:
    """A group of figures.

    Attributes:
        line: where; None: the loopback.
        measure: one run with one program.
    """

    line: Line | None
    measure: Measure


def show(moments: Sequence[Moment]) -> None:
    """Print a series."""
    for one in moments:
        p50 = "     -" if one.p50_ms is None else f"{one.p50_ms:6.0f}"
        print(
            f"    {one.at:5.1f} s {one.rate_mbit:7.2f} Mbit/s  p50 {p50} ms  longest {one.longest_ms:6.0f} ms",
            flush=True,
        )


WAYS = {"upload": "up", "download": "down"}
MEASUREMENTS: Mapping[str, Measurement] = {
    **{
        f"{kind}-{name}": Measurement(line, transfer(way)) for name, line in LINES.items() for kind, way in WAYS.items()
    },
    "round-trip": Measurement(None, round_trip),
    "connect": Measurement(None, connecting),
    "bulk": Measurement(None, bulk),
    "busy": Measurement(None, busy),
    "many-downloads": Measurement(None, many("down", 4 * _MIB)),
    "many-uploads": Measurement(None, many("up", 4 * _MIB)),
    "many-downloads-20": Measurement(LINES["20"], many("down", _MIB // 4)),
    "many-downloads-100": Measurement(LINES["100"], many("down", _MIB)),
    "many-uploads-100": Measurement(LINES["100"], many("up", _MIB)),
    "cold-start": Measurement(None, cold_start),
    "memory": Measurement(None, memory),
    **{f"far-{kind}": Measurement(LINES["20"], changes(way, FAR, show)) for kind, way in WAYS.items()},
    **{f"slow-{kind}": Measurement(LINES["20"], changes(way, SLOW, show)) for kind, way in WAYS.items()},
}
GROUPS = {"changes": [name for name in MEASUREMENTS if name.startswith(("far-", "slow-"))]}
"""Short names for several."""
