"""ssh/datapath/scheduler.py: who is read next, and how much is under way."""

import asyncio
from collections import Counter

from openclaw_tunnel.core.flow.window import Window
from openclaw_tunnel.ssh.datapath.meter import Meter
from openclaw_tunnel.ssh.datapath.scheduler import PACKET, Outflow
from support.aio import async_test, pass_time, settle

KIB, MIB = 1 << 10, 1 << 20


class Line(Meter):
    """A meter of a line on which bytes arrive when the test says so.

    Attributes:
        arrived: bytes.
        urgent: how often somebody waited until more has arrived.
    """

    def __init__(self, outflow: Outflow, look_again: float = 0.0) -> None:
        self._outflow = outflow
        self.arrived = 0
        self.urgent = 0
        self.looks = 0
        self._look_again = look_again

    @property
    def look_again(self) -> float:
        return self._look_again

    def under_way(self, enough: int) -> int:
        self.looks += 1
        return self._outflow.sent - self.arrived

    def begin(self) -> None:
        raise AssertionError

    def moved(self, *, urgent: bool = False) -> None:
        self.urgent += urgent

    def close(self) -> None:
        raise AssertionError

    def arrive(self, size: int) -> None:
        self.arrived += size
        self._outflow.look()


class Client:
    """A flow: a client with so many bytes to send, whose far end takes so many.

    Attributes:
        unread: bytes that wait in its socket.
        room: bytes that the far end takes at a time.
        full: it takes none.
        reads: sizes, in order.
        listening: its socket wants to be heard.
    """

    def __init__(self, rig: "Rig", unread: int = 0, room: int = 1 << 30) -> None:
        self._rig = rig
        self.unread = unread
        self.room = room
        self.full = False
        self.reads: list[int] = []
        self.listening = True

    def carry(self, most: int) -> int:
        assert most > 0
        assert not self.full
        size = min(most, self.unread)
        self.unread -= size
        if size:
            self.reads.append(size)
            self._rig.order.append(self)
        self.listening |= size < most
        return size

    def send(self, size: int) -> bool:
        """So many bytes come; whether they were read."""
        self.unread += size
        return self.look()

    def look(self) -> bool:
        """As its socket does while there is something to read."""
        read = True
        while self.unread and self.listening and (read := self._rig.outflow.ready(self)):
            pass
        self.listening &= read
        return read

    @property
    def got(self) -> int:
        return sum(self.reads)


class Rig:
    """An outflow over a line, with a window that stays as it is.

    Attributes:
        order: whose bytes were sent, one entry a read.
    """

    def __init__(self, window: int = 256 * KIB, look_again: float = 0.0) -> None:
        self.outflow = Outflow(Window(first=window, least=1))
        self.line = self.outflow.meter = Line(self.outflow, look_again)
        self.order: list[Client] = []

    def client(self, unread: int = 0, room: int = 1 << 30) -> Client:
        return Client(self, unread, room)

    @property
    def under_way(self) -> int:
        return self.outflow.sent - self.line.arrived


@async_test
async def test_who_is_alone_is_read_at_once() -> None:
    rig = Rig()
    client = rig.client()
    assert client.send(300)
    assert (client.unread, client.reads, rig.outflow.sent) == (0, [300], 300)


@async_test
async def test_no_more_is_under_way_than_the_window() -> None:
    rig = Rig(256 * KIB)
    client = rig.client()
    assert not client.send(8 * MIB)
    assert 0.9 * 256 * KIB <= rig.under_way <= 256 * KIB
    assert rig.outflow.limited_at > 0
    for _ in range(100):
        rig.line.arrive(64 * KIB)
        assert 0.7 * 256 * KIB <= rig.under_way <= 256 * KIB
    await asyncio.sleep(0)


@async_test
async def test_a_window_that_is_not_used_up_limits_nobody() -> None:
    rig = Rig()
    assert rig.client().send(100 * KIB)
    assert rig.outflow.limited_at == 0


@async_test
async def test_those_who_send_much_take_turns() -> None:
    rig = Rig(256 * KIB)
    clients = [rig.client() for _ in range(8)]
    for client in clients:
        client.send(8 * MIB)
    assert len(rig.order) > 0
    for _ in range(200):
        rig.line.arrive(32 * KIB)
        await asyncio.sleep(0)
    shares = [client.got for client in clients]
    assert max(shares) - min(shares) <= rig.outflow.sent / 8
    assert max(shares[1:]) - min(shares[1:]) <= 2 * PACKET, "the first one had the line for itself"


@async_test
async def test_a_small_message_goes_at_once_although_the_window_is_used_up() -> None:
    rig = Rig(256 * KIB)
    uploads = [rig.client() for _ in range(3)]
    for upload in uploads:
        upload.send(8 * MIB)
    for _ in range(20):
        rig.line.arrive(32 * KIB)
    chat = rig.client()
    for _ in range(20):
        before = len(rig.order)
        assert chat.send(200)
        assert rig.order[before:] == [chat]
        rig.line.arrive(32 * KIB)


@async_test
async def test_a_transport_that_takes_no_more_is_given_nothing() -> None:
    rig = Rig()
    upload, chat = rig.client(), rig.client()
    rig.outflow.set_congested(True)
    assert rig.outflow.congested
    assert not upload.send(MIB)
    assert not chat.send(100)
    rig.line.arrive(0)
    assert rig.order == []
    rig.outflow.set_congested(False)
    assert {client.got > 0 for client in (upload, chat)} == {True}
    assert chat.unread == 0


