"""Listening sockets that the service manager made for us: LISTEN_FDS of systemd, launch_activate_socket of macOS.

They belong to the process from its first moment, so they are kept here, once for the process. The originals stay
open until its end: a tunnel that is closed and opened again finds its port where it left it.
"""

import contextlib
import ctypes
import os
import socket
from collections.abc import MutableMapping, Sequence

_FIRST = 3  # SD_LISTEN_FDS_START

Address = tuple[str, int] | str
"""An IP address and a port, or the path of a Unix socket."""

_inherited: list[socket.socket] = []


def adopt(env: MutableMapping[str, str], names: Sequence[str] = ()) -> int:
    """Take what the service manager hands over; to be called once, before anything else opens files.

    Args:
        env: systemd's variables are taken out of it: what the process starts has no business with them.
        names: of launchd's sockets to ask for; the first that there is not ends the asking.

    Returns:
        How many sockets there are.
    """
    for descriptor in (*_from_systemd(env), *_from_launchd(names)):
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        if sock.type == socket.SOCK_STREAM:
            sock.setblocking(False)
            _inherited.append(sock)
        else:
            sock.close()
    return len(_inherited)


def count() -> int:
    """How many sockets were handed over."""
    return len(_inherited)


def take(address: Address) -> list[socket.socket]:
    """Sockets of our own that listen on ``address``, as many as were handed over; the caller closes them.

    Closing them does not give the address back, and the path of a Unix socket must not be removed: both are the
    service manager's.
    """
    return [sock.dup() for sock in _inherited if _address_of(sock) == address]


def _address_of(sock: socket.socket) -> Address | None:
    with contextlib.suppress(OSError):
        name = sock.getsockname()
        return os.fsdecode(name) if sock.family == socket.AF_UNIX else (name[0], name[1])
    return None


def _from_systemd(env: MutableMapping[str, str]) -> list[int]:
    """As sd_listen_fds(3)."""
    pid, found = env.pop("LISTEN_PID", ""), env.pop("LISTEN_FDS", "")
    env.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not (found.isascii() and found.isdigit()):
        return []
    return list(range(_FIRST, _FIRST + int(found)))


def _from_launchd(names: Sequence[str]) -> list[int]:
    """As launch_activate_socket(3): int launch_activate_socket(const char *name, int **fds, size_t *count)."""
    activate = getattr(ctypes.CDLL(None), "launch_activate_socket", None) if names else None
    if activate is None:
        return []
    descriptors: list[int] = []
    for name in names:
        numbers, size = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t()
        if activate(name.encode(), ctypes.byref(numbers), ctypes.byref(size)):
            break  # ENOENT: no socket of that name; ESRCH: not a job of launchd
        descriptors += numbers[: size.value]
        free = ctypes.CDLL(None).free
        free.argtypes = [ctypes.c_void_p]
        free(numbers)
    return descriptors
