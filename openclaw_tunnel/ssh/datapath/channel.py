"""One direct-tcpip channel: asyncssh's session calls become an asyncio.Protocol's."""

import asyncio
import logging
from typing import Any, cast

import asyncssh

from openclaw_tunnel.core.link import LinkLost, Opened, Source, nobody_waits
from openclaw_tunnel.ssh.asyncssh_seams import grant, grant_by_hand, send_window
from openclaw_tunnel.ssh.datapath.credit import Share
from openclaw_tunnel.ssh.datapath.flow_control import FlowControl
from openclaw_tunnel.ssh.datapath.path import DataPath

log = logging.getLogger(__name__)

PACKET_MOST = 128 << 10
"""Bytes that a server may send in one packet. RFC 4253 asks for 32 KiB at least; larger ones cost less to open."""

_BEYOND_WINDOW = 1 << 10
"""Bytes of a client that are read although the channel's window is used up."""


class SshChannel(asyncssh.SSHTCPSession[bytes], asyncssh.SSHUNIXSession[bytes]):
    """One open channel: its write half, and what passes the read half on to ``receiver``.

    Implements ``core.link.Channel``. Made when the server has confirmed the channel.

    Args:
        receiver: an ``asyncio.Protocol``.
        path: what flows through the connection.
        share: what the far end was granted when the channel was opened.
        opened: called when the channel can be used.
    """

    def __init__(self, receiver: Any, path: DataPath, share: Share, opened: Opened = nobody_waits) -> None:
        self._receiver = receiver
        self._opened = opened
        self._path = path
        self._share = share
        self._flow_control = FlowControl(receiver)
        self._wire: Any = None
        self._source: Source | None = None
        self._sending = True
        self._full = {"channel": False, "link": False}

    # What asyncssh calls.

    def connection_made(self, chan: Any) -> None:
        self._wire = chan
        chan.set_write_buffer_limits(0)
        grant_by_hand(chan)
        self._share.flow = self
        self._path.add(self)
        self.set_congested(self._path.outflow.congested)

    def session_started(self) -> None:
        try:
            self._opened(self)
        except Exception as exc:
            self._break(exc)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._path.credit.came(self._share, len(data))
        self._flow_control.data(data)
        self._path.flush_soon(self)

    def eof_received(self) -> bool:
        self._path.credit.end(self._share)
        try:
            self._flow_control.eof()
        except Exception as exc:
            self._break(exc)
        return True  # the other direction stays open until we end it

    def pause_writing(self) -> None:
        self._set_full("channel", True)

    def resume_writing(self) -> None:
        self._set_full("channel", False)

    def connection_lost(self, exc: Exception | None) -> None:
        # Whether the link is gone is only known a moment later: asyncssh tells its channels first.
        asyncio.get_running_loop().call_soon(self._finish, exc)

    # What the link calls.

    def set_congested(self, congested: bool) -> None:
        """The connection takes no more, or takes again: asyncssh itself would keep what is written without limit."""
        self._set_full("link", congested)

    def flush(self) -> None:
        """Hand on what has come; what the receiver has taken, the far end may send again."""
        try:
            taken = self._flow_control.flush()
        except Exception as exc:
            self._break(exc)
        else:
            if taken:
                self._path.credit.taken(self._share, taken)
            self._let_go()

    @property
    def full(self) -> bool:
        """The channel's window is used up: what is written now stays here."""
        return self._full["channel"]

    @property
    def room(self) -> int:
        """What the far end takes, and a little more: asyncssh reports that it takes again where something waits."""
        return send_window(self._wire) + _BEYOND_WINDOW

    def carry(self, most: int) -> int:
        """It is the channel's turn to send; see ``ssh.datapath.scheduler.Flow``."""
        if self._source is None or not self._sends:
            return 0
        data = self._source.read(most)
        if data:
            self.write(data)
        return len(data)

    def grant(self, size: int) -> None:
        """Let the far end send so many bytes more; asyncssh sends nothing once the channel is closed."""
        if not self._path.lost:
            grant(self._wire, size)

    # What the relay calls.

    def ready(self, source: Source) -> bool:
        """Send what ``source`` has, when it is its turn; see ``core.link.Channel.ready``."""
        self._source = source
        # A channel that ends reads nothing any more: whoever has bytes for it must not come back with them at once.
        return self._sends and self._path.outflow.ready(self)

    def write(self, data: bytes) -> None:
        """Send; what is written after the end of the channel is dropped, as by any asyncio transport."""
        if self._sends:
            self._wire.write(data)

    def write_eof(self) -> None:
        """Send no more."""
        if self._sends:
            self._wire.write_eof()
        self._sending = False

    def pause_reading(self) -> None:
        """Deliver nothing more for now."""
        self._flow_control.pause()

    def resume_reading(self) -> None:
        """Go on delivering."""
        self._flow_control.resume()
        self._path.flush_soon(self)

    def close(self) -> None:
        """Close after what was written is sent; nothing more is delivered but the end."""
        self._sending = False
        self._flow_control.discard()
        self._let_go()
        self._wire.close()

    def abort(self) -> None:
        """Close now; the receiver hears of it soon, whether the far end still answers or not."""
        self._sending = False
        self._flow_control.discard()
        self._wire.abort()
        asyncio.get_running_loop().call_soon(self._finish, None)

    @property
    def _sends(self) -> bool:
        return self._sending and not self._wire.is_closing()

    def _finish(self, exc: Exception | None) -> None:
        self._sending = False
        self._path.discard(self)
        self._path.outflow.forget(self)
        self._path.credit.end(self._share)
        if self._path.lost:
            lost = LinkLost("the SSH connection is gone")
            lost.__cause__ = exc
            exc = lost
        self._flow_control.end(exc)
        self._let_go()

    def _let_go(self) -> None:
        """Once the end was reported nothing is kept here, and the client has taken all."""
        if self._flow_control.over:
            self._path.credit.close(self._share)

    def _break(self, exc: Exception) -> None:
        """A receiver has failed: its channel ends. asyncssh would end the whole connection."""
        log.error("a channel's receiver failed", exc_info=exc)
        self._sending = False
        self._wire.abort()
        self._finish(exc)

    def _set_full(self, source: str, full: bool) -> None:
        before = any(self._full.values())
        self._full[source] = full
        after = any(self._full.values())
        if source == "channel" and not full:
            self._path.outflow.not_full(self)
        if before == after or self._flow_control.over:
            return
        if after:
            self._receiver.pause_writing()
        else:
            self._receiver.resume_writing()


