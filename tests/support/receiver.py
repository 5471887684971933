"""The receiving half of a channel, for tests: an asyncio.Protocol that keeps what it gets."""

import asyncio


class Receiver(asyncio.Protocol):
    """Keeps what arrives, and counts the calls.

    Attributes:
        got: all data so far.
        eofs: how often ``eof_received`` was called.
        lost: resolves to the argument of ``connection_lost``; a second call fails.
        writable: cleared while writing is paused.
    """

    def __init__(self) -> None:
        self.got = bytearray()
        self.eofs = 0
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.writable = asyncio.Event()
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        assert not self.lost.done(), "connection_lost comes last"
        self.got += data

    def eof_received(self) -> None:
        assert not self.lost.done(), "connection_lost comes last"
        self.eofs += 1

    def pause_writing(self) -> None:
        assert self.writable.is_set()
        self.writable.clear()

    def resume_writing(self) -> None:
        assert not self.writable.is_set()
        self.writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)
