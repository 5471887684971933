"""Two byte streams joined: a local client and a channel, with backpressure and half-close both ways.

Nothing is copied or kept here: what one side delivers is handed to the other side's transport, and a side
that cannot take more pauses the other. An end of file is passed on as such, so either direction may close
while the other goes on. A link that dies resets the client, so that a cut download never looks complete.
"""

import asyncio
import math
import socket
import struct
from collections.abc import Callable
from typing import cast

from openclaw_tunnel.core.link import Channel
from openclaw_tunnel.relay.unanswered import Unanswered

LINGER = 5.0
"""Seconds a client that still sends is read and ignored after the far end closed: closing at once would make
the kernel reset the connection and destroy what the client has not read yet."""


def reset(transport: asyncio.WriteTransport) -> None:
    """Drop a local client so that it sees an error (TCP reset), not an orderly end."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Tally:
    """Bytes carried: ``sent`` from the client, ``received`` for it; and whether what was sent gets answers.

    Attributes:
        unheard: the clients for which a channel was asked for and nothing has come back yet.
    """

    def __init__(self, unanswered: Unanswered | None = None) -> None:
        self.unanswered = unanswered or Unanswered(math.inf, lambda: None)
        self.unheard: set[Client] = set()
        self.sent = 0
        self.received = 0


class Client(asyncio.Protocol):
    """A local client. It is not read before :meth:`join`: what it sends waits in the kernel's buffer.

    Attributes:
        transport: its connection; set once connected.
    """

    transport: asyncio.Transport

    def __init__(self, tally: Tally, on_made: Callable[["Client"], None], on_lost: Callable[["Client"], None]) -> None:
        """``on_made`` and ``on_lost`` are called once each, with this client."""
        self._tally = tally
        self._on_made = on_made
        self._on_lost = on_lost
        self._far: FarEnd | None = None
        self._draining = False
        self._write_paused = False
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the client is accepted."""
        self.transport = cast(asyncio.Transport, transport)
        # Not at once: before Python 3.11.4 the loop begins to read after this call, whatever was paused in it.
        asyncio.get_running_loop().call_soon(self.transport.pause_reading)
        self._on_made(self)

    def far_end(self) -> "FarEnd":
        """A receiver for one attempt to open a channel; see ``core.link.Link.open_channel``.

        The far end may speak before the channel is reported open; what it says goes to the client at once.
        """
        if not self.gone:
            self._tally.unheard.add(self)
        return FarEnd(self, self._tally)

    def join(self, far: "FarEnd", channel: Channel) -> None:
        """Begin to read the client and carry its bytes to ``channel``; ``far`` received its opening."""
        self._far = far
        far.channel = channel
        if self.gone:
            channel.abort()
        elif not far.closed:
            if self._write_paused:
                channel.pause_reading()
            self.transport.resume_reading()

    def drop(self) -> None:
        """Reset the client; idempotent."""
        if not self.gone:
            reset(self.transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: the client sent ``data``."""
        if self._draining or self._far is None or self._far.channel is None:
            return
        self._tally.sent += len(data)
        self._tally.unanswered.sent()
        self._far.channel.write(data)

    def eof_received(self) -> bool:
        """Called by asyncio: the client sends no more. True keeps our direction open."""
        far = self._far
        if self._draining or far is None or far.channel is None:
            self.transport.close()
            return True
        far.client_done = True
        far.channel.write_eof()
        far.close_if_both_done()
        return True

    def pause_writing(self) -> None:
        """Called by asyncio: the client reads slower than the far end sends."""
        self._write_paused = True
        if self._far is not None and self._far.channel is not None and not self._far.closed:
            self._far.channel.pause_reading()

    def resume_writing(self) -> None:
        """Called by asyncio: the client has caught up."""
        self._write_paused = False
        if self._far is not None and self._far.channel is not None and not self._far.closed:
            self._far.channel.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio, once and last."""
        self.gone = True
        self._tally.unheard.discard(self)
        if self._far is not None and self._far.channel is not None and not self._far.closed:
            self._far.channel.abort()
        self._on_lost(self)

    def finish(self) -> None:
        """The far end closed in order: say so, and read on for a moment without carrying."""
        self._draining = True
        if self.gone or self.transport.is_closing():
            return
        self.transport.write_eof()
        self.transport.resume_reading()
        asyncio.get_running_loop().call_later(LINGER, self.transport.close)


class FarEnd(asyncio.Protocol):
    """What one attempt to open a channel delivers to its client.

    Attributes:
        channel: the open channel; None before.
        closed: the channel is gone.
        client_done, far_done: that side sends no more.
    """

    def __init__(self, client: Client, tally: Tally) -> None:
        self._client = client
        self._tally = tally
        self._detached = False
        self.channel: Channel | None = None
        self.closed = False
        self.client_done = False
        self.far_done = False

    def detach(self) -> None:
        """The channel did not open: nothing that still comes from this attempt concerns the client."""
        self._detached = True

    def data_received(self, data: bytes) -> None:
        """The far end sent ``data``."""
        self._tally.unanswered.heard()
        if not self._detached and not self._client.gone:
            self._tally.unheard.discard(self._client)
            self._tally.received += len(data)
            self._client.transport.write(data)

    def eof_received(self) -> bool:
        """The far end sends no more. True keeps the channel open for the client's bytes."""
        self._tally.unanswered.heard()
        if not self._detached and not self.far_done:
            self.far_done = True
            if not self._client.gone and not self._client.transport.is_closing():
                self._client.transport.write_eof()
            self.close_if_both_done()
        return True

    def close_if_both_done(self) -> None:
        """Close both sides, after what is under way, once neither sends any more."""
        if self.client_done and self.far_done:
            self._client.transport.close()
            if self.channel is not None:
                self.channel.close()

    def pause_writing(self) -> None:
        """The channel's window is used up: stop reading the client."""
        if not self._client.gone:
            self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        """The channel takes more."""
        if not self._client.gone and not self.closed:
            self._client.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone: in order (None) or with the link (anything else)."""
        if self._detached or self.closed:
            return
        self.closed = True
        if exc is not None:
            self._client.drop()
        elif self.client_done:
            self._client.transport.close()
        else:
            self._client.finish()
