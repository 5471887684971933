"""The local end of a forward: its sockets, taken once; and who is in the way where they cannot be had."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import LOCALHOST, LOOPBACK, Endpoint, Forward
from openclaw_tunnel.host import inherited
from openclaw_tunnel.host.ports.inuse import why_in_use

BACKLOG = 1024
"""Clients the kernel keeps for us between two rounds of the event loop (capped by net.core.somaxconn)."""

LOOPBACK_6 = "::1"

_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


class BindFailed(Exception):
    """The local port could not be had."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Bound:
    """Sockets that listen for one forward, made by :func:`bind` or handed over by a service manager.

    Attributes:
        sockets: non-blocking; the first is that of ``Forward.listen``.
        note: what the user should know of them; empty where all is well.
        path: of a Unix socket that is removed when it is closed.
    """

    sockets: tuple[socket.socket, ...]
    note: str = ""
    path: str = ""

    @property
    def also(self) -> tuple[str, ...]:
        """The addresses of the further sockets."""
        names = (sock.getsockname() for sock in self.sockets[1:])
        return tuple(str(Endpoint(name[0], name[1])) for name in names)

    def close(self) -> None:
        """Give the addresses back; idempotent."""
        for sock in self.sockets:
            sock.close()
        if self.path:
            _unlink_socket(self.path)


def bind(forward: Forward) -> Bound:
    """Take the local end of ``forward``. May look through all processes: call it in a thread.

    For a ``dual`` forward the IPv6 loopback address is taken as well; that it cannot be had is a note, and no note
    where this computer has no IPv6.

    Raises:
        BindFailed: in use (says by whom where the system tells), not permitted, or no address of this computer.
    """
    if forward.listen.path:
        return _bind_unix(forward.listen.path)
    first = _bound(forward.listen)
    try:
        further, note = _bind_further(forward)
    except BaseException:
        first.close()
        raise
    return Bound((first, *further), note)


def is_free(forward: Forward) -> bool:
    """Whether all that :func:`bind` wants could be had at this moment."""
    ends = [forward.listen, *_further(forward)]
    with contextlib.ExitStack() as stack:
        for end in ends:
            try:
                stack.enter_context(_listening(end))
            except OSError as error:
                if end is forward.listen or not _is_absent(error):
                    return False
    return True


def ends(forward: Forward) -> tuple[Endpoint, ...]:
    """The addresses that :func:`bind` takes on this computer, free or not."""
    found = [forward.listen]
    for end in _further(forward):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
            probe.bind((end.host, 0))
            found.append(end)
    return tuple(found)


def in_use(listen: Endpoint) -> Failure:
    """The failure that says who has an address."""
    found = why_in_use(listen.host, listen.port)
    by = f" by {found.by}" if found else ""
    step = {"step": found.step} if found else {}
    return Failure(Code.PORT_IN_USE, f"local port {listen} is in use{by}", {"listen": str(listen), **step})


def _further(forward: Forward) -> Sequence[Endpoint]:
    return [replace(forward.listen, host=LOOPBACK_6)] if forward.dual and socket.has_ipv6 else []


def _bind_further(forward: Forward) -> tuple[list[socket.socket], str]:
    sockets: list[socket.socket] = []
    for end in _further(forward):
        try:
            sockets.append(_listening(end))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                use = f"programs that ask for {LOCALHOST} may get that one: let them use {forward.listen}"
                return sockets, f"{in_use(end).message}; {use}"
            if not _is_absent(error):
                return sockets, f"not listening on {end}: {error.strerror}"
    return sockets, ""


def _is_absent(error: OSError) -> bool:
    """Whether this computer does not have the address at all."""
    return isinstance(error, socket.gaierror) or error.errno in _NO_IPV6


def _bound(listen: Endpoint) -> socket.socket:
    try:
        return _listening(listen)
    except socket.gaierror as error:
        failure = Failure(Code.PORT_NOT_ALLOWED, f"cannot listen on {listen}: not an address of this computer")
        raise BindFailed(failure) from error
    except OSError as error:
        raise BindFailed(_failure(listen, error)) from error


def _listening(listen: Endpoint) -> socket.socket:
    """A socket that listens.

    Raises:
        OSError: it cannot be had; ``socket.gaierror`` where the host is no IP address.
    """
    host = LOOPBACK if listen.host == LOCALHOST else listen.host
    if given := inherited.take((host, listen.port)):
        return given[0]
    flags = socket.AI_PASSIVE | socket.AI_NUMERICHOST
    family, _, _, _, address = socket.getaddrinfo(host, listen.port, type=socket.SOCK_STREAM, flags=flags)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # as every server does: the port of a daemon that was killed is free again at once
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)  # two that were bound at one moment are told apart here
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _failure(listen: Endpoint, error: OSError) -> Failure:
    if error.errno == errno.EADDRINUSE:
        return in_use(listen)
    reason = {
        errno.EACCES: "ports below 1024 need a privilege this process does not have",
        errno.EADDRNOTAVAIL: "not an address of this computer",
    }.get(error.errno or 0, os.strerror(error.errno or 0))
    return Failure(Code.PORT_NOT_ALLOWED, f"cannot listen on {listen}: {reason}")


def _bind_unix(path: str) -> Bound:
    if given := inherited.take(path):
        return Bound((given[0],))  # without the path: it is the service manager's to remove
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_socket(path):
            try:
                sock.connect(path)
            except ConnectionRefusedError:
                _unlink_socket(path)  # left behind by a process that died
            else:
                raise BindFailed(_path_in_use(path, f"another process listens on {path}"))
            sock.close()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(mask)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        message = f"cannot listen on {path}: {error.strerror}"
        in_use = error.errno == errno.EADDRINUSE
        facts = {"another": "a path for -L in a folder that exists and that you can write to"}
        failure = _path_in_use(path, message) if in_use else Failure(Code.PORT_NOT_ALLOWED, message, facts)
        raise BindFailed(failure) from error
    except BindFailed:
        sock.close()
        raise
    return Bound((sock,), path=path)


def _path_in_use(path: str, message: str) -> Failure:
    facts = {"step": f"see what has it: ls -l {path}", "otherwise": "give -L another path", "listen": path}
    return Failure(Code.PORT_IN_USE, message, facts)


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _unlink_socket(path: str) -> None:
    if _is_socket(path):
        os.unlink(path)
