"""relay/stall_detector.py: what was sent and nobody answered is noticed, once, and only that."""

from openclaw_tunnel.relay.stall_detector import StallDetector
from support.aio import async_test, settle


@async_test
async def test_silence_is_noticed_once_until_more_is_sent() -> None:
    stalls: list[int] = []
    watch = StallDetector(0.01, lambda: stalls.append(1))
    watch.sent()
    watch.sent()
    await settle(lambda: stalls == [1], "the stall")
    await _time_for(0.03)
    assert stalls == [1]
    watch.sent()
    await settle(lambda: stalls == [1, 1], "the next one")


@async_test
async def test_an_answer_in_time_is_no_stall() -> None:
    stalls: list[int] = []
    watch = StallDetector(0.02, lambda: stalls.append(1))
    for _ in range(3):
        watch.sent()
        watch.heard()
    await _time_for(0.05)
    assert stalls == []
    watch.sent()
    watch.clear()
    await _time_for(0.05)
    assert stalls == []


@async_test
async def test_the_time_counts_from_the_first_piece_after_the_last_answer() -> None:
    """The timer that began with the first piece runs on; what was sent later has its own time."""
    first: list[int] = []
    watch = StallDetector(0.06, lambda: first.append(1))
    watch.sent()
    await _time_for(0.03)
    watch.heard()
    watch.sent()
    await _time_for(0.04)
    assert first == []
    await settle(lambda: first == [1], "the stall of the second piece")


async def _time_for(seconds: float) -> None:
    """Let so much time pass on the loop's own clock: another watch tells when."""
    over: list[int] = []
    watch = StallDetector(seconds, lambda: over.append(1))
    watch.sent()
    await settle(lambda: over, f"{seconds} s")
