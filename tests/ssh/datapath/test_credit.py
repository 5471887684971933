"""credit.py: the channels of a connection share one window; what they may send and what is kept is bounded."""

import random
from collections.abc import Callable

import pytest

from openclaw_tunnel.core.flow.budget import TUNNEL, Budget
from openclaw_tunnel.core.flow.window import Window
from openclaw_tunnel.ssh.datapath.credit import FIRST_LEAST, FIRST_MOST, FIRST_PART, Credit, Share

KIB, MIB = 1 << 10, 1 << 20


class FarEnd:
    """A channel as the far end sees it: it counts what it may send.

    Attributes:
        share: its share.
        may: bytes.
        sent: bytes so far.
        grants: the sizes in which it was granted more.
    """

    def __init__(self, credit: Credit) -> None:
        self.credit = credit
        self.share = credit.open()
        self.share.flow = self
        self.may = self.share.outstanding
        self.sent = 0
        self.grants: list[int] = []

    def grant(self, size: int) -> None:
        assert size > 0
        self.may += size
        self.grants.append(size)

    def send(self, size: int) -> int:
        """Send up to ``size``; how many it may."""
        size = min(size, self.may)
        self.may -= size
        self.sent += size
        if size:
            self.credit.came(self.share, size)
        return size

    def deliver(self, size: int) -> int:
        """Send up to ``size``, which the client takes at once."""
        size = self.send(size)
        self.credit.taken(self.share, size)
        self.credit.settle()
        return size


class Rig:
    """A credit with a clock that is set by hand, a window that stays as it is, and a budget that can be looked at."""

    def __init__(self, window: int = 256 * KIB, budget: int = TUNNEL) -> None:
        self.now = 1000.0
        self.budget = Budget(budget)
        self.total = budget
        self.credit = Credit(Window(first=window, least=1), self.budget, lambda: self.now)
        self.window = window

    def open(self, count: int) -> list[FarEnd]:
        return [FarEnd(self.credit) for _ in range(count)]

    def look(self) -> None:
        """As much time passes as until the next look, and it is looked."""
        self.now += self.credit.look_every
        self.credit.settle()

    @property
    def given(self) -> int:
        return self.total - self.budget.left


def promised(ends: list[FarEnd]) -> int:
    return sum(end.may for end in ends)


def test_the_first_window_is_a_part_of_what_is_free() -> None:
    rig = Rig(256 * KIB)
    first, second = rig.open(2)
    assert (first.may, second.may) == (32 * KIB, 28 * KIB)
    assert all(end.may >= FIRST_LEAST for end in rig.open(100))
    assert Rig(16 * MIB).open(1)[0].may == FIRST_MOST


