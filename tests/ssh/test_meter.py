"""ssh/meter.py: what has arrived, asked of the system or measured with pings."""

import asyncio
from collections.abc import Callable

import pytest

from openclaw_tunnel.core.window import Sample, Window
from openclaw_tunnel.ssh.meter import PingMeter, TcpMeter
from openclaw_tunnel.ssh.traffic import Queue
from support.aio import async_test, pass_time

KIB, MIB = 1 << 10, 1 << 20


class Carried:
    """What a connection carries, as the test says."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = self.granted = 0
        self.limited_at = -1e9
        self.held_back = False


class Notes(Window):
    """A window that only writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[Sample] = []

    def take(self, sample: Sample) -> None:
        self.samples.append(sample)


async def wait(seconds: float) -> None:
    await pass_time(seconds, lambda: True)


class System:
    """The other half of a TcpMeter: what the system would say.

    Attributes:
        queue: its answer; None where it has none.
        kept: what asyncio has not handed to it.
        asked: how often it was.
    """

    def __init__(self) -> None:
        self.load, self.up, self.down = Carried(), Notes(), Notes()
        self.queue: Queue | None = Queue(0, 0, 0.040)
        self.kept = 0
        self.asked = 0
        self.meter = TcpMeter(self.load, self._ask, lambda: self.kept, self.up, self.down)
        self.meter.begin()

    def _ask(self) -> Queue | None:
        self.asked += 1
        return self.queue


@async_test
async def test_the_system_and_the_transport_have_what_is_under_way() -> None:
    system = System()
    system.load.sent = MIB
    system.queue, system.kept = Queue(100_000, 60_000, 0.040), 5000
    assert system.meter.under_way(0) == 105_000


@async_test
async def test_the_system_is_not_asked_where_there_cannot_be_much() -> None:
    system = System()
    system.load.sent = 10_000
    before = system.asked
    assert system.meter.under_way(enough=10_000) == 10_000
    assert system.asked == before
    assert system.meter.under_way(enough=9_999) == 0
    assert system.asked == before + 1
    assert system.meter.under_way(enough=0) == 0, "all had arrived"


@async_test
async def test_a_system_that_says_nothing_limits_nothing() -> None:
    system = System()
    system.queue = None
    system.load.sent = MIB
    before = len(system.up.samples)
    assert system.meter.under_way(0) == 0
    system.meter.moved()
    assert len(system.up.samples) == before


@async_test
async def test_what_gets_through_is_measured_over_a_round_trip() -> None:
    system = System()
    await wait(2)
    for step in range(20):
        system.load.sent = 200_000 + step * 50_000
        system.load.received = step * 100_000
        system.queue = Queue(200_000, 100_000, 0.040)
        system.meter.moved()
        await wait(0.050)
    up, down = system.up.samples[-1], system.down.samples[-1]
    assert up.rate == pytest.approx(1_000_000, rel=0.5), "the loop's own clock goes on as well"
    assert down.rate == pytest.approx(2 * up.rate, rel=0.01)
    assert up.rtt == pytest.approx(0.080), "what is not sent yet waits as long as what is on the line takes"
    assert down.rtt == pytest.approx(0.040)
    assert up.spacing == system.meter.look_again


@async_test
async def test_after_a_pause_the_rate_of_before_does_not_count() -> None:
    system = System()
    for _ in range(3):
        system.load.sent += 200_000
        system.meter.moved()
        await wait(0.050)
    await wait(5)
    system.load.sent += 50_000
    system.meter.moved()
    assert (system.up.samples[-1].rate, system.up.samples[-1].limited) == (0.0, False)


@async_test
async def test_a_window_that_somebody_waited_for_was_used_up() -> None:
    system = System()
    loop = asyncio.get_running_loop()
    limited = []
    for wanted in (False, True, False):
        for _ in range(4):
            system.load.sent += 100_000
            if wanted:
                system.load.limited_at = loop.time()
            system.meter.moved()
            await wait(0.1)
        limited.append(system.up.samples[-1].limited)
    assert limited == [False, True, False]


@async_test
async def test_a_window_that_far_ends_wait_for_or_that_comes_in_a_round_trip_was_used_up() -> None:
    system = System()
    full = []
    for received, held_back in ((20 * KIB, False), (20 * KIB, True), (2 * MIB, False)):
        for _ in range(4):
            system.load.received += received
            system.load.held_back = held_back
            system.meter.under_way(-1)
            await wait(0.060)
        full.append(system.down.samples[-1].limited)
    assert full == [False, True, True]


