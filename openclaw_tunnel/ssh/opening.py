"""What a server sends before its SSH protocol begins: lines of text, and then its version (RFC 4253 section 4.2)."""

from collections.abc import Callable

import asyncssh

from openclaw_tunnel.ssh.asyncssh_seams import replace_receiver
from openclaw_tunnel.ssh.words import Transcript, clean, clean_lines, is_text

_LONGEST_LINE = 1000


class Opening:
    """The first bytes of a connection; asyncssh drops the lines, which may be all that a server has to say.

    Attributes:
        version: the server's version line; empty until it came.
    """

    def __init__(self) -> None:
        self.version = ""
        self._text = Transcript()
        self._line = b""

    @property
    def speaks_ssh(self) -> bool:
        """The server's version has come, and it is one that SSH goes on with."""
        return self.version.startswith(("SSH-2.0-", "SSH-1.99-"))

    @property
    def lines(self) -> list[str]:
        """The lines before the version, cleaned; none where the bytes are no text."""
        data = self._text.data + self._line
        return clean_lines(data.decode("utf-8", "replace")).splitlines() if is_text(data) else []

    def feed(self, data: bytes) -> None:
        """Some more bytes, cut anywhere; what follows the version is not looked at."""
        *lines, rest = (self._line + data).split(b"\n")
        for line in lines:
            if line.startswith(b"SSH-"):
                self.version = clean(line[:_LONGEST_LINE].decode("utf-8", "replace"))
                self._line = b""
                return
            self._text.add(line + b"\n")
        self._line = rest[:_LONGEST_LINE]

    def listen(self, connection: asyncssh.SSHClientConnection, then: Callable[[], None]) -> None:
        """Look at what arrives on a connection until the version has come, and call ``then`` when it has."""

        def data_received(data: bytes, datatype: int | None = None) -> None:
            self.feed(data)
            if self.version:
                replace_receiver(connection, receive)  # nothing more is looked at
                then()
            receive(data, datatype)

        receive = replace_receiver(connection, data_received)