@async_test
async def test_after_congestion_a_small_message_goes_before_what_is_left_of_large_ones() -> None:
    """Those who sent much were there first; that does not put them first."""
    rig = Rig(256 * KIB)
    uploads = [rig.client(), rig.client()]
    for upload in uploads:
        upload.send(8 * MIB)
    for _ in range(20):
        rig.line.arrive(32 * KIB)
    rig.outflow.set_congested(True)
    rig.line.arrive(rig.under_way)
    chat = rig.client()
    assert not chat.send(200)
    before = len(rig.order)
    rig.outflow.set_congested(False)
    assert rig.order[before] is chat


@async_test
async def test_a_channel_whose_far_end_takes_no_more_does_not_stop_the_others() -> None:
    rig = Rig()
    stuck, other = rig.client(), rig.client()
    stuck.full = True
    assert not stuck.send(MIB)
    assert other.send(1000)
    assert stuck.reads == []
    stuck.full = False
    rig.outflow.not_full(stuck)
    assert stuck.got > 0


@async_test
async def test_a_channel_that_fills_up_while_it_waits_is_left_out() -> None:
    rig = Rig(256 * KIB)
    one, other = rig.client(), rig.client()
    one.send(8 * MIB)
    other.send(8 * MIB)
    one.full = True
    before = one.got
    for _ in range(20):
        rig.line.arrive(32 * KIB)
    assert one.got == before
    assert other.got > 10 * 32 * KIB
    one.full = False
    rig.outflow.not_full(one)
    rig.line.arrive(64 * KIB)
    assert one.got > before


@async_test
async def test_no_more_is_read_of_a_client_than_its_far_end_takes() -> None:
    rig = Rig()
    client, other = rig.client(room=10_000), rig.client()
    client.send(30_000)
    assert set(client.reads) == {10_000}
    assert other.send(10)


@async_test
async def test_a_client_that_is_cut_short_by_its_far_end_is_read_on_when_that_takes_more() -> None:
    """It had more to send than it was allowed to: it must not be taken for one that has nothing left."""
    rig = Rig(256 * KIB)
    busy = rig.client()
    busy.send(8 * MIB)
    client = rig.client(room=5000)
    client.send(20_000)
    for _ in range(20):
        rig.line.arrive(32 * KIB)
    assert client.unread == 0


@async_test
async def test_that_more_arrives_is_reported_by_the_meter_or_looked_for() -> None:
    rig = Rig(256 * KIB, look_again=30.0)
    client = rig.client()
    client.send(8 * MIB)
    before = client.got
    rig.line.arrived = rig.outflow.sent
    await pass_time(30.0, lambda: rig.line.looks)
    await settle(lambda: client.got > before)
    rig.outflow.close()


@async_test
async def test_others_of_the_loop_get_their_turn_while_much_is_sent() -> None:
    """The line takes everything: still, not all of it is sent in one round of the loop."""
    rig = Rig(16 * MIB)
    rig.outflow.set_congested(True)
    clients = [rig.client(), rig.client()]
    for client in clients:
        client.send(4 * MIB)
    rig.outflow.set_congested(False)
    first = rig.outflow.sent
    assert 0 < first <= MIB
    turns = 0
    while rig.outflow.sent < 8 * MIB:
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 8


@async_test
async def test_a_look_that_is_due_later_does_not_hold_up_what_may_be_sent_now() -> None:
    rig = Rig(MIB, look_again=3600.0)
    clients = [rig.client(), rig.client()]
    for client in clients:
        client.send(8 * MIB)
    assert rig.line.urgent
    for _ in range(10):
        before = rig.outflow.sent
        rig.line.arrive(rig.under_way)
        await settle(lambda before=before: rig.outflow.sent - before > 0.9 * MIB)  # type: ignore[misc]
    rig.outflow.close()


@async_test
async def test_a_flow_that_is_over_is_not_carried_any_more() -> None:
    rig = Rig(256 * KIB)
    one, other, parked = (rig.client() for _ in range(3))
    one.send(8 * MIB)
    other.send(8 * MIB)
    parked.full = True
    parked.send(10)
    for client in (one, parked):
        rig.outflow.forget(client)
    before = one.got
    parked.full = False
    rig.outflow.not_full(parked)
    for _ in range(20):
        rig.line.arrive(32 * KIB)
    assert (one.got, parked.got) == (before, 0)


@async_test
async def test_a_flow_that_has_nothing_to_send_any_more_is_no_obstacle() -> None:
    rig = Rig(256 * KIB)
    one, gone, other = (rig.client() for _ in range(3))
    for client in (one, gone, other):
        client.send(8 * MIB)
    gone.unread = 0
    for _ in range(30):
        rig.line.arrive(32 * KIB)
    reads = Counter(rig.order[-20:])
    assert abs(reads[one] - reads[other]) <= 2
    assert gone.listening


@async_test
async def test_a_closed_one_carries_nothing() -> None:
    rig = Rig(256 * KIB, look_again=30.0)
    client, other = rig.client(), rig.client()
    client.send(8 * MIB)
    rig.outflow.close()
    before = len(rig.order)
    rig.line.arrived = rig.outflow.sent
    await pass_time(60.0, lambda: True)
    rig.line.arrive(0)
    assert not other.send(10)
    assert len(rig.order) == before
