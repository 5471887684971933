"""A remote host for a user's commands: an SSH server and a stand-in gateway, in a thread of this process."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import asyncssh

from openclaw_tunnel.demo.gateway import StandIn
from support.sshserver import SshTestServer


class Remote:
    """An SSH server and a gateway in a thread; ``config`` is an ssh_config with the alias ``gw`` for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = threading.Event()
        self._end: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="remote")
        self.gateway = 0
        self.config = folder / "config"

    def __enter__(self) -> "Remote":
        self._thread.start()
        assert self._started.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _live(self) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        identity, known_hosts = self._folder / "id", self._folder / "known_hosts"
        key.write_private_key(identity)
        identity.chmod(0o600)
        async with StandIn("test") as gateway, SshTestServer([key]) as server:
            known_hosts.write_text(server.known_hosts_line())
            common = f"HostName 127.0.0.1\nPort {server.port}\nUser me\nIdentityFile {identity}\nIdentitiesOnly yes\n"
            self.config.write_text(
                f"Host gw\n{common}UserKnownHostsFile {known_hosts}\n"
                f"Host stranger\n{common}UserKnownHostsFile {self._folder}/none\n"
                f"Host *\nGlobalKnownHostsFile none\n"
            )
            self.gateway, self.address = gateway.port, f"me@127.0.0.1:{server.port}"
            loop, end = asyncio.get_running_loop(), asyncio.Event()
            self._end = lambda: loop.call_soon_threadsafe(end.set)
            self._started.set()
            await end.wait()
