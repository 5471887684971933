"""From what clients saw to figures: percentiles, rates, series. Pure."""

import math
import statistics
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Samples = Sequence[tuple[float, float]]
Figures = Mapping[str, float]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


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


def alone(asks: Samples, until: float) -> dict[str, float]:
    """What a client that asks and waits met as long as it was alone.

    Args:
        asks: when each request was sent, and the seconds to its answer; the first one's with the connection.
        until: somebody else came.
    """
    idle = [took * 1e3 for sent, took in asks[1:] if sent + took <= until]
    return {"idle_p50_ms": percentile(idle, 50), "idle_p95_ms": percentile(idle, 95)}


def beside(asks: Samples, began: float, warm: float, end: float) -> dict[str, float]:
    """What one such client met beside a transfer.

    Args:
        asks: as :func:`alone`.
        began: when the transfer began.
        warm: when it had found its pace. ``start_ms`` is the longest wait before that.
        end: of the transfer.
    """
    answers = [(sent + took, took * 1e3) for sent, took in asks if sent < end]
    during = [took for came, took in answers if came >= warm] or [(end - began) * 1e3]
    return {
        "p50_ms": percentile(during, 50),
        "p95_ms": percentile(during, 95),
        "longest_ms": max(during),
        "start_ms": max((took for came, took in answers if began < came < warm), default=0.0),
    }


def worse(one: Figures, other: Figures) -> dict[str, float]:
    """Of each figure the larger one."""
    return {key: max(one[key], other[key]) for key in one}


def medians(runs: Sequence[Figures]) -> dict[str, float]:
    """Of each figure the median of all runs."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


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


def series(asks: Samples, bulk: Samples, began: float, end: float, step: float = 0.5) -> list[Moment]:
    """How a transfer and those who ask beside it went on, step by step."""
    steps = [(began + n * step, began + (n + 1) * step) for n in range(round((end - began) / step))]
    return [_moment(asks, bulk, start, stop, stop - began) for start, stop in steps]


def _moment(asks: Samples, bulk: Samples, start: float, stop: float, at: float) -> Moment:
    came = [took * 1e3 for sent, took in asks if start <= sent + took < stop]
    out = [(stop - sent) * 1e3 for sent, took in asks if sent < stop <= sent + took]
    p50 = percentile(came, 50) if came else None
    return Moment(at, rate_mbit(bulk, start, stop), p50, max([*came, *out], default=0.0))


def words(figures: Figures) -> str:
    """Figures on one line."""
    return "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