class Opening:
    """A channel on its way: who gives it up must see to it that it does not stay open when it comes late.

    asyncssh forgets a channel whose opening is cancelled, but the server does not, and its confirmation would leave
    a channel that nobody closes. So the opening itself is never cancelled; it is disowned.
    """

    def __init__(self, receiver: Any, path: DataPath, opened: Opened = nobody_waits) -> None:
        self._receiver, self._path, self._on_open = receiver, path, opened
        self._share = path.credit.open()
        self._opened: SshChannel | None = None
        self._disowned = False

    async def run(self, connection: asyncssh.SSHClientConnection, host: str, port: int) -> "SshChannel | Exception":
        """Open the channel, or return what asyncssh raised. ``port`` 0: ``host`` is the path of a Unix socket."""
        window = self._share.outstanding
        session: object
        try:
            if port:
                _, session = await connection.create_connection(
                    self._session, host, port, "127.0.0.1", window=window, max_pktsize=PACKET_MOST
                )
            else:
                _, session = await connection.create_unix_connection(
                    self._session, host, window=window, max_pktsize=PACKET_MOST
                )
        except BaseException as exc:
            self._path.credit.close(self._share)
            if isinstance(exc, Exception):
                return exc
            raise
        channel = cast(SshChannel, session)
        if self._disowned:
            channel.abort()
        return channel

    def disown(self) -> None:
        """The opening is not waited for any more: the channel is closed as soon as it is open."""
        self._disowned = True
        if self._opened:
            self._opened.abort()

    def _session(self) -> SshChannel:
        if self._disowned:
            self._opened = SshChannel(asyncio.Protocol(), self._path, self._share)
        else:
            self._opened = SshChannel(self._receiver, self._path, self._share, self._on_open)
        return self._opened
