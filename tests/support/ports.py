"""TCP ports of this computer for what a test starts: nobody else takes one between the choice of it and the bind.

A port that the kernel chose (port 0) and that is closed again can be anybody's a moment later: any connection that
goes out may get it. These lie outside the range that the kernel chooses from, and of every block of them one process of
tests has all: it holds the UDP port of the block's first number, for as long as it lives and whatever becomes of it.
"""

import errno
import os
import re
import socket
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

_BLOCK = 200
_ALL = range(20_000, 60_000, _BLOCK)
"""The first number of each block; far from OpenClaw's own ports."""

_FAMILY = 3
"""Ports that a gateway or a tunnel may take: its own, and the two behind it for widgets and browser control."""

_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_KERNELS_CHOICE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_MACOS_CHOICE = "49152 65535"


def blocks(kernels: str) -> list[int]:
    """The first ports of the blocks that ``kernels``, "32768 60999", leaves; all of them where it leaves none."""
    first, last = map(int, re.findall(r"\d+", kernels))
    return [block for block in _ALL if block > last or block + _BLOCK <= first] or list(_ALL)


class PortBlock:
    """A block of ports that no other one has: each is handed out in turn, if nothing listens on it.

    After the last one the first comes again: what had it then has long ended, or it listens, and the port is left out.

    Raises:
        OSError: others hold all of them.
    """

    def __init__(self, among: Iterable[int]) -> None:
        self._lock, self.first = _hold_one_of(among)
        self._next = self.first

    def take(self, count: int = 1) -> int:
        """The first of ``count`` neighbouring ports on which nothing listens."""
        for first in self._starts(count):
            if all(map(_is_free, range(first, first + count))):
                self._next = first + count
                return first
        raise OSError(errno.EADDRINUSE, f"no {count} neighbouring ports of {_BLOCK} are free")

    def _starts(self, count: int) -> Iterator[int]:
        last = self.first + _BLOCK - count
        yield from range(self._next, last + 1)
        yield from range(self.first, last + 1)

    def release(self) -> None:
        """Leave the block to others; idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _hold_one_of(among: Iterable[int]) -> tuple[int, int]:
    """Hold the UDP port of the first block that nobody has; the descriptor, and the port."""
    for block in among:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind(("127.0.0.1", block))
        except OSError:
            sock.close()
        else:
            return sock.detach(), block
    raise OSError(errno.EADDRINUSE, "every block of ports is held")


def _is_free(port: int) -> bool:
    return not any(_is_taken(family, host, port) for family, host in _LOOPBACK)


def _is_taken(family: socket.AddressFamily, host: str, port: int) -> bool:
    """Whether something has it; where there is no such address, nothing does."""
    try:
        with socket.socket(family) as probe:
            # As servers bind: a port that only has connections in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _kernels_choice() -> str:
    return _KERNELS_CHOICE.read_text() if _KERNELS_CHOICE.exists() else _MACOS_CHOICE


@cache
def ours() -> PortBlock:
    """The block of this process; the first who asks has to be in the network in which blocks are shared."""
    return PortBlock(blocks(_kernels_choice()))


def free_port() -> int:
    """A TCP port of the loopback addresses that is nobody else's: to bind it, or to find that nothing listens there."""
    return free_ports(_FAMILY)


def free_ports(count: int) -> int:
    """The first of ``count`` neighbouring ones."""
    return ours().take(count)