def test_a_channel_earns_the_whole_window_by_using_it() -> None:
    rig = Rig(MIB)
    (end,) = rig.open(1)
    sizes = [end.may]
    while end.sent < 4 * MIB:
        end.deliver(16 * KIB)
        sizes.append(end.may)
    assert sizes[0] == min(MIB // FIRST_PART, FIRST_MOST)
    assert max(sizes) == MIB
    assert end.share.limit == MIB


def test_the_far_end_is_not_sent_a_grant_for_every_packet() -> None:
    rig = Rig(MIB)
    (end,) = rig.open(1)
    while end.sent < 16 * MIB:
        end.deliver(32 * KIB)
    assert len(end.grants) < 16 * MIB / (32 * KIB) / 3


def test_what_the_client_does_not_take_is_not_granted_again() -> None:
    rig = Rig(256 * KIB)
    (end,) = rig.open(1)
    first = end.may
    assert end.send(MIB) == first
    rig.credit.settle()
    for _ in range(5):
        rig.look()
    assert (end.may, end.share.kept, rig.given) == (0, first, first)
    rig.credit.taken(end.share, first)
    rig.credit.settle()
    assert end.may == 2 * first


def test_the_window_is_used_up_and_shared_by_all_who_use_it() -> None:
    """Each sends all that it may, once a round; nobody gets much more than the others."""
    rig = Rig(256 * KIB)
    ends = rig.open(16)
    for _ in range(200):
        for end in ends:
            end.send(end.may)
        for end in ends:
            rig.credit.taken(end.share, end.share.kept)
        rig.credit.settle()
        assert promised(ends) <= 1.25 * rig.window
    assert promised(ends) >= 0.8 * rig.window
    assert max(end.sent for end in ends) < 1.2 * min(end.sent for end in ends)


def test_a_channel_that_receives_little_gets_more_although_the_window_is_used_up() -> None:
    rig = Rig(64 * KIB)
    bulk, chat = rig.open(2)
    for _ in range(100):
        bulk.deliver(8 * KIB)
        rig.now += 0.01
        assert chat.deliver(500) == 500


def test_channels_that_do_not_use_what_they_may_do_not_hold_others_back() -> None:
    rig = Rig(256 * KIB)
    ends = rig.open(100)
    assert promised(ends) > rig.window
    rig.look()
    rig.look()
    (end,) = rig.open(1)
    assert end.may == rig.window // FIRST_PART
    while end.sent < 4 * MIB:
        assert end.deliver(16 * KIB)
    assert end.share.limit == rig.window


def filled(rig: Rig) -> FarEnd:
    """A channel that may send the whole window, and has nothing more to send."""
    (end,) = rig.open(1)
    while end.may < rig.window:
        end.deliver(1000)
    return end


def test_one_that_falls_silent_with_the_whole_window_does_not_stop_the_others_for_good() -> None:
    """The far end of the other one has sent all that it may: it sends nothing that would make anybody look again."""
    rig = Rig(256 * KIB)
    filled(rig)
    (end,) = rig.open(1)
    for _ in range(10):
        end.deliver(end.may)
    assert rig.credit.held_back
    for _ in range(3):
        rig.look()
    assert end.may > 0
    while end.sent < MIB:
        assert end.deliver(16 * KIB)


def test_one_that_wants_less_than_it_waits_for_does_not_stop_those_behind_it() -> None:
    """It waited for more, then did not use what it had: it may have less now than it was promised."""
    rig = Rig(512 * KIB)
    silent, busy = rig.open(2)
    while silent.share.limit < rig.window or busy.share.limit < rig.window:
        silent.deliver(8 * KIB)
        busy.deliver(8 * KIB)
    while not rig.credit.held_back:
        silent.deliver(8 * KIB)
        busy.deliver(8 * KIB)
    for _ in range(4):
        rig.look()
    assert silent.share.limit == FIRST_MOST
    before = busy.sent
    for _ in range(200):
        busy.deliver(8 * KIB)
        rig.now += 0.001
    assert busy.sent - before == 200 * 8 * KIB


def test_one_that_the_budget_holds_back_does_not_stop_those_that_have_little() -> None:
    rig = Rig(16 * MIB)
    greedy, chat = rig.open(2)
    while greedy.sent < MIB:
        greedy.deliver(16 * KIB)
    rig.budget.take(rig.budget.left - TUNNEL // 8)  # by other connections
    while greedy.may > 64 * KIB:
        greedy.deliver(16 * KIB)
    assert greedy.share.wanted
    for _ in range(1000):
        assert chat.deliver(500) == 500
    rig.budget.give_back(TUNNEL // 2)
    greedy.deliver(1)
    assert greedy.may > 512 * KIB, "it has not been forgotten"


def test_a_channel_that_nothing_is_left_for_still_crawls_and_recovers() -> None:
    rig = Rig(256 * KIB, budget=64 * KIB)
    rig.budget.take(64 * KIB)
    (end,) = rig.open(1)
    for _ in range(5):
        assert end.deliver(1000) == 1
    rig.budget.give_back(64 * KIB)
    end.deliver(1)
    while end.may < 8 * KIB:
        assert end.deliver(8 * KIB)


def test_grants_are_taken_back_from_the_budget_in_every_order_of_ending() -> None:
    rig = Rig()
    quiet, reading, kept, ended = rig.open(4)
    reading.deliver(5000)
    kept.send(5000)
    ended.send(3000)
    rig.credit.end(ended.share)
    for end in (quiet, reading, kept):
        rig.credit.close(end.share)
        rig.credit.close(end.share)
        rig.credit.end(end.share)
    assert rig.given == 3000, "the client has not taken it yet"
    rig.credit.taken(ended.share, 1000)
    assert rig.given == 2000
    rig.credit.end(ended.share)
    rig.credit.close(ended.share)
    rig.credit.taken(ended.share, 2000)
    assert rig.given == 0
    rig.credit.settle()
    assert [end.grants for end in (quiet, kept, ended)] == [[], [], []]
    assert rig.open(1)[0].may == rig.window // FIRST_PART, "and nothing is under way"


def test_nothing_is_granted_to_a_channel_that_has_ended() -> None:
    rig = Rig()
    (end,) = rig.open(1)
    end.send(end.may)
    rig.credit.end(end.share)
    rig.credit.taken(end.share, end.share.kept)
    rig.credit.settle()
    assert (end.grants, rig.credit.held_back, rig.given) == ([], False, 0)


def test_a_channel_that_goes_lets_those_that_wait_go_on() -> None:
    rig = Rig(256 * KIB)
    full = filled(rig)
    (end,) = rig.open(1)
    for _ in range(10):
        end.deliver(end.may)
    assert (end.may, rig.credit.held_back) == (0, True)
    rig.credit.close(full.share)
    assert end.may > 0


Step = Callable[[random.Random, Rig, list[FarEnd]], None]


def _one(chance: random.Random, ends: list[FarEnd]) -> FarEnd | None:
    return chance.choice(ends) if ends else None


def _open(chance: random.Random, rig: Rig, ends: list[FarEnd]) -> None:
    ends += rig.open(1)


def _send(chance: random.Random, rig: Rig, ends: list[FarEnd]) -> None:
    if end := _one(chance, ends):
        end.send(chance.choice((1, 500, 32 * KIB, MIB)))


def _take(chance: random.Random, rig: Rig, ends: list[FarEnd]) -> None:
    if (end := _one(chance, ends)) and end.share.kept:
        rig.credit.taken(end.share, chance.randint(1, end.share.kept))
        rig.credit.settle()


def _take_all(chance: random.Random, rig: Rig, ends: list[FarEnd]) -> None:
    for end in ends:
        rig.credit.taken(end.share, end.share.kept)
    rig.credit.settle()


def _end(chance: random.Random, rig: Rig, ends: list[FarEnd]) -> None:
    if end := _one(chance, ends):
        rig.credit.end(end.share)
        end.may = 0


def _close(chance: random.Random, rig: Rig, ends: list[FarEnd]) -> None:
    if end := _one(chance, ends):
        rig.credit.close(end.share)
        ends.remove(end)


def _wait(chance: random.Random, rig: Rig, ends: list[FarEnd]) -> None:
    rig.now += chance.choice((0.001, 0.3))


STEPS: tuple[Step, ...] = (_open, _send, _send, _send, _take, _take, _take_all, _end, _close, _wait)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_the_books_are_right(seed: int) -> None:
    chance = random.Random(seed)
    rig = Rig(chance.choice((64 * KIB, MIB, 16 * MIB)), budget=chance.choice((MIB, TUNNEL)))
    ends: list[FarEnd] = []
    for _ in range(3000):
        chance.choice(STEPS)(chance, rig, ends)
        assert all(end.may == end.share.outstanding for end in ends)
        assert rig.given == sum(end.may + end.share.kept for end in ends)
        assert rig.given <= rig.total
    for end in ends:
        rig.credit.close(end.share)
    rig.credit.settle()
    assert (rig.given, rig.credit.held_back) == (0, False)
    assert rig.open(1)[0].may == min(rig.window // FIRST_PART, FIRST_MOST), "nothing is under way"


def test_a_thousand_that_never_read_and_a_thousand_that_trickle_leave_some_for_one_that_asks() -> None:
    """Their kernels take a few megabytes, which earns them larger windows; then the bytes stay here."""
    rig = Rig(16 * MIB)
    ends = rig.open(2000)
    for round in range(60):
        for end in ends:
            end.send(end.may)
            rig.credit.taken(end.share, end.share.kept if round < 20 else min(end.share.kept, 100))
        rig.credit.settle()
        rig.now += 0.1
        assert rig.given <= TUNNEL
    (end,) = rig.open(1)
    assert end.may >= 200
    for _ in range(100):
        assert end.deliver(200) == 200
    assert rig.given <= TUNNEL
    assert all(end.share.outstanding + end.share.kept > 0 or end.share.wanted == 0 for end in ends)


def test_everybody_gets_something_however_little_there_is() -> None:
    rig = Rig(256 * KIB, budget=32 * KIB)
    ends = rig.open(100)
    for _ in range(200):
        for end in ends:
            assert end.deliver(end.may) > 0
    assert min(end.sent for end in ends) > 1 * KIB


def test_a_share_that_is_not_open_yet_is_only_counted() -> None:
    rig = Rig()
    share: Share = rig.credit.open()
    rig.credit.settle()
    assert rig.given == share.outstanding
    rig.credit.close(share)
    assert rig.given == 0
