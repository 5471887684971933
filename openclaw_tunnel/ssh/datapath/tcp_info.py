"""What the operating system tells of the TCP connection below an SSH connection."""

import contextlib
import fcntl
import socket
import struct
import sys
from dataclasses import dataclass

# struct tcp_info of Linux (include/uapi/linux/tcp.h): 8 bytes, 24 32-bit words, two pacing rates; then
# tcpi_bytes_acked and tcpi_bytes_received, 64 bits each, since Linux 4.1.
_LINUX_INFO, _LINUX_BYTES, _LINUX_SIZE = 11, 120, 136
_LINUX_MSS, _LINUX_SACKED, _LINUX_RTT = 16, 28, 68  # bytes; segments; microseconds
_SIOCOUTQ = 0x5411  # linux/sockios.h: bytes that are not acknowledged, with those that are not sent

# struct tcp_connection_info of macOS (netinet/tcp.h): 4 bytes, 13 32-bit words, then 64-bit counters, of which the
# fourth is tcpi_rxpackets; acknowledgements are among those packets. From the header, not tried on a Mac.
_DARWIN_INFO, _DARWIN_PACKETS, _DARWIN_SIZE = 0x106, 80, 112
_DARWIN_BUFFER, _DARWIN_RTT = 32, 44  # bytes with those not acknowledged; milliseconds


@dataclass(frozen=True, slots=True)
class Queue:
    """What has been sent and not acknowledged.

    Attributes:
        under_way: bytes, with those that the system has not sent yet, without those that have arrived behind a gap.
        rtt: seconds between sending and acknowledgement, lately.
    """

    under_way: int
    rtt: float


class Traffic:
    """One connection's socket, asked from the side; None where there is none to ask."""

    def __init__(self, sock: socket.socket | None) -> None:
        """The connection is up."""
        self._socket = sock
        self._last = 0
        self.local_address = ""
        """Where the connection comes from: an IP address; empty where it is not known."""
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                self.local_address = str(sock.getsockname()[0])

    def bytes_through(self) -> int:
        """A number that grows whenever bytes have arrived, here or (as far as it confirms them) at the other end.

        Stays what it was once the socket is closed; 0 where the system does not tell.
        """
        if self._socket is not None:
            with contextlib.suppress(OSError, struct.error):
                self._last = _through(self._socket)
        return self._last

    def acknowledge(self) -> None:
        """Acknowledge what has come now, where the system would wait 40 ms for something to send with it.

        A server holds its next small packet back until then (Nagle's algorithm), and with it another client's answer.
        """
        if self._socket is not None and hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def queue(self) -> Queue | None:
        """What is under way; None where there is no TCP connection, or the system does not show it."""
        if self._socket is not None:
            with contextlib.suppress(OSError, struct.error):
                return _queue(self._socket)
        return None


def _queue(sock: socket.socket) -> Queue | None:
    if sys.platform == "linux":
        info = sock.getsockopt(socket.IPPROTO_TCP, _LINUX_INFO, _LINUX_SIZE)
        return of_linux(info, int.from_bytes(fcntl.ioctl(sock, _SIOCOUTQ, b"\0\0\0\0"), sys.byteorder))
    if sys.platform == "darwin":
        return of_macos(sock.getsockopt(socket.IPPROTO_TCP, _DARWIN_INFO, _DARWIN_SIZE))
    return None


def of_linux(info: bytes, waiting: int) -> Queue:
    """From ``struct tcp_info``, and what is not acknowledged in a row with what is not sent."""
    mss, sacked, rtt = (struct.unpack_from("=I", info, at)[0] for at in (_LINUX_MSS, _LINUX_SACKED, _LINUX_RTT))
    return Queue(max(0, waiting - sacked * mss), rtt / 1e6)


def of_macos(info: bytes) -> Queue:
    """From ``struct tcp_connection_info``."""
    buffered, rtt = (struct.unpack_from("=I", info, at)[0] for at in (_DARWIN_BUFFER, _DARWIN_RTT))
    return Queue(buffered, rtt / 1e3)


def _through(sock: socket.socket) -> int:
    if sys.platform == "linux":
        told = sock.getsockopt(socket.IPPROTO_TCP, _LINUX_INFO, _LINUX_SIZE)
        return sum(struct.unpack_from("=QQ", told, _LINUX_BYTES))
    if sys.platform == "darwin":
        told = sock.getsockopt(socket.IPPROTO_TCP, _DARWIN_INFO, _DARWIN_SIZE)
        return int(struct.unpack_from("=Q", told, _DARWIN_PACKETS)[0])
    return 0
