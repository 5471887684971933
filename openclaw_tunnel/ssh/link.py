"""One live SSH connection: ``core.link.Link`` carried out with asyncssh."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import asyncssh

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import ChannelFailed, LinkLost, Opened, ServerInfo, nobody_waits
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.ssh import asyncssh_seams as seams
from openclaw_tunnel.ssh.datapath.channel import Opening, SshChannel
from openclaw_tunnel.ssh.datapath.path import DataPath
from openclaw_tunnel.ssh.datapath.tcp_info import Traffic
from openclaw_tunnel.ssh.dial import LoggedIn
from openclaw_tunnel.ssh.failures import of_bug, of_channel, of_loss
from openclaw_tunnel.ssh.hop import show_address
from openclaw_tunnel.ssh.ping import Pinger
from openclaw_tunnel.ssh.words import clean


class SshLink:
    """A logged-in connection with all that is behind it: jump hosts, proxy process.

    Args:
        logged_in: the connection.
        stack: closes everything that was opened on the way; the link's from now on.

    Attributes:
        server: who answered.
        local_address: see ``core.link.Link.local_address``.
    """

    def __init__(self, logged_in: LoggedIn, stack: AsyncExitStack) -> None:
        self._connection = logged_in.connection
        self._ended = logged_in.login.ended
        self._hop = logged_in.hop
        self._stack = stack
        self._tasks = Tasks()
        traffic = Traffic(logged_in.tcp)
        self.local_address = traffic.local_address
        self.data = DataPath(self._connection, traffic, self._ended)
        progress = traffic.bytes_through if logged_in.tcp else None
        self._pinger = Pinger(self._connection, self._tasks, progress=progress)
        self._clean_up: asyncio.Task[None] | None = None
        self._retired: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing = False
        self.server = _server_info(logged_in.connection)
        self._ended.add_done_callback(lambda _: self._over())
        self.data.measure(self._pinger.probe, by_pings=bool(logged_in.target.proxy_jump))

    @property
    def lost(self) -> bool:
        """The connection is gone."""
        return self.data.lost

    async def open_channel(
        self, host: str, port: int, receiver: Any, *, timeout: float, opened: Opened = nobody_waits
    ) -> SshChannel:
        """Open a direct-tcpip channel; see ``core.link.Link.open_channel``."""
        if self.lost or self._closing or self._retired.done():
            raise LinkLost("the SSH connection is gone")
        to = show_address(host, port) if port else host
        opening = Opening(receiver, self.data, opened)
        task = self._tasks.start(opening.run(self._connection, host, port), name=f"open channel to {to}")
        nudge = self._pinger.nudge_later()
        try:
            wanted: set[asyncio.Future[Any]] = {task, self._retired}
            with self.data.opening():
                done, _ = await asyncio.wait(wanted, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            opening.disown()
            raise
        finally:
            if nudge:
                nudge.cancel()
        if self._retired in done and not task.done():
            opening.disown()
            raise LinkLost("the SSH connection takes no more clients")
        if not done:
            opening.disown()
            text = f"{self._hop.host} did not open a channel to {to} within {timeout:g} s"
            raise ChannelFailed(self._hop.failure(Code.TIMEOUT, text, to=to))
        result = task.result()
        if isinstance(result, SshChannel):
            return result
        raise self._refused(result, to) from result

    def _refused(self, exc: Exception, to: str) -> ChannelFailed | LinkLost:
        if self.lost or seams.found_no_connection(exc):
            return LinkLost("the SSH connection is gone")
        if isinstance(exc, asyncssh.ChannelOpenError):
            return ChannelFailed(of_channel(exc, self._hop, to))
        failure = of_bug(exc, self._hop)
        return ChannelFailed(self._hop.failure(Code.GATEWAY_UNREACHABLE, failure.message, to=to))

    async def ping(self, *, timeout: float) -> float:
        """Ask the server for any answer at all; see ``core.link.Link.ping``."""
        if self.lost:
            raise LinkLost("the SSH connection is gone")
        elapsed = await self._pinger.ping(timeout=timeout)
        await asyncio.sleep(0)  # a connection that ends answers its requests first, and says so afterwards
        if self.lost:
            raise LinkLost("the SSH connection is gone")
        return elapsed

    async def close(self) -> None:
        """Close the connection and all that is behind it; idempotent."""
        self._closing = True
        await asyncio.shield(self._start_clean_up())

    def _over(self) -> None:
        self.data.close()
        self._start_clean_up()

    def _start_clean_up(self) -> asyncio.Task[None]:
        """Close everything, once: when asked to, or when the connection is lost and nobody asks."""
        if self._clean_up is None:
            self._clean_up = self._tasks.start(self._stack.aclose(), name=f"close the way to {self._hop.host}")
        return self._clean_up

    def retire(self) -> None:
        """Open no more channels; see ``core.link.Link.retire``."""
        if not self._retired.done():
            self._retired.set_result(None)

    async def wait_idle(self) -> None:
        """Return when no channel is open or being opened."""
        await self.data.idle.wait()

    async def wait_lost(self) -> Failure:
        """Return when the connection is gone, with the reason."""
        exc = await asyncio.shield(self._ended)
        if self._closing and exc is None:
            return self._hop.failure(Code.LOST, f"the connection to {self._hop.host} was closed on this side")
        return of_loss(exc, self._hop)


def _server_info(connection: asyncssh.SSHClientConnection) -> ServerInfo:
    version = str(connection.get_extra_info("server_version", ""))
    return ServerInfo(
        version=clean(version.removeprefix("SSH-2.0-").removeprefix("SSH-1.99-")),
        cipher=str(connection.get_extra_info("send_cipher", "")),
    )
