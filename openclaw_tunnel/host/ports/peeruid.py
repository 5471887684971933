"""Whose program is at the other end of a connection within this computer, where the operating system tells."""

import contextlib
import shutil
import sys

from openclaw_tunnel.host.ports.listeners import socket_tables, table_address
from openclaw_tunnel.host.process import printed_by

ESTABLISHED = "01"
"""TCP_ESTABLISHED as /proc/net/tcp prints it (include/net/tcp_states.h of Linux)."""

Address = tuple[str, int]
"""An IP address and a port."""


def owner_of_peer(peer: Address, here: Address) -> int | None:
    """The id of the user whose program connected from ``peer`` to our socket ``here``.

    Takes some milliseconds on Linux, up to a second elsewhere.

    Returns:
        None where the connection is not there any more, or the system does not tell: elsewhere than on Linux, lsof
        shows nobody but root the sockets of other users.
    """
    if sys.platform == "linux":
        little_endian = sys.byteorder == "little"
        owners = (owner_in_table(table, peer, here, little_endian=little_endian) for table in socket_tables())
        return next((owner for owner in owners if owner is not None), None)
    lsof = shutil.which("lsof") or "/usr/sbin/lsof"
    return parse_lsof(printed_by([lsof, "-nP", f"-iTCP:{peer[1]}", "-sTCP:ESTABLISHED", "-F", "pun"]), peer, here)


def owner_in_table(table: str, peer: Address, here: Address, *, little_endian: bool) -> int | None:
    """The user id of the socket ``peer``, connected to ``here``, in the text of /proc/net/tcp or /proc/net/tcp6.

    A socket whose program has closed it has inode 0, and the user id 0, which then is nobody's.

    Args:
        little_endian: byte order of the computer that wrote the table: addresses are printed as its 32-bit words.
    """
    for line in table.splitlines()[1:]:
        fields = line.split()
        with contextlib.suppress(ValueError, IndexError):
            ends = _end(fields[1], little_endian), _end(fields[2], little_endian)
            if fields[3] == ESTABLISHED and fields[9] != "0" and ends == (peer, here):
                return int(fields[7])
    return None


def parse_lsof(text: str, peer: Address, here: Address) -> int | None:
    """The user id of the process that has the socket ``peer``, connected to ``here``: ``lsof -nP -F pun``."""
    wanted = f"n{peer[0]}:{peer[1]}->{here[0]}:{here[1]}"
    uid = None
    for line in text.splitlines():
        if line.startswith("p"):
            uid = None
        elif line.startswith("u") and line[1:].isdigit():
            uid = int(line[1:])
        elif line == wanted:
            return uid
    return None


def _end(text: str, little_endian: bool) -> Address:
    address, _, port = text.partition(":")
    return str(table_address(address, little_endian)), int(port, 16)
