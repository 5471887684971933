"""core/flow/budget.py: what the far ends can make this process hold, for one connection and for all."""

from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_tunnel.core.flow.budget import ALL, SMALL, TUNNEL, Budget

MIB = 1 << 20


def take_all(budget: Budget) -> int:
    """As one channel that wants everything; how much it got."""
    got = 0
    while (more := budget.for_one(got)) > 1:
        budget.take(more)
        got += more
    return got


def test_what_is_given_away_is_no_longer_left() -> None:
    budget = Budget(100)
    budget.take(30)
    assert budget.left == 70
    budget.give_back(10)
    assert budget.left == 80


def test_it_comes_out_of_the_whole_as_well() -> None:
    whole = Budget(100)
    one, other = Budget(80, whole), Budget(80, whole)
    one.take(70)
    assert (one.left, other.left, whole.left) == (10, 30, 30)
    other.take(30)
    assert (one.left, other.left, whole.left) == (0, 0, 0)
    one.give_back(70)
    assert (one.left, other.left, whole.left) == (70, 50, 70)


def test_one_that_wants_everything_leaves_a_quarter() -> None:
    budget = Budget(TUNNEL, Budget(ALL))
    got = take_all(budget)
    assert TUNNEL * 0.74 < got <= TUNNEL * 0.75
    assert budget.for_one(got) <= 1
    assert budget.for_one(0) >= 8 << 10


def test_connections_that_take_everything_leave_some_for_another() -> None:
    whole = Budget(ALL)
    for _ in range(8):
        budget = Budget(TUNNEL, whole)
        for _ in range(100):
            take_all(budget)
    assert whole.left > 0
    assert Budget(TUNNEL, whole).for_one(0) >= 1 << 10


def test_a_thousand_that_take_all_they_get_leave_some_for_the_next() -> None:
    budget = Budget(TUNNEL, Budget(ALL))
    for _ in range(1000):
        take_all(budget)
    assert budget.for_one(0) >= 1 << 10


def test_who_has_little_gets_no_more_than_a_little() -> None:
    budget = Budget(TUNNEL)
    take_all(budget)
    assert 0 < take_all(budget) <= SMALL


def test_who_has_nothing_gets_a_byte_even_where_nothing_is_left() -> None:
    budget = Budget(TUNNEL)
    budget.take(TUNNEL)
    assert (budget.for_one(0), budget.for_one(1)) == (1, 0)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 40), st.booleans(), st.integers(0, MIB)), min_size=1, max_size=300
    )
)
def test_never_more_than_all_whoever_takes_and_gives_back(steps: list[tuple[int, int, bool, int]]) -> None:
    whole = Budget(ALL)
    tunnels = [Budget(TUNNEL, whole) for _ in range(4)]
    has: dict[tuple[int, int], int] = {}
    for tunnel, channel, gives_back, size in steps:
        budget, had = tunnels[tunnel], has.get((tunnel, channel), 0)
        if gives_back:
            budget.give_back(min(size, had))
            has[tunnel, channel] = had - min(size, had)
        else:
            more = budget.for_one(had)
            budget.take(more)
            has[tunnel, channel] = had + more
        for number, each in enumerate(tunnels):
            assert each.left <= TUNNEL - sum(size for (which, _), size in has.items() if which == number)
            assert each.left >= 0
        assert whole.left == ALL - sum(has.values())
        assert whole.left >= 0
    for (tunnel, _), size in has.items():
        tunnels[tunnel].give_back(size)
    assert (whole.left, [each.left for each in tunnels]) == (ALL, [TUNNEL] * 4)
