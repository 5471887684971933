"""Where the gateway is reached from here, and where it listens there. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from openclaw_tunnel.core.spec import (
    DEFAULT_GATEWAY_PORT,
    LOCALHOST,
    LOOPBACK,
    Endpoint,
    Forward,
    listen_on,
    parse_bind,
)
from openclaw_tunnel.errors import UsageError

_THERE = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class PortOptions:
    """What the settings say; None or empty where they say nothing.

    Attributes:
        local, remote: ports of the command line, else of tunnels.json5.
        bind: listen address of the command line, else of tunnels.json5; ``localhost`` is both loopback addresses.
        configured_remote: ports of openclaw.json for the remote side; the first that is set counts.
        configured_local: the same for the local side.
        allow_remote_clients: an address that other computers can reach is wanted where ssh_config names one.
    """

    local: int | None = None
    remote: int | None = None
    bind: str = ""
    configured_remote: tuple[int | None, ...] = ()
    configured_local: tuple[int | None, ...] = ()
    allow_remote_clients: bool = False


@dataclass(frozen=True, slots=True)
class MainForward:
    """The forward, the LocalForward of ssh_config it stands for, and what the user should know of it."""

    forward: Forward
    stands_for: Forward | None = None
    notices: tuple[str, ...] = ()


def choose_main(options: PortOptions, local_forwards: Sequence[Forward]) -> MainForward:
    """Decide both ends of the forward to the gateway.

    Remote side: the option, else openclaw.json, else the only LocalForward that leads to the server's own loopback,
    else 18789. Local side: the option, else the LocalForward that leads to that port, else openclaw.json, else 18789;
    on the loopback addresses of both families where no address is given.

    Args:
        local_forwards: those ssh_config has for the destination.
    """
    remote = next((p for p in (options.remote, *options.configured_remote, _only_port(local_forwards)) if p), None)
    to = Endpoint(LOOPBACK, remote or DEFAULT_GATEWAY_PORT)
    found = next((f for f in local_forwards if leads_to(f, to.port) and not f.listen.path), None)
    bind, port = options.bind, options.local
    notices: tuple[str, ...] = ()
    if port is None and found:
        port = found.listen.port
        if not bind:
            bind, notices = _bind_of(found, options.allow_remote_clients)
    port = port or next((p for p in options.configured_local if p), DEFAULT_GATEWAY_PORT)
    return MainForward(listen_on(bind or LOCALHOST, port, to), found, notices)


def leads_to(forward: Forward, port: int) -> bool:
    """Whether a LocalForward leads to ``port`` on the server's own loopback."""
    return forward.to.host in _THERE and forward.to.port == port


def as_argument(forward: Forward) -> str:
    """The forward as ``-L`` takes it."""
    listen = f"{LOCALHOST}:{forward.listen.port}" if forward.dual else str(forward.listen)
    return f"{listen}:{forward.to}"


def _only_port(local_forwards: Sequence[Forward]) -> int | None:
    ports = [f.to.port for f in local_forwards if f.to.host in _THERE and not f.listen.path]
    return ports[0] if len(ports) == 1 else None


def _bind_of(found: Forward, allow_remote_clients: bool) -> tuple[str, tuple[str, ...]]:
    """The address ssh_config has for the port, as far as the user let us use it."""
    host = LOCALHOST if found.dual else found.listen.host
    try:
        address = parse_bind(host)
    except UsageError:
        return LOCALHOST, (f"LocalForward {found}: {host} is no address; listening on {LOOPBACK}",)
    if found.listen.is_local_only or allow_remote_clients:
        return address, ()
    return LOCALHOST, (
        f"LocalForward {found} would let other computers in; listening on {LOOPBACK} "
        "(--allow-remote-clients to do as it says)",
    )
