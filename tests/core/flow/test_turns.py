"""core/flow/turns.py: who sends much gets no more than others who do, and who sends little does not wait for them."""

import gc
import weakref
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_tunnel.core.flow.turns import ADVANCE, Turns

QUANTUM = 32 << 10


def serve(turns: Turns[str], size: int = QUANTUM) -> str:
    """The turn of whoever is first, who has more to send afterwards."""
    who = turns.first()
    assert who is not None
    turns.take(who)
    turns.charge(who, size)
    turns.add(who)
    return who


def test_nobody_waits_at_first() -> None:
    turns: Turns[str] = Turns()
    assert turns.first() is None
    assert len(turns) == 0
    assert "a" not in turns


def test_a_turn_is_over_when_it_was_taken() -> None:
    turns: Turns[str] = Turns()
    turns.add("a")
    turns.add("a")
    turns.add("b")
    assert (len(turns), turns.first(), turns.first(), "a" in turns) == (2, "a", "a", True)
    turns.take("a")
    assert (len(turns), turns.first(), "a" in turns) == (1, "b", False)
    turns.take("b")
    assert turns.first() is None


def test_those_who_have_had_the_same_go_in_the_order_in_which_they_came() -> None:
    turns: Turns[str] = Turns()
    for who in "cab":
        turns.add(who)
    assert [serve(turns) for _ in range(6)] == ["c", "a", "b", "c", "a", "b"]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, QUANTUM), min_size=1, max_size=300),
    count=st.integers(2, 8),
    earlier=st.integers(0, 1 << 30),
)
def test_of_those_who_always_want_nobody_gets_more_than_a_quantum_ahead(
    sizes: list[int], count: int, earlier: int
) -> None:
    """Whatever they are given at a time, and whatever one of them has had before the others came."""
    turns: Turns[int] = Turns()
    turns.charge(0, earlier)
    turns.charge(0, 1)
    for who in range(count):
        turns.add(who)
    got: Counter[int] = Counter()
    for size in sizes:
        first = turns.first()
        assert first is not None
        turns.take(first)
        turns.charge(first, size)
        turns.add(first)
        got[first] += size
        others = [got[other] for other in range(1, count)]
        assert max(others) - min(others) <= QUANTUM
        assert got[0] - min(others) <= QUANTUM


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, QUANTUM)), max_size=200))
def test_who_was_away_is_no_further_ahead_than_the_advance(turns_of: list[tuple[int, int]]) -> None:
    """0 always wants; the others come and go as they like. What 0 misses by that is bounded, however long it lasts."""
    turns: Turns[int] = Turns()
    turns.add(0)
    got: Counter[int] = Counter()
    since_zero: Counter[int] = Counter()
    for who, size in turns_of:
        turns.add(who)
        first = turns.first()
        assert first is not None
        turns.take(first)
        turns.charge(first, size)
        got[first] += size
        since_zero[first] += size
        if first == 0:
            since_zero.clear()
        turns.add(0)
        assert all(size <= 2 * QUANTUM + ADVANCE for size in since_zero.values())


def test_who_sends_little_is_next() -> None:
    turns: Turns[str] = Turns()
    turns.add("upload")
    turns.add("copy")
    for _ in range(20):
        serve(turns)
    turns.add("chat")
    assert turns.ahead("chat") == ADVANCE
    assert turns.first() == "chat"
    turns.take("chat")
    turns.charge("chat", 200)
    serve(turns)
    turns.add("chat")
    assert turns.first() == "chat"


def test_those_who_send_much_are_not_ahead() -> None:
    turns: Turns[str] = Turns()
    turns.add("upload")
    turns.add("copy")
    for _ in range(21):
        who = serve(turns, 10_000)
        assert turns.ahead(who) == 0


def test_an_advance_is_used_up() -> None:
    turns: Turns[str] = Turns()
    turns.add("upload")
    serve(turns)
    serve(turns)
    turns.charge("chat", 500)
    assert turns.ahead("chat") == ADVANCE - 500
    turns.charge("chat", ADVANCE)
    assert turns.ahead("chat") == 0
    serve(turns)
    assert turns.ahead("chat") == ADVANCE


def test_the_time_away_is_not_saved_up() -> None:
    turns: Turns[str] = Turns()
    turns.charge("away", QUANTUM)
    turns.add("here")
    for _ in range(100):
        assert serve(turns) == "here"
    turns.add("away")
    got = Counter(serve(turns) for _ in range(40))
    assert abs(got["away"] - got["here"]) <= 2


def test_who_was_forgotten_waits_no_more_and_begins_like_a_new_one() -> None:
    turns: Turns[str] = Turns()
    for who in "ab":
        turns.add(who)
    for _ in range(4):
        serve(turns)
    turns.forget("a")
    turns.forget("never seen")
    assert (turns.first(), len(turns), "a" in turns) == ("b", 1, False)
    assert turns.ahead("a") == ADVANCE
    turns.add("a")
    assert turns.first() == "a"


class Thing:
    """Something that can be seen to be gone."""


def test_nothing_is_kept_of_those_who_were_forgotten() -> None:
    """Behind one whose turn does not come for a long time, clients come and go."""
    turns: Turns[Thing] = Turns()
    stays = Thing()
    turns.add(stays)
    gone: list[weakref.ref[Thing]] = []
    for _ in range(1000):
        one = Thing()
        turns.charge(one, 10)
        turns.add(one)
        gone.append(weakref.ref(one))
        turns.forget(one)
        del one
    gc.collect()
    assert sum(ref() is not None for ref in gone) <= 2
    assert turns.first() is stays
    turns.forget(stays)
    del stays
    gc.collect()
    assert [ref for ref in gone if ref() is not None] == []


def test_coming_and_going_again_and_again_leaves_nothing_behind() -> None:
    turns: Turns[str] = Turns()
    turns.add("first")
    for _ in range(1000):
        turns.add("again")
        turns.add("again")
        turns.forget("again")
    turns.add("again")
    order = []
    while (who := turns.first()) is not None:
        turns.take(who)
        order.append(who)
    assert order == ["first", "again"]
