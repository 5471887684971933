"""Waiting for something to become true with a deadline instead of a pause of guessed length."""

import socket
import threading
import time
from collections.abc import Callable

from support.ports import free_port as free_port  # who waits for a port has chosen it before
from support.ports import free_ports as free_ports

PATIENCE = 4.0
"""Deadlines are those of an idle computer; every wait goes on for so many times as long before it fails."""

_POLL_SECONDS = 0.02


class DeadlinePassed(AssertionError):
    """What was waited for did not happen in time. An AssertionError: the test that waited has failed."""


def wait_until(predicate: Callable[[], object], deadline: float = 10.0, what: str = "") -> None:
    """Return as soon as ``predicate()`` is true.

    Args:
        predicate: asked every 20 ms, and once more after the deadline.
        deadline: seconds that it takes at most on an idle computer; a busy one gets ``PATIENCE`` times as much.
        what: what is waited for, for the message.

    Raises:
        DeadlinePassed: it never was.
    """
    pause = threading.Event()
    end = time.monotonic() + deadline * PATIENCE
    while not predicate():
        if time.monotonic() > end:
            raise DeadlinePassed(f"waited {deadline * PATIENCE:g} s for {what or predicate}")
        pause.wait(_POLL_SECONDS)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts a TCP connection there right now."""
    try:
        socket.create_connection((host, port), timeout=20).close()
    except ConnectionResetError:
        pass  # accepted, and reset before connect() had returned
    except OSError:
        return False
    return True
