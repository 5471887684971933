"""Who holds a local TCP port, where the operating system tells."""

import contextlib
import ipaddress
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from openclaw_tunnel.host.paths import HOME_VARIABLE
from openclaw_tunnel.host.process import printed_by, stat_fields, user_name

LISTEN = "0A"
"""TCP_LISTEN as /proc/net/tcp prints it (include/net/tcp_states.h of Linux)."""

_SECRET_OPTION = re.compile(r"(?i)-.*(token|pass|secret|api[-_]?key|credential)[^=]*")
_SECRET_VALUE = re.compile(r"(?i)([\w.-]*(?:token|pass|secret|api[-_]?key|credential)[\w.-]*[=:]).+")
_URL_LOGIN = re.compile(r"(\w+://[^/\s:@]*:)[^/\s@]+@")
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its id and its command line, word by word, secrets included."""

    pid: int
    arguments: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port.

    Attributes:
        pid: None where the system hides the process: another user's.
        command: its command line as people may see it (secrets cut, at most 120 characters); empty where hidden.
        user: name of the user; empty where not known.
        arguments: its command line, word by word, secrets included.
        parent: the process that started it; None where not known.
        tunnel_home: OPENCLAW_TUNNEL_HOME of its environment; None where it has none, or nobody may look.
    """

    pid: int | None
    command: str = ""
    user: str = ""
    arguments: tuple[str, ...] = field(default=(), repr=False)
    parent: Process | None = None
    tunnel_home: str | None = None

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of {self.user} whose id the system hides" if self.user else "a process the system hides"
        return f"pid {self.pid} ({self.command})" + (f" of {self.user}" if self.user else "")


def who_holds(host: str, port: int) -> Holder | None:
    """Who listens on ``host``:``port``, or on that port of all addresses.

    Takes some milliseconds on Linux, up to four seconds elsewhere: call it in a thread.

    Args:
        host: an IP address; anything else matches every address.

    Returns:
        None where nobody listens. Elsewhere than on Linux nobody cannot be told from another user's process.
    """
    if sys.platform == "linux":
        return _who_linux(host, port)
    return _who_lsof(port)


def listening(table: str, host: str, port: int, *, little_endian: bool) -> dict[str, int]:
    """The sockets that hold ``host``:``port`` in the text of /proc/net/tcp or /proc/net/tcp6: inode -> user id.

    Args:
        little_endian: byte order of the computer that wrote the table: addresses are printed as its 32-bit words.
    """
    found = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        with contextlib.suppress(ValueError, IndexError):
            address, _, number = fields[1].partition(":")
            if fields[3] == LISTEN and int(number, 16) == port and _covers(table_address(address, little_endian), host):
                found[fields[9]] = int(fields[7])
    return found


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


def parse_ps(text: str) -> tuple[int, tuple[str, ...]]:
    """The parent's id and the command line in the output of ``ps -o ppid=,args=``; 0 and none where it is empty."""
    parent, _, command = text.strip().partition(" ")
    return (int(parent), tuple(command.split())) if parent.isdigit() else (0, ())


def parse_environment(text: str) -> str | None:
    """The value of OPENCLAW_TUNNEL_HOME in the output of ``ps -E``, which shows the environment behind the command."""
    found = re.search(rf"(?:^|\s){HOME_VARIABLE}=(\S+)", text)
    return found[1] if found else None


def socket_tables() -> Iterator[str]:
    """The text of /proc/net/tcp, then that of tcp6, as far as they can be read."""
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            yield Path(name).read_text()


def table_address(text: str, little_endian: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as /proc/net/tcp and tcp6 print it; one of IPv4 that was mapped into IPv6 is one of IPv4 again."""
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
    sockets: dict[str, int] = {}
    for table in socket_tables():
        sockets |= listening(table, host, port, little_endian=sys.byteorder == "little")
    if not sockets:
        return None
    wanted = {f"socket:[{inode}]" for inode in sockets}
    for folder in _process_folders():
        if _holds_socket(folder, wanted):
            with contextlib.suppress(OSError, ValueError):
                return _process_of(folder)
    return Holder(None, user=user_name(next(iter(sockets.values()))))


def _process_of(folder: Path) -> Holder:
    arguments = _arguments(folder)
    parent = int(stat_fields(folder)[1])
    return Holder(
        int(folder.name),
        shown_command(arguments),
        user_name(folder.stat().st_uid),
        arguments,
        Process(parent, _arguments(folder.parent / str(parent))) if parent else None,
        _tunnel_home(folder),
    )


def _arguments(folder: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        return tuple((folder / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0"))
    return ()


def _tunnel_home(folder: Path) -> str | None:
    name = f"{HOME_VARIABLE}=".encode()
    with contextlib.suppress(OSError):
        for entry in (folder / "environ").read_bytes().split(b"\0"):
            if entry.startswith(name):
                return entry.removeprefix(name).decode(errors="replace") or None
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


def _who_lsof(port: int) -> Holder | None:
    lsof = shutil.which("lsof") or "/usr/sbin/lsof"
    found = parse_lsof(printed_by([lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-F", "pL"]))
    if found is None:
        return Holder(None)  # lsof shows this user's processes only, and the port is taken
    pid, user = found
    parent, arguments = _ask_ps(pid)
    above = _ask_ps(parent)[1] if parent else ()
    home = parse_environment(printed_by(["/bin/ps", "-Eww", "-o", "command=", "-p", str(pid)]))
    return Holder(pid, shown_command(arguments), user, arguments, Process(parent, above) if parent else None, home)


def _ask_ps(pid: int) -> tuple[int, tuple[str, ...]]:
    return parse_ps(printed_by(["/bin/ps", "-o", "ppid=,args=", "-p", str(pid)]))
