"""A TCP connection to a host: name lookup that cannot block the program, addresses tried side by side."""

import asyncio
import socket
import threading
from typing import Any

from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.ssh.failures import most_telling, of_os_error
from openclaw_tunnel.ssh.place import Place

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_STAGGER = 0.25  # RFC 8305: the next address gets its turn so many seconds after the one before

Address = tuple[int, int, int, str, Any]


async def connect_any(addresses: list[Address], place: Place, *, bind_address: str = "") -> socket.socket:
    """Connect to the first of a host's addresses that answers; the caller owns the socket.

    Args:
        addresses: from :func:`look_up`.
        bind_address: a local address to connect from; empty for the system's choice.

    Raises:
        DialFailed: none could be reached; there is no deadline here.
    """
    winner, errors = await _race(addresses, bind_address)
    if winner is None:
        raise DialFailed(most_telling([of_os_error(exc, place) for exc in errors]))
    return winner


async def look_up(host: str, port: int, address_family: str = "any") -> list[Address]:
    """The addresses of a host, in the order to try them, from ``getaddrinfo`` in a thread of its own.

    The event loop's own threads are few, and a resolver without network blocks for half a minute: some dials in a row
    would use them all up, and the end of the program would wait for them.

    Args:
        address_family: ``any``, ``inet`` or ``inet6``, as in ssh_config.

    Raises:
        OSError: socket.gaierror, also for what cannot be a host name.
    """
    loop = asyncio.get_running_loop()
    family = _FAMILIES.get(address_family, socket.AF_UNSPEC)
    answer: asyncio.Future[list[Address]] = loop.create_future()

    def tell(result: list[Address] | OSError) -> None:
        if answer.done():
            return
        if isinstance(result, OSError):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    def ask() -> None:
        result: list[Address] | OSError
        try:
            result = list(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
        except OSError as exc:
            result = exc
        except UnicodeError:
            result = socket.gaierror(socket.EAI_NONAME, "not a host name")
        try:
            loop.call_soon_threadsafe(tell, result)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    threading.Thread(target=ask, name=f"lookup {host}", daemon=True).start()
    return await answer


async def _race(addresses: list[Address], bind_address: str) -> tuple[socket.socket | None, list[OSError]]:
    """Connect to all addresses, each a moment after the one before; the first connection wins."""
    waiting = list(addresses)
    tasks: list[asyncio.Task[socket.socket | OSError]] = []
    winner: socket.socket | None = None
    errors: list[OSError] = []
    try:
        async with asyncio.TaskGroup() as group:
            pending: set[asyncio.Task[socket.socket | OSError]] = set()
            while winner is None and (waiting or pending):
                if waiting:
                    task = group.create_task(_connect(waiting.pop(0), bind_address))
                    tasks.append(task)
                    pending.add(task)
                patience = _STAGGER if waiting else None
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for result in (task.result() for task in done):
                    if isinstance(result, OSError):
                        errors.append(result)
                    else:
                        winner = winner or result
            for task in pending:
                task.cancel()
    finally:
        _close_losers(tasks, winner)
    return winner, errors


def _close_losers(tasks: list[asyncio.Task[socket.socket | OSError]], winner: socket.socket | None) -> None:
    for task in tasks:
        result = None if task.cancelled() or task.exception() else task.result()
        if isinstance(result, socket.socket) and result is not winner:
            result.close()


async def _connect(address: Address, bind_address: str) -> socket.socket | OSError:
    family, kind, protocol, _, where = address
    sock = None
    try:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        if bind_address:
            local = socket.getaddrinfo(bind_address, 0, family, kind, 0, socket.AI_NUMERICHOST)
            sock.bind(local[0][4])
        await asyncio.get_running_loop().sock_connect(sock, where)
    except OSError as exc:
        if sock:
            sock.close()
        return exc
    except BaseException:
        if sock:
            sock.close()
        raise
    return sock
