"""The window that follows the delay, on simulated lines (``support.simline``) with the meters of the program."""

import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core.flow.window import FIRST, LEAST, MOST, Sample, Window
from support.simline import MSS, Line, Track, Tunnel, mbit

UP, DOWN = "up", "down"
TCP, PINGS = False, True
HOW = [
    pytest.param(pings, way, id=f"{way}, {'pings' if pings else 'tcp'}") for pings in (TCP, PINGS) for way in (UP, DOWN)
]
IDLE = 1.0


def best(line: Line) -> float:
    """Bytes per second that a line takes, without headers."""
    return line.rate * MSS / (MSS + 52)


def begin(line: Line, way: str, **more: bool | int) -> tuple[Tunnel, Track]:
    """A tunnel with a transfer that begins now, and what is seen of it."""
    tunnel = Tunnel(line, **more)  # type: ignore[arg-type]
    tunnel.run(IDLE)
    tunnel.run(0, up=way == UP, down=way == DOWN)
    return tunnel, tunnel.up if way == UP else tunnel.down


def changed(first: Line, then: Line, way: str, pings: bool, seconds: Sequence[float]) -> Track:
    """A transfer on a line that becomes another one, and again what it was, after so many seconds each."""
    tunnel, seen = begin(first, way, pings=pings)
    for line, time in zip((first, then, first), seconds, strict=True):
        tunnel.change(line)
        tunnel.run(time)
    return seen


@pytest.mark.parametrize(("pings", "way"), HOW)
@pytest.mark.parametrize(
    ("line", "mss"), [(mbit(20, 40), MSS), (mbit(100, 20), 8 * MSS), (mbit(5, 80), MSS)], ids=["20", "100", "5"]
)
def test_the_line_stays_full_and_its_queue_short(line: Line, mss: int, pings: bool, way: str) -> None:
    tunnel, seen = begin(line, way, pings=pings, mss=mss)
    tunnel.run(60)
    rates = seen.rates(4, 60)
    assert seen.rate(4, 60) > 0.95 * best(line)
    assert min(rates) > (0.65 if pings else 0.75) * best(line)
    assert seen.delay(4, 60) < 2 * line.delay * (1.0 if pings else 0.5) + 0.010
    assert seen.rate(IDLE + 1, IDLE + 2) > 0.75 * best(line)


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_queue_that_stands_for_long_is_not_taken_for_the_line(way: str) -> None:
    line = mbit(20, 40)
    tunnel, seen = begin(line, way, mss=8 * MSS)
    tunnel.run(600)
    assert seen.rate(4, 600) > 0.95 * best(line)
    assert seen.delay(540, 600) < 0.040


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_long_line_without_a_bottleneck_gets_a_large_window(way: str) -> None:
    tunnel, seen = begin(Line(delay=0.05), way, mss=10 * MSS)
    tunnel.run(2)
    assert seen.windows(0, math.inf)[-1] >= 8 << 20


@pytest.mark.parametrize("way", [UP, DOWN])
def test_pings_let_it_grow_more_slowly(way: str) -> None:
    tunnel, seen = begin(Line(delay=0.05), way, mss=10 * MSS, pings=True)
    tunnel.run(6)
    assert seen.windows(0, math.inf)[-1] >= 1 << 20


@pytest.mark.parametrize(("pings", "way"), HOW)
def test_a_line_that_becomes_long_is_used_and_back_it_has_no_queue(pings: bool, way: str) -> None:
    near, far = mbit(20, 20), mbit(20, 200)
    seen = changed(near, far, way, pings, (4, 20, 20))
    long, again = IDLE + 4, IDLE + 24
    assert seen.rate(long + (12 if pings else 5), again) > (0.6 if pings else 0.8) * best(far)
    assert seen.rate(again + 2, again + 20) > 0.9 * best(near)
    assert seen.delay(again + 15, again + 20) < 0.075


@pytest.mark.parametrize(("pings", "way"), HOW)
def test_a_rate_that_falls_to_a_tenth_leaves_no_long_queue_and_comes_back(pings: bool, way: str) -> None:
    fast, slow = mbit(20, 40), mbit(2, 40)
    seen = changed(fast, slow, way, pings, (4, 12, 6))
    fell, rose = IDLE + 4, IDLE + 16
    assert seen.delay(fell + 3, rose) < (0.200 if pings else 0.130)  # the smallest window
    assert seen.rate(fell + 2, rose) > 0.85 * best(slow)
    assert seen.rate(rose + 2, rose + 6) > 0.9 * best(fast)


@pytest.mark.parametrize("way", [UP, DOWN])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_jitter_is_no_queue(way: str, seed: int) -> None:
    line = mbit(20, 20, jitter=0.010)
    tunnel, seen = begin(line, way, seed=seed)
    tunnel.run(20)
    assert seen.rate(3, 20) > 0.82 * best(line)
    assert seen.delay(3, 20) < 0.100


@pytest.mark.parametrize(("pings", "way"), HOW)
@pytest.mark.parametrize("blind", [False, True], ids=["Reno", "BBR"])
def test_losses_do_not_make_it_smaller_than_tcp_needs(pings: bool, way: str, blind: bool) -> None:
    line = mbit(20, 40, loss=0.01)
    rates = []
    for fixed in (0, 4 << 20):
        tunnel, seen = begin(line, way, pings=pings, fixed=fixed, loss_blind=blind)
        tunnel.run(30)
        rates.append(seen.rate(4, 30))
    assert rates[0] > (0.7 if pings else 0.9) * rates[1]


