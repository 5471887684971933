"""Network namespaces: a network of one's own for some threads and programs of a test."""

import ctypes
import os
import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from support.process import kill_and_wait_gone, make, missing, program, root_required, send

_CLONE_NEWNET = 0x40000000
_ESTABLISHED = "01"


class Namespace:
    """A named network namespace with nothing but its loopback; a context manager that leaves nothing.

    Whatever still runs in it at the end is killed by id.

    Attributes:
        name: how ``ip netns`` calls it; no two have the same.
    """

    def __init__(self, purpose: str) -> None:
        root_required("network namespaces")
        if not Path("/proc/self/ns/net").exists():
            missing("network namespaces are Linux's")
        for tool in ("ip", "nft", "nsenter"):
            program(tool)
        self.name = f"oct-{secrets.token_hex(4)}-{purpose}"

    @property
    def path(self) -> Path:
        """What ``nsenter --net`` takes."""
        return Path("/run/netns", self.name)

    def __enter__(self) -> Self:
        make([program("ip"), "netns", "add", self.name])
        try:
            self.ip("link", "set", "lo", "up")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._remove()

    def _remove(self) -> None:
        left = [pid for pid in self.pids() if pid != os.getpid()]
        for pid in left:
            send(pid, signal.SIGCONT)
        kill_and_wait_gone(left)
        make([program("ip"), "netns", "del", self.name])

    def pids(self) -> list[int]:
        """The processes whose main thread is in it."""
        return [int(pid) for pid in make([program("ip"), "netns", "pids", self.name]).split()]

    def argv(self, argv: Sequence[str | Path]) -> list[str | Path]:
        """The command that runs ``argv`` in it, with the same process id."""
        return [program("nsenter"), f"--net={self.path}", *argv]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put the calling thread into it, with every thread and program that it starts meanwhile.

        Sockets stay where they were made, threads and programs where they were started.
        """
        with open("/proc/thread-self/ns/net") as before, self.path.open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def ip(self, *arguments: str) -> str:
        """Run ``ip`` in it; its output."""
        return make([program("ip"), "-n", self.name, *arguments])

    def nft(self, ruleset: str) -> str:
        """Load rules of nftables in it."""
        return make(self.argv([program("nft"), ruleset]))

    def flows_to(self, ports: Sequence[int]) -> list[int]:
        """The local ports of its established IPv4 connections to remote ports of ``ports``."""
        with self.inside():
            lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
        found = []
        for line in lines:
            _, local, remote, state, *_ = line.split()
            if state == _ESTABLISHED and _port(remote) in ports:
                found.append(_port(local))
        return found


def _port(address: str) -> int:
    """The port of an address such as ``0100007F:1F90``."""
    return int(address.rpartition(":")[2], 16)


def _enter(descriptor: int) -> None:
    # os.setns is there from Python 3.12 on
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
