"""A WebSocket over a route: the protocol is that of the ``websockets`` library, the bytes travel as the route has it.

No ``Origin`` header is sent: a gateway takes the scopes from a client that sends one. No compression is offered.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import WebSocketURI

from openclaw_tunnel.core.link import Channel, LinkLost
from openclaw_tunnel.gateway.answer import Answer
from openclaw_tunnel.gateway.frames import FrameError, text_of, words
from openclaw_tunnel.gateway.route import Route

MAX_MESSAGE = 26 << 20
"""Bytes of the biggest message: the gateway's own limit for payloads, and some for what is around them."""

_GOODBYE = 0.25
"""Seconds for the far end to answer our close, and then to end the connection."""

# The library logs whole frames at DEBUG, tokens included: it gets a logger that is never on.
_SILENT = logging.Logger("openclaw_tunnel.gateway.websocket.frames")
_SILENT.disabled = True


@dataclass(frozen=True, slots=True)
class Closed:
    """How it ended.

    Attributes:
        code: of the far end's close frame; 1006 where none came.
        reason: the far end's words, or what was wrong with what it sent.
        ours: we ended it because of that.
        lost: it ended with the SSH connection.
    """

    code: int
    reason: str = ""
    ours: bool = False
    lost: bool = False


class WebSocket(asyncio.Protocol):
    """One WebSocket connection; whoever makes one closes it.

    ``pause_writing`` holds nothing back: what is sent is one request of the user's at a time, in memory anyway.

    Attributes:
        heard_at: the loop's time at which the far end was last heard.
        closed: how it ended; None before.
        over: set with ``closed``.
    """

    def __init__(
        self, route: Route, on_message: Callable[[str], None], on_end: Callable[[], None], *, budget: int
    ) -> None:
        """Make one that is not open yet.

        Args:
            on_message: called with each message; a :class:`FrameError` that it raises ends the connection.
            on_end: called once, when ``closed`` is known.
            budget: bytes that may arrive before :meth:`lift_budget`.
        """
        path, _, query = route.path.partition("?")
        # The host is put into the header below: the library would only have a host name and a port.
        uri = WebSocketURI(False, "gateway", 80, path, query, None)
        self._protocol = ClientProtocol(uri, max_size=MAX_MESSAGE, logger=_SILENT)
        self._route = route
        self._on_message = on_message
        self._on_end = on_end
        self._budget: int | None = budget
        self._message = bytearray()
        self._channel: Channel | None = None
        self._upgrade = Answer()
        self._answered = asyncio.Event()
        self._gone = asyncio.Event()
        self.heard_at = 0.0
        self.closed: Closed | None = None
        self.over = asyncio.Event()

    # For whoever uses it

    async def connect(self, timeout: float) -> Answer:
        """Open the route, within ``timeout`` seconds, and ask for a WebSocket; the answer may take forever.

        Returns:
            Its status: 101 where all is well; its body is cut.

        Raises:
            ChannelFailed, LinkLost: as ``Route.open``.
        """
        self._channel = await self._route.open(self, timeout=timeout)
        request = self._protocol.connect()
        for name, value in {"Host": self._route.host, **self._route.headers}.items():
            if name in request.headers:
                del request.headers[name]
            request.headers[name] = value
        self._protocol.send_request(request)
        self._pump()
        await self._answered.wait()
        return self._upgrade

    def send(self, text: str) -> None:
        """Send one message; dropped where the connection has ended meanwhile."""
        if self.closed is None and self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            self._pump()

    def lift_budget(self) -> None:
        """From now on only ``MAX_MESSAGE`` bounds what is taken."""
        self._budget = None

    def give_up(self, code: int, reason: str) -> None:
        """Count the connection as ended, without a word to the far end; :meth:`close` does the rest."""
        self._end(Closed(code, reason, ours=True))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection: in order, where the far end goes along quickly. Idempotent."""
        if self._channel is None or self._gone.is_set():
            return
        try:
            if self.closed is None and self._protocol.state is State.OPEN:
                self._protocol.send_close(code, reason)
                self._pump()
                await _soon(self.over)
            self._end(Closed(code, reason))
            self._channel.close()
            await _soon(self._gone)
        finally:
            if not self._gone.is_set():
                self._channel.abort()
        await _soon(self._gone)

    # For the channel

    def data_received(self, data: bytes) -> None:
        if self.closed is not None:
            return
        self.heard_at = asyncio.get_running_loop().time()
        if self._budget is not None:
            self._budget -= len(data)
            if self._budget < 0:
                self._end(Closed(1009, "it sends more than a gateway does before it has let a client in", ours=True))
                return
        self._protocol.receive_data(data)
        self._pump()

    def eof_received(self) -> bool:
        if self.closed is None and self.heard_at:
            self._protocol.receive_eof()
            self._pump()
        self._end(Closed(1006))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, LinkLost):
            self._end(Closed(1006, lost=True))
        self.eof_received()
        self._gone.set()

    # Inside

    def _pump(self) -> None:
        """Take what the protocol made of the bytes, and send what it wants to be sent."""
        events = self._protocol.events_received()
        events.reverse()  # taken from the end, so that nothing keeps a big message alive
        try:
            while events:
                event = events.pop()
                if isinstance(event, Response):
                    self._answer(event)
                elif isinstance(event, Frame):
                    self._frame(event)
        except FrameError as error:
            if self._protocol.state is State.OPEN:
                self._protocol.fail(1007, "")
            self._end(Closed(1007, str(error), ours=True))
        for data in self._protocol.data_to_send():
            if data and self._channel is not None:
                self._channel.write(data)
        self._note_end()

    def _answer(self, response: Response) -> None:
        failed = self._protocol.handshake_exc
        status = response.status_code if failed is None or isinstance(failed, InvalidStatus) else 0
        self._upgrade = Answer(status, body=bytes(response.body or b"")[:4096])
        self._answered.set()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        self._message += frame.data
        frame.data = b""
        if frame.fin:
            data, self._message = [self._message], bytearray()
            self._on_message(text_of(data))

    def _note_end(self) -> None:
        protocol = self._protocol
        received, failed = protocol.close_rcvd, protocol.handshake_exc
        if received is not None:
            self._end(Closed(received.code, words(received.reason)))
        elif failed is not None:
            self._end(Closed(1006, words(str(failed)), ours=True))
        elif protocol.parser_exc is not None and not isinstance(protocol.parser_exc, EOFError):
            self._end(Closed(1002, words(str(protocol.parser_exc)), ours=True))
        elif protocol.state is State.CLOSED:
            self._end(Closed(1006))

    def _end(self, how: Closed) -> None:
        """Note the end, once; what is still open is closed by :meth:`close`."""
        if self.closed is None:
            self.closed = how
            self._message = bytearray()
            self.over.set()
            self._answered.set()
            self._on_end()


async def _soon(event: asyncio.Event) -> None:
    with suppress(TimeoutError):  # the far end takes its time: we do not
        async with asyncio.timeout(_GOODBYE):
            await event.wait()
