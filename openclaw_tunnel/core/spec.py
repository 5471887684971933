"""What the user wants, as frozen values that are valid by construction."""

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum

from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.status import Role
from openclaw_tunnel.errors import UsageError

LAST_PORT = 65535
DEFAULT_GATEWAY_PORT = 18789
DEFAULT_NAME = "default"
LOOPBACK = "127.0.0.1"
LOCALHOST = "localhost"
"""As an address to listen on: the loopback addresses of both families, as ssh means it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Probe(StrEnum):
    """What UP means for the main forward."""

    GATEWAY = "gateway"  # the gateway answers GET /healthz as one
    TCP = "tcp"  # something accepts on the remote port
    NONE = "none"  # SSH is up


class PortChoice(StrEnum):
    """How the local port of the main forward came about."""

    FIXED = "fixed"  # somebody says it, or it is the usual one
    AUTO = "auto"  # picked once for this name and kept: the port of the spec is the one to begin with
    NEW = "new"  # as AUTO, but another one than that which was kept


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TCP address (``host``, ``port``) or the path of a Unix socket (``path``, absolute).

    A name in ``host`` is resolved where the endpoint lives: the far end of a forward on the SSH server.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    def __post_init__(self) -> None:
        if self.path:
            too_long = len(self.path.encode(errors="surrogateescape")) > 103
            if not self.path.startswith("/") or "\0" in self.path or too_long:
                raise UsageError(f"socket path must be absolute and at most 103 bytes: {self.path!r}")
        elif not self.host or not 0 < self.port < 65536 or any(c.isspace() or c in "\0/" for c in self.host):
            raise UsageError(f"not an address: {self.host!r} port {self.port}", hint="ports are 1 to 65535")

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local_only(self) -> bool:
        """True where only this computer can reach it: a Unix socket or a loopback address."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Forward:
    """One LocalForward: what is accepted on ``listen`` comes out at ``to``, as seen from the SSH server.

    Attributes:
        dual: ``listen`` is the IPv4 loopback address, and where there is an IPv6 one, that is listened on as well.
        role: what it is for; the gateway's own is the first of a tunnel.
    """

    listen: Endpoint
    to: Endpoint
    dual: bool = False
    role: Role = Role.FORWARD

    def __str__(self) -> str:
        return f"{self.listen} -> {self.to}"


@dataclass(frozen=True, slots=True)
class TunnelSpec:
    """One tunnel, complete.

    Attributes:
        name: how commands call it.
        target: the SSH destination exactly as the user typed it (alias, user@host, ssh://...).
        address: ``user@host:port`` that ssh_config made of the target when the tunnel was asked for; for display.
        forwards: the first leads to the gateway and is the one that probes use; at least one.
        identity: private key file given with ``-i`` or ``gateway.remote.sshIdentity``; empty: ssh_config decides.
        ssh_config: file given with ``-F``; empty: the user's and the system's.
        probe: what UP means.
        allow_remote_clients: forwards may listen on addresses other computers can reach.
        policy: the numbers.
        port_choice: whether the local port of the main forward is meant, or only where to begin to look for one.
        sandbox: the gateway's widget sandbox is forwarded, too, where it has one; see ``settings.extra_ports``.
        browser: the gateway's browser control is forwarded, too.
        announce: whom it tells what becomes of it. No part of the comparison of two: a tunnel that tells somebody else
            is still the same tunnel, and need not be opened anew.
    """

    name: str
    target: str
    forwards: tuple[Forward, ...]
    identity: str = ""
    ssh_config: str = ""
    probe: Probe = Probe.GATEWAY
    allow_remote_clients: bool = False
    policy: Policy = field(default_factory=Policy)
    address: str = ""
    port_choice: PortChoice = PortChoice.FIXED
    sandbox: bool = False
    browser: bool = False
    announce: Announce = field(default_factory=Announce, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        if not self.target or self.target.startswith("-") or any(c.isspace() or c == "\0" for c in self.target):
            raise UsageError(f"not an SSH destination: {self.target!r}", hint="write an alias, user@host or ssh://...")
        if not self.forwards:
            raise UsageError(f"tunnel {self.name} has no forward")
        open_to_all = [f for f in self.forwards if not f.listen.is_local_only]
        if open_to_all and not self.allow_remote_clients:
            raise UsageError(
                f"{open_to_all[0].listen} can be reached by other computers",
                hint="listen on 127.0.0.1, or say that you mean it: --allow-remote-clients",
            )

    @property
    def main(self) -> Forward:
        """The forward that leads to the gateway."""
        return self.forwards[0]


def check_name(name: str) -> str:
    """Return ``name`` if it can name a tunnel.

    Raises:
        UsageError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"not a tunnel name: {name!r}", hint="letters, digits, - and _, at most 64, the first a letter or digit"
        )
    return name


def parse_bind(text: str) -> str:
    """Return the address to listen on that ``--bind`` means: an IP address, or ``localhost``; ``*`` is understood.

    Raises:
        UsageError: ``text`` is no address.
    """
    if text == LOCALHOST:
        return text
    address = {"*": "0.0.0.0"}.get(text, text)  # noqa: S104  refused unless allowed
    address = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise UsageError(
            f"not an address to listen on: {text!r}", hint="write an IP address of this computer, such as 127.0.0.1"
        ) from None


def check_port(port: int) -> int:
    """Return ``port`` if it is one.

    Raises:
        UsageError: it is not from 1 to 65535.
    """
    if not 0 < port < 65536:
        raise UsageError(f"not a port: {port}", hint="ports are 1 to 65535")
    return port


def listen_on(host: str, port: int, to: Endpoint) -> Forward:
    """The forward that listens on ``port`` of ``host``, which may be ``localhost``.

    Raises:
        UsageError: host and port are no address.
    """
    return Forward(Endpoint(LOOPBACK if host == LOCALHOST else host, port), to, dual=host == LOCALHOST)


def parse_forward(text: str) -> Forward:
    """Parse the argument of ``-L``: ``[BIND:]PORT:HOST:HOSTPORT``, either side also an absolute socket path.

    ``18789:127.0.0.1:18789``, ``[::1]:8080:[::1]:80``, ``/tmp/a.sock:db:5432`` and ``8080:/run/b.sock`` are valid.

    Raises:
        UsageError: ``text`` is not of that form.
    """
    wrong = UsageError(
        f"not a forward: {text!r}", hint="write [BIND:]PORT:HOST:HOSTPORT, for example 8080:127.0.0.1:80"
    )
    parts = re.findall(r"(?:^|:)(\[[^\]]*\]|/[^:]*|[^:\[\]]*)", text)
    if ":".join(parts) != text:
        raise wrong
    parts = [p[1:-1] if p.startswith("[") else p for p in parts]
    try:
        if parts[-1].startswith("/"):
            left, to = parts[:-1], Endpoint(path=parts[-1])
        else:
            left, to = parts[:-2], Endpoint(parts[-2], _number(parts[-1]))
        if len(left) == 1 and left[0].startswith("/"):
            return Forward(Endpoint(path=left[0]), to)
        if len(left) == 1:
            return listen_on(LOOPBACK, _number(left[0]), to)
        if len(left) == 2:
            bind = {"": LOOPBACK, "*": "0.0.0.0"}.get(left[0], left[0])  # noqa: S104  refused unless allowed
            return listen_on(bind, _number(left[1]), to)
    except (ValueError, IndexError):
        pass
    raise wrong


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):  # int() takes "1_0", "+1" and blanks as well
        raise ValueError(text)
    return int(text)
