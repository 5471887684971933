"""What arrives on a channel is handed on in order and no faster than it is taken."""

from collections.abc import Callable
from typing import Any

from openclaw_tunnel.ssh.inflow import Inflow


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


class AsyncsshLike:
    """A channel that buffers while paused and grants a whole new window when it hands on, like asyncssh's."""

    def __init__(self, inflow: Inflow) -> None:
        self.inflow = inflow
        self.buffer: list[bytes] = []
        self.paused = False
        inflow.attach(self)

    def arrive(self, *chunks: bytes) -> None:
        for chunk in chunks:
            if self.paused:
                self.buffer.append(chunk)
            else:
                self.inflow.data(chunk)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False
        while self.buffer and not self.paused:
            self.inflow.data(self.buffer.pop(0))


def make() -> tuple[Taker, Inflow, AsyncsshLike]:
    taker = Taker()
    inflow = Inflow(taker)
    return taker, inflow, AsyncsshLike(inflow)


def test_an_eager_receiver_gets_everything_at_once() -> None:
    taker, inflow, wire = make()
    wire.arrive(b"1", b"2")
    inflow.eof()
    inflow.end(None)
    assert taker.got == [b"1", b"2", "eof", None]
    assert inflow.over


def test_asyncssh_is_always_let_empty_its_buffer() -> None:
    """Else it grants a new window for each chunk it hands on, and its buffer grows for ever."""
    taker, inflow, wire = make()
    taker.react = inflow.pause
    wire.arrive(b"1", b"2", b"3", b"4")
    assert (taker.got, wire.buffer) == ([b"1"], [b"2", b"3", b"4"])
    inflow.resume()
    assert (taker.got, wire.buffer) == ([b"1", b"2"], [])
    assert wire.paused, "until what was held is gone"
    wire.arrive(b"5")
    inflow.resume()
    inflow.resume()
    inflow.resume()
    assert taker.got == [b"1", b"2", b"3", b"4", b"5"]


def test_pausing_before_the_channel_exists_holds_what_comes() -> None:
    taker = Taker()
    inflow = Inflow(taker)
    inflow.pause()
    inflow.data(b"1")
    inflow.eof()
    assert taker.got == []
    inflow.attach(AsyncsshLike(inflow))
    inflow.resume()
    assert taker.got == [b"1", "eof"]


def test_the_end_waits_for_the_data_before_it() -> None:
    taker, inflow, _ = make()
    inflow.pause()
    inflow.data(b"1")
    inflow.data(b"2")
    inflow.eof()
    inflow.end(None)
    assert taker.got == []
    inflow.resume()
    assert taker.got == [b"1", b"2", "eof", None]


def test_a_lost_connection_does_not_wait() -> None:
    taker, inflow, _ = make()
    inflow.pause()
    inflow.data(b"1")
    lost = ConnectionError()
    inflow.end(lost)
    inflow.data(b"2")
    inflow.eof()
    inflow.end(None)
    inflow.resume()
    assert taker.got == [lost]


def test_after_a_discard_only_the_end_is_told() -> None:
    taker, inflow, _ = make()
    inflow.pause()
    inflow.data(b"1")
    inflow.discard()
    inflow.data(b"2")
    inflow.eof()
    inflow.end(None)
    inflow.resume()
    assert taker.got == [None]


def test_a_discard_lets_a_waiting_end_through() -> None:
    taker, inflow, _ = make()
    inflow.pause()
    inflow.data(b"1")
    inflow.end(None)
    inflow.discard()
    assert taker.got == [None]


def test_resuming_within_data_received_keeps_the_order() -> None:
    taker, inflow, wire = make()

    def pause_and_resume() -> None:
        inflow.pause()
        inflow.resume()

    inflow.pause()
    wire.arrive(*(bytes([n]) for n in range(20)))
    taker.react = pause_and_resume
    inflow.resume()
    assert taker.got == [bytes([n]) for n in range(20)]
    assert not wire.paused