@async_test
async def test_a_little_is_no_reason_to_ask_the_system() -> None:
    system = System()
    await wait(1)
    before = system.asked
    for _ in range(10):
        system.load.sent += 100
        system.load.received += 100
        system.meter.moved()
        await wait(0.1)
    assert system.asked == before
    system.load.received += 100_000
    system.meter.moved()
    assert system.asked == before + 1
    system.load.received += 100_000
    system.meter.moved()
    assert system.asked == before + 1, "not again within a quarter of a round trip"
    system.meter.close()


@async_test
async def test_a_look_comes_as_often_as_there_is_something_new() -> None:
    system = System()
    for rtt, seconds in ((0.0001, 0.001), (0.080, 0.005), (3.0, 0.010)):
        system.queue = Queue(0, 0, rtt)
        system.meter.under_way(-1)
        assert system.meter.look_again == pytest.approx(seconds)


class Server:
    """The other half of a PingMeter: pings wait here until the test answers them.

    Attributes:
        asked: how many pings were sent.
        arrivals: how often it was reported that more has arrived.
    """

    def __init__(self) -> None:
        self.load, self.up, self.down = Carried(), Notes(), Notes()
        self.waiting: list[Callable[[], None]] = []
        self.asked = 0
        self.arrivals = 0
        self.meter = PingMeter(self.load, self._ask, self.up, self.down, self._arrived)
        self.meter.begin()

    def _ask(self, then: Callable[[], None]) -> None:
        self.asked += 1
        self.waiting.append(then)

    def _arrived(self) -> None:
        self.arrivals += 1

    def answer(self) -> None:
        self.waiting.pop(0)()

    async def seed(self) -> None:
        """Answer the pings of the beginning, each after 40 ms."""
        while self.waiting:
            await wait(0.040)
            self.answer()


@async_test
async def test_the_empty_line_is_measured_first_by_one_ping_after_the_other() -> None:
    server = Server()
    assert len(server.waiting) == 1
    await server.seed()
    assert server.asked == 3
    assert [sample.limited for sample in server.up.samples] == [False] * 3
    assert min(sample.rtt for sample in server.down.samples) >= 0.040


@async_test
async def test_a_server_that_answers_nothing_limits_nothing_and_is_not_asked_again() -> None:
    server = Server()
    for _ in range(20):
        server.load.sent += MIB
        server.meter.moved(urgent=True)
        await wait(0.1)
    assert (server.meter.under_way(0), server.asked, server.arrivals) == (0, 1, 0)


@async_test
async def test_what_was_sent_before_a_ping_has_arrived_with_its_answer() -> None:
    server = Server()
    await server.seed()
    await wait(1)
    server.load.sent = 100_000
    server.meter.moved()
    assert len(server.waiting) == 1
    server.load.sent = 150_000
    assert server.meter.under_way(0) == 150_000
    arrivals = server.arrivals
    server.answer()
    assert server.meter.under_way(0) == 50_000
    assert server.arrivals == arrivals + 1


@async_test
async def test_one_ping_at_a_time_and_none_for_a_little() -> None:
    server = Server()
    await server.seed()
    await wait(1)
    server.load.sent += 1000
    server.meter.moved()
    assert server.waiting == []
    server.meter.moved(urgent=True)
    assert len(server.waiting) == 1
    server.load.sent += MIB
    server.meter.moved(urgent=True)
    await wait(1)
    assert len(server.waiting) == 1
    server.meter.moved()
    assert len(server.waiting) == 1


@async_test
async def test_who_waits_is_not_forgotten_between_two_pings() -> None:
    """More was sent since the ping that is answered now; the next one goes by itself, but not at once."""
    server = Server()
    await server.seed()
    await wait(1)
    server.load.sent += MIB
    server.meter.moved(urgent=True)
    server.load.sent += MIB
    server.answer()
    server.meter.moved(urgent=True)
    assert server.meter.under_way(0) == MIB
    await pass_time(0.2, lambda: True)
    await pass_time(0.0, lambda: server.waiting)
    server.answer()
    assert server.meter.under_way(0) == 0


@async_test
async def test_nobody_waits_for_what_nothing_was_sent_after() -> None:
    server = Server()
    await server.seed()
    await wait(1)
    server.meter.moved(urgent=True)
    assert server.waiting == []
    assert server.meter.under_way(0) == 0


@async_test
async def test_a_closed_one_asks_nothing_whatever_is_answered_still() -> None:
    server = Server()
    server.meter.close()
    server.answer()
    server.load.sent += MIB
    server.meter.moved(urgent=True)
    await wait(1)
    assert (server.waiting, server.arrivals, server.up.samples) == ([], 0, [])


@async_test
async def test_a_ping_that_is_due_later_is_not_sent_by_one_that_is_closed() -> None:
    server = Server()
    await server.seed()
    server.load.sent += MIB
    server.meter.moved(urgent=True)
    server.meter.close()
    asked = server.asked
    await wait(1)
    assert server.asked == asked
