"""From what clients saw to figures: percentiles, rates, series. Pure."""

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

Samples = Sequence[tuple[float, float]]
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: when it was sent, the seconds to its answer, and whose it was."""

    sent: float
    took: float
    client: int = 0

    @property
    def came(self) -> float:
        """When the answer did."""
        return self.sent + self.took


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def wait(asks: Sequence[Ask], percent: float) -> float:
    """A percentile of the waits, in milliseconds; one of several seconds counts as many times.

    Those who wait do not ask meanwhile: of answers alone, a minute without any would count as much as a good one.
    """
    ordered = sorted(asks, key=lambda ask: ask.took)
    weights = list(accumulate(max(ask.took, 1.0) for ask in ordered))
    return ordered[bisect_left(weights, weights[-1] * percent / 100)].took * 1e3


def moved_by(samples: Samples, when: float) -> float:
    """The bytes moved until then, of samples (time, bytes so far): between two samples it went on evenly."""
    after = bisect_right(samples, when, key=lambda sample: sample[0])
    if after == 0:
        return samples[0][1] if samples else 0.0
    if after == len(samples):
        return samples[-1][1]
    (t0, b0), (t1, b1) = samples[after - 1], samples[after]
    return b0 + (b1 - b0) * (when - t0) / (t1 - t0)


def rate_mbit(samples: Samples, start: float, end: float) -> float:
    """Megabits a second between two moments."""
    return (moved_by(samples, end) - moved_by(samples, start)) * 8 / 1e6 / (end - start)


def alone(asks: Sequence[Ask], until: float) -> dict[str, float]:
    """How long clients waited that ask in turns, their first answers left out: those have a connection with them.

    Args:
        until: somebody else came.
    """
    idle = [ask for ask in without_first(asks) if ask.came <= until]
    return {"idle_p50_ms": wait(idle, 50), "idle_p95_ms": wait(idle, 95)}


def firsts(asks: Sequence[Ask]) -> dict[int, Ask]:
    """Of each client the first request."""
    return {ask.client: ask for ask in reversed(asks)}


def without_first(asks: Sequence[Ask]) -> list[Ask]:
    """All others."""
    first = firsts(asks)
    return [ask for ask in asks if ask is not first[ask.client]]


def single(asks: Sequence[Ask]) -> list[Ask]:
    """All, each client's first as two that took half the time: the connection is one way there and back more."""
    first = firsts(asks)
    return [half for ask in asks for half in (_halves(ask) if ask is first[ask.client] else [ask])]


def _halves(ask: Ask) -> list[Ask]:
    half = ask.took / 2
    return [Ask(ask.sent, half, ask.client), Ask(ask.sent + half, half, ask.client)]


def beside(asks: Sequence[Ask], began: float, warm: float, end: float) -> dict[str, float]:
    """How long such clients waited beside a transfer.

    Args:
        began: when the transfer began.
        warm: when it had found its pace. ``start_ms`` is the longest wait before that.
        end: of the transfer.
    """
    asks = [ask for ask in single(asks) if ask.sent < end]
    during = [ask for ask in asks if ask.came >= warm] or [Ask(began, end - began)]
    return {
        "p50_ms": wait(during, 50),
        "p95_ms": wait(during, 95),
        "longest_ms": max(ask.took for ask in during) * 1e3,
        "start_ms": max((ask.took for ask in asks if began < ask.came < warm), default=0.0) * 1e3,
    }


def opened(asks: Sequence[Ask], late: Sequence[int], end: float) -> float:
    """The longest that those who came late waited for a connection and its first answer, in milliseconds.

    Args:
        late: who they are; one whose turn never came is left out.
        end: until when they all waited, where nobody's turn came.
    """
    first = firsts(asks)
    waits = [first[client].took for client in late if client in first]
    return max(waits, default=end - max(ask.sent for ask in asks)) * 1e3


LONGEST = ("longest_ms", "longer_ms")
"""How figures end that are the longest wait there was."""


def summed_up(runs: Sequence[Figures]) -> dict[str, float]:
    """Of each figure the median of all runs, of the longest wait the longest: one that is rare is still one."""
    return {key: (max if key.endswith(LONGEST) else statistics.median)([run[key] for run in runs]) for key in runs[0]}


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of a series.

    Attributes:
        at: its end, in seconds from the beginning.
        rate_mbit: of the transfer.
        p50_ms: of the answers that came; None: none did.
        longest_ms: the longest wait, for an answer that came or is still out at the end.
    """

    at: float
    rate_mbit: float
    p50_ms: float | None
    longest_ms: float


def series(asks: Sequence[Ask], bulk: Samples, began: float, end: float, step: float = 0.5) -> list[Moment]:
    """How a transfer and those who ask beside it went on, step by step."""
    steps = [(began + n * step, began + (n + 1) * step) for n in range(round((end - began) / step))]
    return [_moment(asks, bulk, start, stop, stop - began) for start, stop in steps]


def _moment(asks: Sequence[Ask], bulk: Samples, start: float, stop: float, at: float) -> Moment:
    came = [ask.took * 1e3 for ask in asks if start <= ask.came < stop]
    out = [(stop - ask.sent) * 1e3 for ask in asks if ask.sent < stop <= ask.came]
    p50 = percentile(came, 50) if came else None
    return Moment(at, rate_mbit(bulk, start, stop), p50, max([*came, *out], default=0.0))


def words(figures: Figures) -> str:
    """Figures on one line."""
    return "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
