"""An SSH server inside the test that asks a person: for a password, or questions of its own; and that runs commands."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncssh

from support.sshserver import SshTestServer

Challenge = tuple[str, str, str, list[tuple[str, bool]]]
Run = Callable[["asyncssh.SSHServerProcess[bytes]"], Awaitable[None]]


def shell_in(home: Path, greeting: bytes = b"") -> Run:
    """What sshd does: the shell, in a home; ``greeting`` is what a login script prints."""

    async def run(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        assert process.command == "exec sh"
        process.stdout.write(greeting)
        child = await asyncio.create_subprocess_exec(
            "sh",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
        )
        out, err = await child.communicate(await process.stdin.read())
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(child.returncode or 0)

    return run


class AskingServer(SshTestServer):
    """Lets in who knows the password, or answers the challenges one after the other.

    Args:
        keys: let in without a question.
        password: empty: the server takes none.
        challenges: the server's own questions, each with the answers it wants; empty: it asks none.
        run: what a command does; None: no command is run.

    Attributes:
        tried: every password and every set of answers that came, in order.
        keys_offered: every public key that came, in wire format.
        takes_keys: public keys are a way in.
    """

    def __init__(
        self,
        keys: Sequence[asyncssh.SSHKey] = (),
        *,
        password: str = "",
        challenges: Sequence[tuple[Challenge, Sequence[str]]] = (),
        run: Run | None = None,
    ) -> None:
        super().__init__(keys)
        self.password = password
        self.challenges = list(challenges)
        self.run = run
        self.tried: list[object] = []
        self.keys_offered: list[bytes] = []
        self.takes_keys = True

    async def start(self, **options: Any) -> None:
        """Listen."""
        commands = {} if self.run is None else {"process_factory": self.run, "encoding": None}
        self._acceptor = await asyncssh.create_server(
            lambda: _Asking(self), "127.0.0.1", self.port, server_host_keys=self.host_keys, **commands, **options
        )


class _Asking(asyncssh.SSHServer):
    def __init__(self, server: AskingServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None
        self._round = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._server.connections.discard(self._connection)

    def public_key_auth_supported(self) -> bool:
        return self._server.takes_keys

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._server.keys_offered.append(key.public_data)
        return key.public_data in [known.public_data for known in self._server.keys]

    def password_auth_supported(self) -> bool:
        return bool(self._server.password)

    def validate_password(self, username: str, password: str) -> bool:
        self._server.tried.append(password)
        return password == self._server.password

    def kbdint_auth_supported(self) -> bool:
        return bool(self._server.challenges)

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Challenge:
        self._round = 0
        return self._server.challenges[0][0]

    def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool | Challenge:
        self._server.tried.append(list(responses))
        if list(responses) != list(self._server.challenges[self._round][1]):
            return False
        self._round += 1
        done = self._round == len(self._server.challenges)
        return True if done else self._server.challenges[self._round][0]
