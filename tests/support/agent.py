"""A real ssh-agent on a socket of its own."""

import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from support.process import Child, make, program
from support.waiting import wait_until


class SshAgent:
    """``ssh-agent`` in the foreground; a context manager.

    Attributes:
        socket: what SSH_AUTH_SOCK or IdentityAgent name.
    """

    def __init__(self) -> None:
        program("ssh-agent")
        self.folder = Path(tempfile.mkdtemp(prefix="oct-"))
        self.socket = self.folder / "agent"

    def __enter__(self) -> Self:
        self._child = Child([program("ssh-agent"), "-D", "-a", self.socket], self.folder / "log")
        try:
            wait_until(self._accepts, 10, "the agent to accept connections")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:  # its file is there a moment before
            return probe.connect_ex(str(self.socket)) == 0

    def add(self, key: Path) -> None:
        """Load a private key that has no passphrase."""
        make(["/usr/bin/env", f"SSH_AUTH_SOCK={self.socket}", program("ssh-add"), "-q", key])

    def freeze(self) -> None:
        """Let it accept connections and never answer, as a hung agent does."""
        os.kill(self._child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._child.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it; the socket's file may stay, as after a crash. Idempotent."""
        self._child.kill()
