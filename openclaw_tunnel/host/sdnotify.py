"""What a process tells the systemd that started it, as sd_notify(3) says; silent where there is none."""

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

_LONGEST_STATUS = 500


class Notifier:
    """Sends datagrams to the socket that NOTIFY_SOCKET names, if it names one.

    Attributes:
        watchdog: seconds within which systemd wants a sign of life; None: it does not watch.
    """

    def __init__(self, env: MutableMapping[str, str]) -> None:
        """Take systemd's variables out of ``env``: what the process starts has no business with them."""
        address = env.pop("NOTIFY_SOCKET", "")
        usec = env.pop("WATCHDOG_USEC", "")
        pid = env.pop("WATCHDOG_PID", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        ours = pid in ("", str(os.getpid()))
        self.watchdog = int(usec) / 1e6 if address and ours and usec.isascii() and usec.isdigit() else None
        self._status = ""

    def __bool__(self) -> bool:
        """Whether systemd listens."""
        return bool(self._address)

    def ready(self) -> None:
        """Start-up, or a reload, is over."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line that ``systemctl status`` shows; sent when it changes."""
        text = "".join(c if c.isprintable() else "?" for c in text)[:_LONGEST_STATUS]
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def reloading(self) -> None:
        """The settings are read again; :meth:`ready` follows."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It ends now."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """A sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # whatever is wrong with the socket: the tunnel does not depend on it
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(text.encode(), self._address)
