"""What asyncssh does for each packet and need not."""

from typing import Any

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import String

_NOTHING = String(b"")


def without_padding(connection: asyncssh.SSHClientConnection) -> None:
    """Send no empty SSH_MSG_IGNORE ahead of each packet, except where the cipher needs it.

    It hides the chaining value of CBC from whoever chooses what is encrypted next (RFC 4251 section 9.3.1), and doubles
    the packets. Other modes have no such value; OpenSSH sends none with them.
    """
    if "cbc" in str(connection.get_extra_info("send_cipher", "")):
        return
    send = connection.send_packet

    def send_packet(pkttype: int, *args: bytes, handler: Any = None) -> None:
        if pkttype != MSG_IGNORE or args != (_NOTHING,):
            send(pkttype, *args, handler=handler)

    connection.send_packet = send_packet  # type: ignore[method-assign]
