"""What a server, and the program on the way to it, say in words during a login; and what they ask a person to do."""

import asyncssh

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.ssh.deadline import Deadline, Request
from openclaw_tunnel.ssh.failures import last_words
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.opening import Opening
from openclaw_tunnel.ssh.proxy import ProxyProcess
from openclaw_tunnel.ssh.request import request_in
from openclaw_tunnel.ssh.words import Transcript, clean_lines


class Heard:
    """The words of one hop.

    Args:
        process: the ProxyCommand on the way; None for none.

    Attributes:
        opening: what the server sent before its SSH protocol began.
    """

    def __init__(self, deadline: Deadline, hop: Hop, process: ProxyProcess | None = None) -> None:
        self.opening = Opening()
        self.process = process
        self._deadline = deadline
        self._hop = hop
        self._banner = Transcript()
        self._farewell = ""
        self._proxy_asks: Request | None = None
        self._server_asks: Request | None = None
        if process:
            process.listener = self._proxy_spoke
            self._proxy_spoke()

    def listen(self, connection: asyncssh.SSHClientConnection) -> None:
        """Hear what arrives on a new connection."""
        self.opening.listen(connection, self._server_began)

    def banner(self, message: str) -> None:
        """The server shows something before it lets anybody in; it has proved who it is."""
        self._banner.add(message.encode("utf-8", "replace"))
        self._server_asks = self._hear(self._server_asks, self._banner.text)

    async def to_the_end(self) -> None:
        """Wait a moment for the last words on a way that has been closed."""
        if self.process:
            await self.process.fall_silent()
            self.opening.feed(self.process.unread())

    def ended(self, exc: Exception | None) -> None:
        """The connection is gone; see ``failures.last_words``."""
        self._farewell = last_words(exc) if self.opening.version else ""

    def login_done(self) -> None:
        """Nobody is waited for any more."""
        self._server_asks = self._settle(self._server_asks)
        self._proxy_asks = self._settle(self._proxy_asks)

    @property
    def said(self) -> str:
        """All of it, for ``Failure.said``."""
        of_proxy = self.process.words.text if self.process else ""
        return clean_lines("\n".join([of_proxy, *self.opening.lines, self._banner.text, self._farewell]))

    @property
    def of_proxy(self) -> list[str]:
        """The lines of ProxyCommand's standard error, cleaned."""
        return clean_lines(self.process.words.text).splitlines() if self.process else []

    def unanswered(self) -> Failure | None:
        """The failure of a login that ended while somebody was asked; None where nobody was.

        A server may show a URL to everybody and refuse the login at once: then it did not wait for anybody.
        """
        if self._proxy_asks:
            return self._in_vain(f"ProxyCommand for {self._hop.host}", self._proxy_asks)
        if self._server_asks and self._deadline.has_waited(self._server_asks):
            return self._in_vain(self._hop.host, self._server_asks)
        return None

    def _in_vain(self, who: str, request: Request) -> Failure:
        return self._hop.failure(Code.NOT_CONFIRMED, f"{who} waited in vain for a person: {request.text}")

    def _proxy_spoke(self) -> None:
        if self.process and not self.opening.version:
            self._proxy_asks = self._hear(self._proxy_asks, self.process.words.text)

    def _server_began(self) -> None:
        """Whatever the proxy wanted, it has got."""
        self._proxy_asks = self._settle(self._proxy_asks)
        if self.process:
            self.process.keep_no_spare()

    def _hear(self, request: Request | None, text: str) -> Request | None:
        asked = request_in(text)
        if not asked:
            return self._settle(request)
        if request is None:
            return self._deadline.ask(asked)
        self._deadline.reword(request, asked)
        return request

    def _settle(self, request: Request | None) -> Request | None:
        if request:
            self._deadline.answered(request, renew=True)
        return None
