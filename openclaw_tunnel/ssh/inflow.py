"""What arrives on a channel, handed on no faster than the receiver takes it."""

from collections import deque
from typing import Any, Protocol


class Wire(Protocol):
    """The reading half of asyncssh's channel."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Inflow:
    """Passes data, end of file and end of channel on to an ``asyncio.Protocol``, in order.

    asyncssh gives the far end a whole new window whenever it hands on one chunk, also while the rest of the old window
    still lies in its buffer. With a receiver that pauses after each chunk that buffer grows without bound (250 MB
    within 4 s were measured). So once asyncssh hands on, it is let hand on all it has: what the receiver did not want
    yet is held here, and asyncssh stays paused until that is gone. Two windows at most are ever in memory.
    """

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        self._wire: Wire | None = None
        self._held: deque[bytes] = deque()
        self._paused = False
        self._flushing = False
        self._eof = False
        self._end_waits = False
        self._over = False

    @property
    def over(self) -> bool:
        """True once ``connection_lost`` was delivered."""
        return self._over

    def attach(self, wire: Wire) -> None:
        """Say what to pause and resume; before anything arrives."""
        self._wire = wire

    def data(self, data: bytes) -> None:
        """Data has arrived."""
        if self._over:
            return
        if self._paused or self._held:
            self._held.append(data)
        else:
            self._receiver.data_received(data)

    def eof(self) -> None:
        """The far end sends no more; told after all data."""
        if self._held:
            self._eof = True
        elif not self._over:
            self._receiver.eof_received()

    def end(self, exc: BaseException | None) -> None:
        """The channel is gone: told once, after all data where it ended well, at once where it did not."""
        if self._over:
            return
        if self._held and exc is None:
            self._end_waits = True
            return
        self._finish(exc)

    def discard(self) -> None:
        """Drop what has not been handed on; nothing but the end is delivered from now on."""
        self._held.clear()
        self._eof = False
        self._receiver = _EndOnly(self._receiver)
        if self._end_waits:
            self._finish(None)

    def pause(self) -> None:
        """The receiver wants nothing more for now."""
        self._paused = True
        if self._wire and not self._flushing:
            self._wire.pause_reading()

    def resume(self) -> None:
        """The receiver takes data again; may be called from within its ``data_received``."""
        if not self._paused:
            return
        self._paused = False
        while self._held and not self._paused:
            self._receiver.data_received(self._held.popleft())
        if not self._paused:
            self._flush()

    def _flush(self) -> None:
        """All that was held is gone: tell what waited behind it, then let asyncssh go on."""
        if self._eof:
            self._eof = False
            self._receiver.eof_received()
        if self._end_waits:
            self._finish(None)
        if self._over or self._flushing or self._wire is None:
            return
        self._flushing = True
        try:
            self._wire.resume_reading()
        finally:
            self._flushing = False
        if self._paused:
            self._wire.pause_reading()

    def _finish(self, exc: BaseException | None) -> None:
        if not self._over:
            self._over, self._end_waits = True, False
            self._held.clear()
            self._receiver.connection_lost(exc)


class _EndOnly:
    """A receiver that has closed: it still hears of the end."""

    def __init__(self, receiver: Any) -> None:
        self.connection_lost = receiver.connection_lost

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> None:
        pass
