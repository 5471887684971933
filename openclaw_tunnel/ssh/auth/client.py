"""What asyncssh asks during one login, answered: is this host key good, which key comes next."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncssh

from openclaw_tunnel.ssh.asyncssh_seams import replace_host_key_check
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.auth.prompts import KEYBOARD, PASSWORD, AuthPrompts
from openclaw_tunnel.ssh.heard import Heard
from openclaw_tunnel.ssh.hostkeys.check import HostKeys


class Listener(asyncssh.SSHClient):
    """One connection's owner in asyncssh's sense, that only hears what the server says.

    Args:
        heard: keeps it.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._heard.listen(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard.ended(exc)

    def auth_banner_received(self, msg: str, lang: str) -> None:
        """Words for whoever logs in, in between."""
        self._heard.banner(msg)


class Login(Listener):
    """One connection's owner in asyncssh's sense, from the first byte to the last.

    Args:
        prompts: asks a person where keys do not open the door; None: nobody is there.

    Attributes:
        method: the last method of authentication that was tried.
        ended: resolves to asyncssh's reason (None for a clean close) when the connection is gone.
        host_key: the key that was accepted, in wire format, without its certificate; empty until then. What follows
            is the login.
    """

    def __init__(self, host_keys: HostKeys, ring: KeyRing, heard: Heard, prompts: AuthPrompts | None = None) -> None:
        super().__init__(heard)
        self.method = "none"
        self._host_keys = host_keys
        self._ring = ring
        self._prompts = prompts
        self.host_key = b""
        self._connection: asyncssh.SSHClientConnection | None = None
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    @property
    def is_encrypted(self) -> bool:
        """Whether keys have been exchanged: what the other side says before is not known to come from the server."""
        return self._connection is not None and self._connection.get_extra_info("recv_cipher") is not None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Take over the check of the host key.

        Should asyncssh ever stop to call ours, its own check applies, and that has been given no trusted key at all.
        """
        self._connection = conn
        super().connection_made(conn)
        replace_host_key_check(conn, self._check_host_key)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.ended.done():
            self.ended.set_result(exc)

    async def public_key_auth_requested(self) -> Any:
        """The next key; None ends this method of authentication."""
        self.method = "publickey"
        return await self._ring.next_key()

    def kbdint_auth_requested(self) -> str | None:
        """Whether the server may ask its questions; only noted where nobody is there to answer."""
        self._ring.note_method(KEYBOARD)
        self.method = KEYBOARD
        return "" if self._prompts and self._prompts.begin_keyboard() else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        """The answers of the person; None ends this method of authentication."""
        return await self._prompts.keyboard(name, instructions, prompts) if self._prompts else None

    async def password_auth_requested(self) -> str | None:
        """The next password of the person; only noted where nobody is there to type one."""
        self._ring.note_method(PASSWORD)
        self.method = PASSWORD
        return await self._prompts.password() if self._prompts else None

    def _check_host_key(self, key_data: bytes) -> asyncssh.SSHKey:
        key = self._host_keys.check(key_data)
        self.host_key = key.public_data
        return key


def no_trusted_keys(host: str, addr: str, port: int | None) -> tuple[list[str], list[str], list[str]]:
    """What asyncssh's own check of host keys gets: with it every key is refused."""
    return [], [], []
