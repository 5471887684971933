"""ssh/deadline.py: two budgets, machines' and persons', settled on a clock that the test turns."""

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_tunnel.ssh.deadline import Deadline, Patience, no_deadline


class Clock:
    """Time passes when the test says so; what is due is called on the way."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> "Timer":
        self.timers.append(Timer(self.now + delay, callback, args))
        return self.timers[-1]

    def turn(self, seconds: float) -> None:
        end = self.now + seconds
        for timer in [t for t in self.timers if t.due <= end]:
            self.timers.remove(timer)
            self.now = timer.due
            if not timer.cancelled:
                timer.callback(*timer.args)
        self.now = end


class Timer:
    def __init__(self, due: float, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.due, self.callback, self.args, self.cancelled = due, callback, args, False

    def cancel(self) -> None:
        self.cancelled = True


class Rig:
    """A deadline, when it expires, and what was asked."""

    def __init__(self, seconds: float = 10.0, person: float = 120.0) -> None:
        self.clock = Clock()
        self.asked: list[str] = []
        self.expires: float | None = self.clock.now + seconds
        self.deadline = Deadline(
            seconds,
            patience=Patience(person=person, notice=2.0),
            asks=self.asked.append,
            clock=self.clock,
            expire_at=self._expire_at,
        )

    def _expire_at(self, when: float | None) -> None:
        self.expires = when

    @property
    def left(self) -> float | None:
        return None if self.expires is None else self.expires - self.clock.now


def test_connect_timeout_counts_from_the_beginning() -> None:
    rig = Rig(10.0)
    rig.clock.turn(2)
    rig.deadline.limit(3.0)
    assert (rig.left, rig.deadline.seconds) == (1.0, 3.0)


def test_machines_have_what_they_had_after_a_person_was_asked() -> None:
    rig = Rig(10.0)
    rig.clock.turn(4)
    request = rig.deadline.ask("touch the key")
    assert rig.left == 120.0
    rig.clock.turn(100)
    rig.deadline.answered(request)
    assert rig.left == 6.0
    assert rig.asked == ["touch the key", ""]


def test_persons_have_so_much_in_all() -> None:
    rig = Rig()
    for seconds in (50.0, 60.0):
        request = rig.deadline.ask("touch the key")
        rig.clock.turn(seconds)
        rig.deadline.answered(request)
    rig.deadline.ask("touch the key")
    assert rig.left == 10.0


def test_machines_can_begin_again() -> None:
    rig = Rig(10.0)
    rig.clock.turn(9)
    request = rig.deadline.ask("log in")
    rig.clock.turn(1)
    rig.deadline.answered(request, renew=True)
    assert rig.left == 10.0
    rig.deadline.answered(request, renew=True)
    rig.clock.turn(4)
    with rig.deadline.held(renew=True):
        assert rig.left is None
        rig.clock.turn(500)
    assert rig.left == 10.0


def test_a_program_that_asks_again_and_again_does_not_make_a_dial_last_for_ever() -> None:
    """A ProxyCommand that prints its URL and "logged in" every few seconds, and gets nowhere."""
    rig, began = Rig(10.0), 0
    while rig.left is not None and rig.left > 0 and began < 1000:
        request = rig.deadline.ask("log in")
        rig.deadline.answered(request, renew=True)
        rig.clock.turn(5)
        began += 5
    assert began == 10 + 120


def test_what_has_its_own_limit_costs_neither() -> None:
    """Also within a request, and within itself."""
    rig = Rig(10.0)
    rig.clock.turn(1)
    with rig.deadline.held(), rig.deadline.held():
        rig.clock.turn(100)
    assert rig.left == 9.0
    request = rig.deadline.ask("log in")
    with rig.deadline.held():
        rig.clock.turn(500)
    assert rig.left == 120.0
    rig.deadline.answered(request)
    assert rig.left == 9.0


def test_two_requests_at_a_time_cost_the_time_once() -> None:
    rig = Rig(10.0)
    first = rig.deadline.ask("log in")
    rig.clock.turn(10)
    second = rig.deadline.ask("touch the key")
    rig.clock.turn(10)
    rig.deadline.answered(second)
    rig.clock.turn(10)
    assert rig.left == 90.0
    rig.deadline.answered(first)
    assert rig.left == 10.0
    assert rig.asked == ["log in", "touch the key", "log in", ""]


def test_a_quick_answer_is_asked_of_nobody() -> None:
    rig = Rig()
    request = rig.deadline.ask("confirm", after=2.0)
    rig.clock.turn(1.9)
    assert not rig.deadline.has_waited(request)
    rig.deadline.answered(request)
    rig.clock.turn(10)
    assert rig.asked == []


def test_a_slow_answer_is_shown_as_a_request() -> None:
    rig = Rig()
    request = rig.deadline.ask("confirm", after=2.0)
    rig.clock.turn(5)
    assert rig.deadline.has_waited(request)
    assert rig.asked == ["confirm"]
    rig.deadline.close()
    assert rig.asked == ["confirm", ""]


def test_whoever_has_no_time_left_has_waited() -> None:
    rig = Rig(person=1.0)
    first = rig.deadline.ask("log in")
    rig.clock.turn(1)
    second = rig.deadline.ask("confirm")
    assert rig.left == 0.0
    assert rig.deadline.has_waited(second)
    rig.deadline.answered(first)
    assert rig.left == 0.0


@pytest.mark.parametrize("renew", [False, True])
def test_without_a_deadline_nothing_expires(renew: bool) -> None:
    deadline = no_deadline()
    request = deadline.ask("confirm", after=2.0)
    deadline.answered(request, renew=renew)
    with deadline.held(renew=renew):
        assert deadline.seconds == 0.0
