"""ssh/datapath/meter.py: what has arrived, asked of the system or measured with pings."""

from collections.abc import Callable

import pytest

from openclaw_tunnel.core.flow.window import SHORTEST, Sample, Window
from openclaw_tunnel.ssh.datapath.meter import PingMeter, TcpMeter
from openclaw_tunnel.ssh.datapath.tcp_info import Queue

KIB, MIB = 1 << 10, 1 << 20


class Call:
    """One that is to come on a :class:`Clock`."""

    def __init__(self, due: float, callback: Callable[[], object]) -> None:
        self.due = due
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """Timers that are due when the test lets time pass."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._calls: list[Call] = []

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Call:
        self._calls.append(Call(self._now + delay, callback))
        return self._calls[-1]

    def wait(self, seconds: float) -> None:
        """Whatever is due meanwhile happens when it is."""
        end = self._now + seconds
        while due := [call for call in self._calls if call.due <= end]:
            first = min(due, key=lambda call: call.due)
            self._calls.remove(first)
            self._now = max(self._now, first.due)
            if not first.cancelled:
                first.callback()
        self._now = end


class Carried:
    """What a connection carries, as the test says."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.granted = 0
        self.limited_at = -1e9
        self.held_back = False


class Notes(Window):
    """A window that only writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[Sample] = []

    def take(self, sample: Sample) -> None:
        self.samples.append(sample)


class System:
    """The other half of a TcpMeter: what the system would say.

    Attributes:
        queue: its answer; None where it has none.
        kept: what asyncio has not handed to it.
        asked: how often it was.
    """

    def __init__(self) -> None:
        self.load, self.up, self.down, self.clock = Carried(), Notes(), Notes(), Clock()
        self.queue: Queue | None = Queue(0, 0.040)
        self.kept = 0
        self.asked = 0
        self.meter = TcpMeter(self.load, self._ask, lambda: self.kept, self.up, self.down, self.clock)
        self.meter.begin()

    def _ask(self) -> Queue | None:
        self.asked += 1
        return self.queue

    def run(
        self, *, sent: int = 0, received: int = 0, under_way: int = 0, every: float = 0.010, times: int = 100
    ) -> None:
        """So much more is sent and comes, again and again; so much is under way all the time."""
        for _ in range(times):
            self.load.sent += sent
            self.load.received += received
            self.load.granted = self.load.received + 100_000
            self.queue = Queue(under_way, 0.040)
            self.meter.under_way(-1)
            self.clock.wait(every)


def test_the_system_and_the_transport_have_what_is_under_way() -> None:
    system = System()
    system.load.sent = MIB
    system.queue, system.kept = Queue(100_000, 0.040), 5000
    assert system.meter.under_way(0) == 105_000


def test_the_system_is_not_asked_where_there_cannot_be_much() -> None:
    system = System()
    system.load.sent = 10_000
    before = system.asked
    assert system.meter.under_way(enough=10_000) == 10_000
    assert system.asked == before
    assert system.meter.under_way(enough=9_999) == 0
    assert system.asked == before + 1
    assert system.meter.under_way(enough=0) == 0, "all had arrived"


def test_a_system_that_says_nothing_limits_nothing() -> None:
    system = System()
    system.queue = None
    system.load.sent = MIB
    before = len(system.up.samples)
    assert system.meter.under_way(0) == 0
    system.meter.moved()
    assert len(system.up.samples) == before


def test_what_gets_through_is_measured_in_both_directions() -> None:
    system = System()
    system.run(sent=10_000, received=20_000, under_way=40_000)
    up, down = system.up.samples[-1], system.down.samples[-1]
    assert up.rate == pytest.approx(1_000_000, rel=0.01)
    assert down.rate == pytest.approx(2_000_000, rel=0.01)
    assert (up.rtt, down.rtt) == (0.040, 0.040)


def test_what_comes_at_once_behind_a_lost_packet_is_not_the_rate_of_the_line() -> None:
    """For a while nothing arrives, and then all that was sent meanwhile: no faster than it was sent."""
    system = System()
    system.run(sent=10_000, under_way=40_000)
    system.up.samples.clear()
    for late in range(1, 21):
        system.run(sent=10_000, under_way=40_000 + late * 10_000, times=1)
    system.run(sent=10_000, under_way=40_000, times=4)
    assert max(sample.rate for sample in system.up.samples) <= 1_100_000


def test_after_a_pause_the_rate_of_before_does_not_count() -> None:
    system = System()
    system.run(sent=10_000)
    system.clock.wait(5)
    system.run(sent=10_000, times=1)
    assert (system.up.samples[-1].rate, system.up.samples[-1].limited) == (0.0, False)


def test_a_window_that_somebody_waited_for_was_used_up() -> None:
    system = System()
    system.run(sent=10_000)
    assert not system.up.samples[-1].limited
    system.load.limited_at = system.clock.time()
    system.run(sent=10_000, times=4)
    assert system.up.samples[-1].limited
    system.run(sent=10_000, times=20)
    assert not system.up.samples[-1].limited


def test_a_window_that_far_ends_wait_for_or_that_comes_in_a_round_trip_was_used_up() -> None:
    system = System()
    system.run(received=1000)
    assert not system.down.samples[-1].limited
    system.load.held_back = True
    system.run(received=1000, times=4)
    assert system.down.samples[-1].limited
    system.load.held_back = False
    system.run(received=1000, times=20)
    assert not system.down.samples[-1].limited
    system.run(received=system.down.size // 4, times=20)
    assert system.down.samples[-1].limited


def test_a_little_is_no_reason_to_ask_the_system() -> None:
    system = System()
    system.clock.wait(1)
    before = system.asked
    for _ in range(10):
        system.load.sent += 100
        system.load.received += 100
        system.meter.moved()
        system.clock.wait(0.1)
    assert system.asked == before
    system.load.received += 100_000
    system.meter.moved()
    assert system.asked == before + 1
    system.load.received += 100_000
    system.meter.moved()
    assert system.asked == before + 1, "not again within a quarter of a round trip"
    system.meter.close()


def test_a_look_comes_as_often_as_there_is_something_new() -> None:
    system = System()
    for rtt, seconds in ((0.0001, 0.001), (0.080, 0.005), (3.0, 0.010)):
        system.queue = Queue(0, rtt)
        system.meter.under_way(-1)
        assert system.meter.look_again == pytest.approx(seconds)


def test_a_short_line_has_a_full_window_although_no_round_trip_takes_that_long() -> None:
    """300 MB/s and 20 us are 6 KB under way: the time of the programs is what the window has to be enough for."""
    system = System()
    for _ in range(100):
        system.load.received += 300_000
        system.load.granted = system.load.received + 100_000
        system.queue = Queue(0, 0.00002)
        system.meter.moved()
        system.clock.wait(0.001)
    assert system.down.samples[-1].limited
    assert system.down.samples[-1].rtt == SHORTEST


class Server:
    """The other half of a PingMeter: pings wait here until the test answers them.

    Attributes:
        asked: how many pings were sent.
        arrivals: how often it was reported that more has arrived.
    """

    def __init__(self) -> None:
        self.load, self.up, self.down, self.clock = Carried(), Notes(), Notes(), Clock()
        self.waiting: list[Callable[[], None]] = []
        self.asked = 0
        self.arrivals = 0
        self.meter = PingMeter(self.load, self._ask, self.up, self.down, self._arrived, self.clock)
        self.meter.begin()

    def _ask(self, then: Callable[[], None]) -> None:
        self.asked += 1
        self.waiting.append(then)

    def _arrived(self) -> None:
        self.arrivals += 1

    def answer(self, count: int = 1) -> None:
        for _ in range(count):
            self.waiting.pop(0)()
        self.clock.wait(0)

    def seed(self) -> None:
        """Answer the pings of the beginning, each after 40 ms."""
        while self.waiting:
            self.clock.wait(0.040)
            self.answer()
        self.clock.wait(2)


def test_the_empty_line_is_measured_first_by_one_ping_after_the_other() -> None:
    server = Server()
    assert len(server.waiting) == 1
    server.seed()
    assert server.asked == 3
    assert [sample.rtt for sample in server.up.samples] == pytest.approx([0.040] * 3)
    assert [sample.rtt for sample in server.down.samples] == pytest.approx([0.040] * 3)
    assert [sample.limited for sample in server.up.samples] == [False] * 3


def test_a_server_that_answers_nothing_limits_nothing_and_is_not_asked_for_ever() -> None:
    server = Server()
    for _ in range(1000):
        server.load.sent += MIB
        server.meter.moved(urgent=True)
        server.clock.wait(0.1)
    assert (server.meter.under_way(0), server.arrivals) == (0, 0)
    assert server.asked <= 20


def test_what_was_sent_before_a_ping_has_arrived_with_its_answer() -> None:
    server = Server()
    server.seed()
    server.load.sent = 100_000
    server.meter.moved()
    assert len(server.waiting) == 1
    server.load.sent = 150_000
    assert server.meter.under_way(0) == 150_000
    arrivals = server.arrivals
    server.clock.wait(0.040)
    server.answer()
    assert server.meter.under_way(0) == 50_000
    assert server.arrivals == arrivals + 1


@pytest.mark.parametrize(("line", "seen"), [(0.002, [0.002, 0.002, 0.055]), (0.040, [0.042, 0.040, 0.100])])
def test_an_answer_that_was_held_back_shows_no_queue_on_a_short_line(line: float, seen: list[float]) -> None:
    """A server waits with it until the one before is acknowledged, for which the other end may take 40 ms."""
    server = Server()
    while server.waiting:
        server.clock.wait(line)
        server.answer()
    server.clock.wait(2)
    for took in (0.042, 0.040, 0.100):
        server.load.sent += 100_000
        server.meter.moved()
        server.clock.wait(took)
        server.answer(len(server.waiting))
    assert [sample.rtt for sample in server.up.samples[-3:]] == pytest.approx(seen)


def test_answers_that_come_together_are_one() -> None:
    """The last one says most: those before it were held back."""
    server = Server()
    server.seed()
    for _ in range(4):
        server.load.sent += 100_000
        server.meter.moved()
        server.clock.wait(0.020)
    assert len(server.waiting) == 4
    arrivals, samples = server.arrivals, len(server.up.samples)
    server.answer(4)
    assert (server.arrivals, len(server.up.samples)) == (arrivals + 1, samples + 1)
    assert server.up.samples[-1].rtt == pytest.approx(0.020)
    assert server.meter.under_way(0) == 0


def test_between_two_answers_bytes_are_taken_to_arrive_as_before() -> None:
    server = Server()
    server.seed()
    for _ in range(50):
        server.load.sent += 50_000
        server.meter.moved()
        server.clock.wait(0.040)
        server.answer(len(server.waiting))
    server.load.sent += 50_000
    looks = []
    for _ in range(4):
        looks.append(server.meter.under_way(0))
        server.clock.wait(0.004)
    assert looks == sorted(looks, reverse=True)
    assert 0 < looks[-1] < looks[0] <= 50_000


def test_no_ping_for_a_little_unless_somebody_waits() -> None:
    server = Server()
    server.seed()
    server.load.sent += 1000
    server.meter.moved()
    server.clock.wait(1)
    assert server.waiting == []
    server.meter.moved(urgent=True)
    assert len(server.waiting) == 1


def test_pings_keep_their_distance() -> None:
    server = Server()
    server.seed()
    for _ in range(100):
        server.load.sent += MIB
        server.meter.moved(urgent=True)
        server.clock.wait(0.0005)
    assert 2 <= len(server.waiting) <= 50 / 5 + 1


def test_who_waits_is_not_forgotten_between_two_pings() -> None:
    """More was sent since the ping that is answered now; the next one goes by itself, but not at once."""
    server = Server()
    server.seed()
    server.load.sent += MIB
    server.meter.moved(urgent=True)
    server.load.sent += MIB
    server.answer()
    server.meter.moved(urgent=True)
    server.clock.wait(0.1)
    server.answer(len(server.waiting))
    assert server.meter.under_way(0) == 0


def test_nobody_waits_for_what_nothing_was_sent_after() -> None:
    server = Server()
    server.seed()
    server.meter.moved(urgent=True)
    server.clock.wait(1)
    assert server.waiting == []
    assert server.meter.under_way(0) == 0


def test_a_closed_one_asks_nothing_whatever_is_answered_still() -> None:
    server = Server()
    server.meter.close()
    server.answer()
    server.load.sent += MIB
    server.meter.moved(urgent=True)
    server.clock.wait(1)
    assert (server.waiting, server.arrivals, server.up.samples) == ([], 0, [])


def test_a_ping_that_is_due_later_is_not_sent_by_one_that_is_closed() -> None:
    server = Server()
    server.seed()
    server.load.sent += MIB
    server.meter.moved(urgent=True)
    server.load.sent += MIB
    server.meter.moved(urgent=True)
    server.meter.close()
    asked = server.asked
    server.clock.wait(1)
    assert server.asked == asked
