"""Who holds a local TCP port, where the operating system tells."""

import contextlib
import ipaddress
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LISTEN = "0A"
"""TCP_LISTEN as /proc/net/tcp prints it (include/net/tcp_states.h of Linux)."""

_SECRET_OPTION = re.compile(r"(?i)-.*(token|pass|secret|api[-_]?key|credential)[^=]*")
_SECRET_VALUE = re.compile(r"(?i)([\w.-]*(?:token|pass|secret|api[-_]?key|credential)[\w.-]*[=:]).+")
_URL_LOGIN = re.compile(r"(\w+://[^/\s:@]*:)[^/\s@]+@")
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Holder:
    """A process: its id, its command line (secrets cut, at most 120 characters), its user's name."""

    pid: int
    command: str
    user: str

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.command})" + (f" of {self.user}" if self.user else "")


def who_holds(host: str, port: int) -> Holder | None:
    """The process that listens on ``host``:``port``, or on that port of all addresses.

    Takes some milliseconds on Linux, up to two seconds elsewhere: call it in a thread.

    Args:
        host: an IP address; anything else matches every address.

    Returns:
        None where nobody listens, and where the system does not tell (another user's process, unless root asks).
    """
    if sys.platform == "linux":
        return _who_linux(host, port)
    return _who_lsof(port)


def listening_inodes(table: str, host: str, port: int, *, little_endian: bool) -> frozenset[str]:
    """The socket inodes that hold ``host``:``port`` in the text of /proc/net/tcp or /proc/net/tcp6.

    Args:
        little_endian: byte order of the computer that wrote the table: addresses are printed as its 32-bit words.
    """
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        with contextlib.suppress(ValueError, IndexError):
            address, _, number = fields[1].partition(":")
            if fields[3] == LISTEN and int(number, 16) == port and _covers(_address(address, little_endian), host):
                found.add(fields[9])
    return frozenset(found)


def shown_command(arguments: Sequence[str]) -> str:
    """A command line fit for an error message: secret-looking values as ``***``, no control characters, short."""
    words = []
    hide = False
    for argument in arguments:
        word = "***" if hide else _URL_LOGIN.sub(r"\1***@", _SECRET_VALUE.sub(r"\1***", argument))
        hide = not hide and "=" not in argument and _SECRET_OPTION.fullmatch(argument) is not None
        words.append("".join(c if c.isprintable() else "?" for c in word))
    text = " ".join(words)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def parse_lsof(text: str) -> tuple[int, str] | None:
    """The first process id and user name in the output of ``lsof -F pL``."""
    pid = re.search(r"^p(\d+)$", text, re.MULTILINE)
    user = re.search(r"^L(.+)$", text, re.MULTILINE)
    return (int(pid[1]), user[1] if user else "") if pid else None


def _address(text: str, little_endian: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    raw = bytes.fromhex(text)
    if little_endian:
        raw = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    address = ipaddress.ip_address(raw)
    return getattr(address, "ipv4_mapped", None) or address


def _covers(listening: ipaddress.IPv4Address | ipaddress.IPv6Address, host: str) -> bool:
    """Whether a listener on that address keeps ``host`` from being bound."""
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        return True
    if listening.is_unspecified or wanted.is_unspecified:
        # [::] also takes IPv4 unless IPV6_V6ONLY is set, which the table does not show
        return listening.version == wanted.version or listening.version == 6
    return listening == wanted


def _who_linux(host: str, port: int) -> Holder | None:
    inodes: set[str] = set()
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            inodes |= listening_inodes(Path(name).read_text(), host, port, little_endian=sys.byteorder == "little")
    wanted = {f"socket:[{inode}]" for inode in inodes}
    if not wanted:
        return None
    for folder in _process_folders():
        if _holds_socket(folder, wanted):
            with contextlib.suppress(OSError):
                arguments = (folder / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
                return Holder(int(folder.name), shown_command(arguments), _user(folder.stat().st_uid))
    return None


def _process_folders() -> Iterator[Path]:
    """Every process; the newest first, because the one that took a port is mostly young."""
    with contextlib.suppress(OSError):
        yield from (Path("/proc") / pid for pid in sorted(filter(str.isdigit, os.listdir("/proc")), key=int)[::-1])


def _holds_socket(folder: Path, wanted: set[str]) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(folder / "fd"):
            with contextlib.suppress(OSError):
                if os.readlink(folder / "fd" / descriptor) in wanted:
                    return True
    return False


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _who_lsof(port: int) -> Holder | None:
    lsof = shutil.which("lsof") or "/usr/sbin/lsof"
    holder = parse_lsof(_ask([lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-F", "pL"]))
    if holder is None:
        return None
    arguments = _ask(["/bin/ps", "-o", "args=", "-p", str(holder[0])]).split()
    return Holder(holder[0], shown_command(arguments), holder[1])


def _ask(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=1.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
