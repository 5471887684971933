"""Free ports, and waiting for something to become true with a deadline instead of a pause of guessed length."""

import socket
import threading
import time
from collections.abc import Callable

_POLL_SECONDS = 0.02


class DeadlinePassed(AssertionError):
    """What was waited for did not happen in time. An AssertionError: the test that waited has failed."""


def wait_until(predicate: Callable[[], object], deadline: float = 10.0, what: str = "") -> None:
    """Return as soon as ``predicate()`` is true.

    Args:
        predicate: asked every 20 ms, and once more after the deadline.
        deadline: seconds from now.
        what: what is waited for, for the message.

    Raises:
        DeadlinePassed: it never was.
    """
    pause = threading.Event()
    end = time.monotonic() + deadline
    while not predicate():
        if time.monotonic() > end:
            raise DeadlinePassed(f"waited {deadline:g} s for {what or predicate}")
        pause.wait(_POLL_SECONDS)


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens at this moment."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of ``count`` neighbouring TCP ports of 127.0.0.1 that are free at this moment."""
    for _ in range(200):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise DeadlinePassed(f"found no {count} neighbouring free ports in 200 tries")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers bind: a port that only has connections in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts a TCP connection there right now."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionResetError:
        pass  # accepted, and reset before connect() had returned
    except OSError:
        return False
    return True
