"""Two byte streams joined: a local client and a channel, with backpressure and half-close both ways.

Nothing is kept here: the channel reads the client when it is its turn to send, and what it delivers is handed to the
client's socket; a client that cannot take more pauses the channel. An end of file is passed on as such, so either
direction may close while the other goes on. A link that dies resets the client, so that a cut download never looks
complete.
"""

import asyncio
import math
import socket
from collections.abc import Callable

from openclaw_tunnel.core.link import SharedChannel
from openclaw_tunnel.relay.localsocket import LocalSocket
from openclaw_tunnel.relay.stall_detector import StallDetector

LINGER = 5.0
"""Seconds a client that still sends is read and ignored after the far end closed: closing at once would make
the kernel reset the connection and destroy what the client has not read yet."""

_IGNORED = 64 << 10  # bytes that are read at once only to be ignored


class ByteCounter:
    """Bytes carried: ``sent`` from the client, ``received`` for it; and whether what was sent gets answers.

    Attributes:
        unheard: the clients for which a channel was asked for and nothing has come back yet.
    """

    def __init__(self, stall_detector: StallDetector | None = None) -> None:
        self.stall_detector = stall_detector or StallDetector(math.inf, lambda: None)
        self.unheard: set[Client] = set()
        self.sent = 0
        self.received = 0


class Client:
    """A local client. It is not read before :meth:`join`: what it sends waits in the kernel's buffer.

    Attributes:
        socket: its connection.
    """

    def __init__(self, sock: socket.socket, counter: ByteCounter, on_lost: Callable[["Client"], None]) -> None:
        """Own ``sock``, which is connected and does not block; ``on_lost`` is called once, with this client."""
        self._counter = counter
        self._on_lost = on_lost
        self._far: FarEnd | None = None
        self._draining = False
        self._linger: asyncio.TimerHandle | None = None
        self.socket = LocalSocket(sock, self)

    @property
    def gone(self) -> bool:
        """Its connection is closed."""
        return self.socket.gone

    def far_end(self) -> "FarEnd":
        """A receiver for one attempt to open a channel; see ``core.link.Link.open_channel``.

        The far end may speak before the channel is reported open; what it says goes to the client at once.
        """
        if not self.gone:
            self._counter.unheard.add(self)
        return FarEnd(self, self._counter)

    def join(self, far: "FarEnd", channel: SharedChannel) -> None:
        """Begin to read the client and carry its bytes to ``channel``; ``far`` received its opening."""
        self._far = far
        far.channel = channel
        if self.gone:
            channel.abort()
        elif not far.closed:
            if self.socket.full:
                channel.pause_reading()
            self.socket.listen()
            self.readable()  # most have said something by now

    def drop(self) -> None:
        """Reset the client, so that it sees an error and not an orderly end; idempotent."""
        self.socket.abort(reset=True)

    def read(self, most: int) -> bytes:
        """It is the client's turn to send; see ``core.link.Source``."""
        data = self.socket.read(most)
        if data == b"":
            self._ended()
        if not data:
            self.socket.listen(data is None)
            return b""
        self._counter.sent += len(data)
        self._counter.stall_detector.sent()
        if len(data) < most:
            self.socket.listen()
        return data

    # What the socket calls.

    def readable(self) -> None:
        """Some bytes of the client are there."""
        if self._draining or self._far is None or self._far.channel is None:
            self._ignore()
        elif not self._far.channel.ready(self):
            self.socket.listen(False)

    def drained(self) -> None:
        """The client has caught up."""
        if self._far is not None and self._far.channel is not None and not self._far.closed:
            self._far.channel.resume_reading()
            self._far.close_if_both_done()

    def lost(self, exc: OSError | None) -> None:
        """The client is gone."""
        if self._linger is not None:
            self._linger.cancel()
        self._counter.unheard.discard(self)
        if self._far is not None and self._far.channel is not None and not self._far.closed:
            if self._far.both_done:
                self._far.channel.close()  # what the client has sent may still be on its way
            else:
                self._far.channel.abort()
        self._on_lost(self)

    def write(self, data: bytes) -> None:
        """Send to the client."""
        self.socket.write(data)
        if self.socket.full and self._far is not None and self._far.channel is not None and not self._far.closed:
            self._far.channel.pause_reading()

    def finish(self) -> None:
        """The far end closed in order: say so, and read on for a moment without carrying."""
        self._draining = True
        if self.socket.closing:
            return
        self.socket.write_eof()
        self.socket.listen()
        self._linger = asyncio.get_running_loop().call_later(LINGER, self.socket.close)

    def _ignore(self) -> None:
        if self.socket.read(_IGNORED) == b"":
            self.socket.close()

    def _ended(self) -> None:
        """The client sends no more."""
        far = self._far
        if far is None or far.channel is None:
            self.socket.close()
            return
        far.client_done = True
        far.channel.write_eof()
        far.close_if_both_done()


class FarEnd(asyncio.Protocol):
    """What one attempt to open a channel delivers to its client.

    Attributes:
        channel: the open channel; None before.
        closed: the channel is gone.
        client_done, far_done: that side sends no more.
    """

    def __init__(self, client: Client, counter: ByteCounter) -> None:
        self._client = client
        self._counter = counter
        self._detached = False
        self.channel: SharedChannel | None = None
        self.closed = False
        self.client_done = False
        self.far_done = False

    def detach(self) -> None:
        """The channel did not open: nothing that still comes from this attempt concerns the client."""
        self._detached = True

    def data_received(self, data: bytes) -> None:
        """The far end sent ``data``."""
        self._counter.stall_detector.heard()
        if not self._detached and not self._client.gone:
            self._counter.unheard.discard(self._client)
            self._counter.received += len(data)
            self._client.write(data)

    def eof_received(self) -> bool:
        """The far end sends no more. True keeps the channel open for the client's bytes."""
        self._counter.stall_detector.heard()
        if not self._detached and not self.far_done:
            self.far_done = True
            self._client.socket.write_eof()
            self.close_if_both_done()
        return True

    @property
    def both_done(self) -> bool:
        """Neither side sends any more."""
        return self.client_done and self.far_done

    def close_if_both_done(self) -> None:
        """Close both sides once neither sends any more and the client has taken everything."""
        if self.both_done and not self._client.socket.full:
            self._client.socket.close()
            if self.channel is not None:
                self.channel.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone: in order (None) or with the link (anything else)."""
        if self._detached or self.closed:
            return
        self.closed = True
        if exc is not None:
            self._client.drop()
        elif self.client_done:
            self._client.socket.close()
        else:
            self._client.finish()
