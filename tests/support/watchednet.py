"""A network namespace with one link, and a process in it that says what it notices of the network.

Run as a program, this file is that process. It prints a line for each thing: ``ready``, ``read hint`` or ``read noise``
for each message of the system, ``changed`` with the addresses that there are then.
"""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from openclaw_tunnel.host.net.facts import Seen
from openclaw_tunnel.host.net.monitor import NetworkWatch, Source, system_source
from support.process import Child, missing, program, root_required, send
from support.waiting import wait_until

_COUNT = itertools.count()


class WatchedNetwork:
    """A namespace whose link ``eth0`` has carrier while its other end, ``far0``, is up; root only, a context manager.

    Neither end gives itself an address, so that each change is the test's.

    Args:
        folder: for the log of the process.
        commands: of ``ip``, before the process starts.
    """

    def __init__(self, folder: Path, *commands: str) -> None:
        root_required("network namespaces")
        self._ip = program("ip")
        self._nsenter = program("nsenter")
        self._name = f"oct-watched-{os.getpid()}-{next(_COUNT)}"
        self._commands = commands
        self._log = folder / "watcher.log"
        self._watcher: Child | None = None
        self._read = 0

    def __enter__(self) -> Self:
        made = subprocess.run([self._ip, "netns", "add", self._name], capture_output=True, text=True, timeout=30)
        if made.returncode != 0:
            missing(f"no network namespaces: {made.stderr.strip()}")
        try:
            self.ip("link add eth0 type veth peer name far0", "link set lo up")
            for end in ("far0", "eth0"):
                self.ip(f"link set {end} addrgenmode none", f"link set {end} up")
            wait_until(lambda: "LOWER_UP" in self.ip("link show eth0") and "state UP" in self.ip("link show eth0"), 20)
            self.ip(*self._commands)
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._watcher is not None:
            self._watcher.kill()
        subprocess.run([self._ip, "netns", "del", self._name], capture_output=True, timeout=30)

    def ip(self, *commands: str) -> str:
        """Run ``ip`` commands in the namespace, in one process; what they print."""
        argv = [self._ip, "-n", self._name, "-batch", "-"]
        done = subprocess.run(argv, input="\n".join(commands) + "\n", capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lines(self) -> list[str]:
        """What the process has said since the last :meth:`changed`."""
        return self._said()[self._read :]

    def changed(self, *addresses: str) -> list[str]:
        """Wait until a change is told with exactly these addresses, beside localhost's; everything said before it."""
        wanted = " ".join(["changed", *sorted(addresses)])
        wait_until(lambda: wanted in self.lines(), 20, f"{wanted!r}, not {self._said()}")
        said = self.lines()[: self.lines().index(wanted)]
        self._read += len(said) + 1
        return said

    def pause(self) -> None:
        """Let the process do nothing until :meth:`go_on`."""
        assert self._watcher is not None
        pid = self._watcher.pid
        send(pid, signal.SIGSTOP)
        wait_until(lambda: b") T " in Path(f"/proc/{pid}/stat").read_bytes(), 10, "the process to stand still")

    def go_on(self) -> None:
        """The end of a pause."""
        assert self._watcher is not None
        send(self._watcher.pid, signal.SIGCONT)

    def _said(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        argv = [self._nsenter, f"--net=/run/netns/{self._name}", sys.executable, __file__]
        self._watcher = Child(argv, self._log, environment)
        wait_until(lambda: "ready" in self.lines(), 20, f"the watcher to be ready: {self._said()}")
        self._read = self._said().index("ready") + 1


class _Talking:
    """A source that says what it reads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ready = False

    @property
    def handle(self) -> socket.socket:
        return self._source.handle

    def read(self) -> bool:
        hint = self._source.read()
        if self._ready:
            _say("read hint" if hint else "read noise")
        return hint

    def look(self) -> None:
        self._source.look()

    def seen(self) -> Seen | None:
        seen = self._source.seen()
        if seen is not None and not self._ready:
            self._ready = True
            _say("ready")
        return seen


def _talking() -> Source:
    source = system_source()
    assert source is not None
    return _Talking(source)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _told(addresses: frozenset[str]) -> None:
    _say(" ".join(["changed", *sorted(addresses - {"127.0.0.1", "::1"})]))


async def _watch() -> None:
    NetworkWatch(_told, open_source=_talking).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_watch())
