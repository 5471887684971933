"""What arrives on a channel, handed on no faster than the receiver takes it."""

from collections import deque
from typing import Any


class FlowControl:
    """Passes data, end of file and end of channel on to an ``asyncio.Protocol``, in order.

    What has come stands in line until :meth:`flush`, so that many packets become one write. How much can come is
    bounded by what the far end was granted; that is renewed as the receiver takes it.

    Attributes:
        over: ``connection_lost`` was delivered.
    """

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        self._held: deque[bytes] = deque()
        self._unsettled = 0
        self._paused = False
        self._flushing = False
        self._eof = False
        self._end_waits = False
        self._discards = False
        self.over = False

    def data(self, data: bytes) -> None:
        """Data has arrived; :meth:`flush` hands it on."""
        if not self.over and not self._discards:
            self._held.append(data)

    def eof(self) -> None:
        """The far end sends no more; reported after all data."""
        if self._held:
            self._eof = True
        elif not self.over:
            self._receiver.eof_received()

    def end(self, exc: BaseException | None) -> None:
        """The channel is gone: reported once, when the receiver has taken all; at once where it did not end well."""
        if self.over:
            return
        if exc is None and (self._held or self._unsettled):
            self._end_waits = True
            return
        self._finish(exc)

    def discard(self) -> None:
        """Drop what has not been handed on; nothing but the end is delivered from now on."""
        self._discards = True
        self._held.clear()
        self._unsettled = 0
        self._eof = False
        self._receiver = _EndOnly(self._receiver)
        if self._end_waits:
            self._finish(None)

    def pause(self) -> None:
        """The receiver wants nothing more for now."""
        self._paused = True

    def resume(self) -> None:
        """The receiver takes data again; :meth:`flush` hands it on."""
        self._paused = False

    def flush(self) -> int:
        """Hand on what is there, as far as the receiver takes it.

        Returns:
            How many bytes the receiver has taken since the last time; 0 as long as it wants no more.
        """
        if self._flushing:
            return 0
        self._flushing = True
        try:
            while self._held and not self._paused:
                self._hand_on()
            self._tell_eof()
        finally:
            self._flushing = False
        if self._paused:
            return 0
        taken, self._unsettled = self._unsettled, 0
        if self._end_waits:
            self._finish(None)
        return taken

    def _hand_on(self) -> None:
        data = self._held.popleft() if len(self._held) == 1 else b"".join(self._held)
        self._held.clear()
        self._unsettled += len(data)
        self._receiver.data_received(data)

    def _tell_eof(self) -> None:
        if self._eof and not self._held:
            self._eof = False
            self._receiver.eof_received()

    def _finish(self, exc: BaseException | None) -> None:
        if not self.over:
            self.over, self._end_waits = True, False
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
