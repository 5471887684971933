"""Durations in words."""

import pytest

from openclaw_tunnel.core.wording.durations import duration, precise


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m"), (250, "4m 10s"), (11520, "3h 12m"), (187200, "2d 4h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0ms"),
        (0.0136, "14ms"),
        (0.36, "0.4s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.97, "1m"),
        (250.74, "4m 10s"),
    ],
)
def test_short_ones_are_told_finer(seconds: float, text: str) -> None:
    assert precise(seconds) == text
