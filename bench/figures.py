"""From what clients saw to figures: percentiles, rates, series. Pure."""

import statistics
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

Samples = Sequence[tuple[float, float]]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


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


def asked(asks: Samples, began: float, warm: float, end: float) -> dict[str, float]:
    """What one asking client met beside a transfer.

    Args:
        asks: when each request was sent, and the seconds to its answer.
        began: when the transfer began.
        warm: when it had found its pace.
        end: of the transfer.
    """
    during = [took for sent, took in asks if warm < sent + took and sent < end] or [end - began]
    start = [took for sent, took in asks if began < sent + took and sent < warm]
    return {
        "p50_ms": percentile(during, 50) * 1e3,
        "p95_ms": percentile(during, 95) * 1e3,
        "longest_ms": max(during) * 1e3,
        "start_ms": max(start, default=0.0) * 1e3,
    }


def worse(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Of each figure the larger one."""
    return {key: max(one[key], other[key]) for key in one}


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure the median of all runs."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def words(figures: Mapping[str, Any]) -> str:
    """Figures on one line."""
    return "  ".join(f"{key} {value:.4g}" for key, value in figures.items())