@pytest.mark.parametrize(("pings", "way"), HOW)
def test_others_who_keep_the_queue_full_do_not_starve_it(pings: bool, way: str) -> None:
    line = mbit(20, 40)
    tunnel = Tunnel(line, pings=pings)
    other = tunnel.add_other(up=way == UP)
    tunnel.run(3)
    tunnel.run(40, up=way == UP, down=way == DOWN)
    seen = tunnel.up if way == UP else tunnel.down
    assert seen.rate(10, 40) > best(line) / 2 / 4
    assert other.rate(10, 40) > best(line) / 2


@pytest.mark.parametrize("pings", [TCP, PINGS], ids=["tcp", "pings"])
@pytest.mark.parametrize("first", [UP, DOWN])
def test_both_directions_at_once(first: str, pings: bool) -> None:
    line = mbit(20, 40)
    tunnel, _ = begin(line, first, pings=pings)
    tunnel.run(4)
    tunnel.run(26, up=True, down=True)
    both = tunnel.up.rate(10, 30), tunnel.down.rate(10, 30)
    assert sum(both) > 1.2 * best(line)
    assert min(both) > 0.3 * best(line)


@pytest.mark.parametrize("way", [UP, DOWN])
def test_on_a_loopback_the_window_stays_large_enough_and_small(way: str) -> None:
    line = Line(rate=300e6, delay=50e-6, queue=1e9, pause=(0.001, 0.003), pauses=0.005)
    rates = []
    for fixed in (0, 4 << 20):
        tunnel, seen = begin(line, way, fixed=fixed, mss=32 << 10)
        tunnel.run(4)
        rates.append(seen.rate(IDLE + 1, IDLE + 4))
        if not fixed:
            assert seen.delay(IDLE + 1, IDLE + 4, 50) < 0.006
    assert rates[0] > 0.95 * rates[1]


@pytest.mark.parametrize(("pings", "way"), HOW)
@pytest.mark.parametrize(("first", "then"), [(mbit(20, 20), mbit(20, 100)), (mbit(100, 20), mbit(5, 60))])
def test_after_a_rest_the_line_may_be_another(first: Line, then: Line, pings: bool, way: str) -> None:
    tunnel, seen = begin(first, way, pings=pings)
    tunnel.run(4)
    tunnel.run(10, up=False, down=False)
    tunnel.change(then)
    tunnel.run(2)
    tunnel.run(15, up=way == UP, down=way == DOWN)
    again = IDLE + 16
    assert seen.rate(again + 7, again + 15) > 0.8 * best(then)
    assert seen.delay(again + 7, again + 15) < (4 if pings else 2.5) * then.delay


def test_a_window_that_is_not_used_up_does_not_grow() -> None:
    window = window_after(lambda n: Sample(n * 0.01, 0.040, 1e6, limited=False))
    assert window.size == FIRST


def test_a_queue_of_others_does_not_shrink_the_window_of_who_sends_little() -> None:
    window = window_after(lambda n: Sample(n * 0.01, 0.040 if n < 100 else 0.200, 1e3, limited=False))
    assert window.size == FIRST


def test_a_single_late_round_trip_is_no_queue() -> None:
    window = window_after(lambda n: Sample(n * 0.01, 0.200 if n % 20 == 19 else 0.040, 3e6, limited=n % 20 == 0))
    assert window.size > FIRST


def window_after(sample: Callable[[int], Sample]) -> Window:
    """A window that has seen 500 samples."""
    window = Window()
    for n in range(500):
        window.take(sample(n))
    return window


anything = st.floats(allow_nan=True, allow_infinity=True)
plausible = st.floats(0, 10)


@given(
    st.lists(
        st.builds(
            Sample,
            anything | plausible,
            anything | plausible,
            anything | st.floats(0, 1e9),
            st.booleans(),
            st.booleans(),
        )
    )
)
def test_no_sample_breaks_it(samples: list[Sample]) -> None:
    window = Window()
    for sample in samples:
        window.take(sample)
        assert LEAST / 2 <= window.size <= MOST
        assert 0 <= window.base < math.inf
        assert 0 <= window.allowed < math.inf


@given(
    st.lists(
        st.builds(
            lambda step, rtt, rate, limited, shared: (step, rtt, rate, limited, shared),
            st.floats(0.001, 0.5),
            st.floats(0.0001, 2),
            st.floats(0, 1e9),
            st.booleans(),
            st.booleans(),
        ),
        max_size=300,
    )
)
def test_no_line_breaks_it(steps: list[tuple[float, float, float, bool, bool]]) -> None:
    window, now = Window(), 0.0
    for step, rtt, rate, limited, shared in steps:
        now += step
        window.take(Sample(now, rtt, rate, limited, shared))
        assert LEAST / 2 <= window.size <= MOST


@pytest.mark.parametrize("at", [0.5, 1.0], ids=["backwards", "standing still"])
def test_time_only_moves_forward(at: float) -> None:
    window = Window()
    window.take(Sample(1.0, 0.040, 0.0, limited=False))
    window.take(Sample(at, 0.001, 0.0, limited=False))
    assert window.base == 0.040
