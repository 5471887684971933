"""flow_control.py: what arrives on a channel is handed on in order, and counted once the receiver has taken it."""

from collections.abc import Callable
from typing import Any

import pytest

from openclaw_tunnel.ssh.datapath.flow_control import FlowControl


class Taker:
    """A receiver that writes down what it gets, and reacts."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.react: Callable[[], None] = lambda: None

    def data_received(self, data: bytes) -> None:
        self.got.append(data)
        self.react()

    def eof_received(self) -> None:
        self.got.append("eof")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.got.append(exc)


def make() -> tuple[Taker, FlowControl]:
    taker = Taker()
    return taker, FlowControl(taker)


def test_many_packets_become_one_write() -> None:
    taker, flow_control = make()
    flow_control.data(b"1")
    flow_control.data(b"22")
    assert taker.got == []
    assert flow_control.flush() == 3
    flow_control.data(b"3")
    assert flow_control.flush() == 1
    assert flow_control.flush() == 0
    flow_control.eof()
    flow_control.end(None)
    assert taker.got == [b"122", b"3", "eof", None]
    assert flow_control.over


def test_what_a_receiver_has_that_wants_no_more_is_not_taken_yet() -> None:
    taker, flow_control = make()
    taker.react = flow_control.pause
    flow_control.data(b"1")
    assert flow_control.flush() == 0
    flow_control.data(b"2")
    assert flow_control.flush() == 0
    assert taker.got == [b"1"]
    flow_control.resume()
    taker.react = lambda: None
    assert flow_control.flush() == 2
    assert taker.got == [b"1", b"2"]


def test_pausing_before_anything_came_holds_it() -> None:
    taker, flow_control = make()
    flow_control.pause()
    flow_control.data(b"1")
    flow_control.eof()
    assert flow_control.flush() == 0
    assert taker.got == []
    flow_control.resume()
    assert flow_control.flush() == 1
    assert taker.got == [b"1", "eof"]


def test_an_end_of_file_is_told_to_a_receiver_that_has_everything_but_wants_no_more() -> None:
    taker, flow_control = make()
    taker.react = flow_control.pause
    flow_control.data(b"1")
    flow_control.eof()
    flow_control.flush()
    assert taker.got == [b"1", "eof"]


def test_the_end_waits_for_the_data_before_it() -> None:
    taker, flow_control = make()
    flow_control.pause()
    flow_control.data(b"1")
    flow_control.data(b"2")
    flow_control.eof()
    flow_control.end(None)
    flow_control.flush()
    assert taker.got == []
    flow_control.resume()
    flow_control.flush()
    assert taker.got == [b"12", "eof", None]


def test_the_end_waits_until_the_receiver_has_taken_what_it_was_given() -> None:
    """Else nobody would count what it still has to pass on."""
    taker, flow_control = make()
    taker.react = flow_control.pause
    flow_control.data(b"1")
    flow_control.eof()
    flow_control.flush()
    flow_control.end(None)
    flow_control.flush()
    assert taker.got == [b"1", "eof"]
    assert not flow_control.over
    flow_control.resume()
    assert flow_control.flush() == 1
    assert taker.got == [b"1", "eof", None]
    assert flow_control.over


def test_a_receiver_that_wants_no_more_and_has_nothing_hears_of_the_end() -> None:
    taker, flow_control = make()
    flow_control.pause()
    flow_control.eof()
    flow_control.end(None)
    assert taker.got == ["eof", None]


def test_a_lost_connection_does_not_wait() -> None:
    taker, flow_control = make()
    flow_control.pause()
    flow_control.data(b"1")
    lost = ConnectionError()
    flow_control.end(lost)
    flow_control.data(b"2")
    flow_control.eof()
    flow_control.end(None)
    flow_control.resume()
    flow_control.flush()
    assert taker.got == [lost]


def test_after_a_discard_only_the_end_is_told() -> None:
    taker, flow_control = make()
    flow_control.pause()
    flow_control.data(b"1")
    flow_control.eof()
    flow_control.discard()
    flow_control.data(b"2")
    flow_control.eof()
    flow_control.end(None)
    assert taker.got == [None]
    flow_control.resume()
    assert flow_control.flush() == 0
    assert taker.got == [None]


def test_a_discard_lets_a_waiting_end_through() -> None:
    taker, flow_control = make()
    taker.react = flow_control.pause
    flow_control.data(b"1")
    flow_control.flush()
    flow_control.data(b"2")
    flow_control.end(None)
    flow_control.discard()
    assert taker.got == [b"1", None]


def test_a_discard_by_the_receiver_itself() -> None:
    taker, flow_control = make()
    taker.react = flow_control.discard
    flow_control.data(b"1")
    assert flow_control.flush() == 0
    flow_control.end(None)
    assert taker.got == [b"1", None]


def test_a_receiver_that_makes_more_come_gets_it_afterwards() -> None:
    """It may resume another channel, or itself, while it is given something."""
    taker, flow_control = make()

    def come() -> None:
        if len(taker.got) < 20:
            flow_control.data(bytes([len(taker.got)]))
            flow_control.pause()
            flow_control.resume()
            assert flow_control.flush() == 0

    taker.react = come
    flow_control.data(bytes([0]))
    assert flow_control.flush() == 20
    assert taker.got == [bytes([n]) for n in range(20)]


def test_a_receiver_that_fails_can_be_told_the_end() -> None:
    taker, flow_control = make()

    def fail() -> None:
        raise ZeroDivisionError

    taker.react = fail
    flow_control.data(b"1")
    with pytest.raises(ZeroDivisionError):
        flow_control.flush()
    exc = ZeroDivisionError()
    flow_control.end(exc)
    assert taker.got == [b"1", exc]
