"""The handshake of the Gateway protocol as values: challenge, ``connect`` parameters, ``hello-ok``. Pure.

The facts are those of OpenClaw 2026.3 to 2026.9. The parameters of ``connect`` are a closed schema, and older
gateways know fewer of them: only those are sent that protocol 3 knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from openclaw_tunnel import __version__
from openclaw_tunnel.gateway.frames import FrameError, mapping, number, words

MIN_PROTOCOL = 3
MAX_PROTOCOL = 4

READ = "operator.read"
"""The scope that every look at the gateway beyond ``health`` takes."""

_ROLE = "operator"
_MOST_SCOPES = 64
_MOST_METHODS = 2000


class Who(Enum):
    """``client.id`` and ``client.mode``: the pair decides which scopes a client without a device may keep.

    ``BACKEND`` keeps them on 2026.5 and 2026.9 and is the only one that a gateway without authentication takes
    without a device; ``CLI`` is paired where it brings a device, which ``BACKEND`` never is.
    """

    BACKEND = ("gateway-client", "backend")
    CLI = ("cli", "cli")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The shared secret of a gateway; both may be given, the gateway's mode decides. Never shown by ``repr``."""

    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return bool(self.token or self.password)

    @property
    def kind(self) -> str:
        """What is sent, in a word: ``token``, ``password``; ``token`` where nothing is."""
        return "password" if self.password and not self.token else "token"

    def to_json(self) -> dict[str, str]:
        """The ``auth`` object of ``connect``."""
        pairs = (("token", self.token), ("password", self.password))
        return {name: value for name, value in pairs if value}


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the gateway says first: ``nonce``, and its clock in milliseconds since 1970."""

    nonce: str
    ts: int


@dataclass(frozen=True, slots=True)
class Hello:
    """What the gateway says to a client that it lets in.

    Attributes:
        protocol: the version that is spoken.
        version: the gateway's; None where it does not tell.
        boot_id: changes with every restart; None before 2026.9.
        scopes: what these credentials may do; None where the gateway does not tell (2026.3).
        methods: what it can be asked, as it tells.
        tick: seconds between its ``tick`` events.
        uptime: seconds since it started; None where it does not tell.
        auth_method: what let the client in, such as ``token`` or ``none``; None before 2026.9.
    """

    protocol: int
    version: str | None = None
    boot_id: str | None = None
    scopes: tuple[str, ...] | None = None
    methods: tuple[str, ...] = field(default=(), repr=False)
    tick: float = 30.0
    uptime: float | None = None
    auth_method: str | None = None


def connect_params(
    credentials: Credentials, *, who: Who, scopes: Sequence[str], platform: str, device: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The parameters of ``connect``.

    Args:
        platform: as Node names it (``linux``, ``darwin``).
        device: the signed identity, from :meth:`openclaw_tunnel.gateway.device.Device.sign`.
    """
    client_id, mode = who.value
    params: dict[str, Any] = {
        "minProtocol": MIN_PROTOCOL,
        "maxProtocol": MAX_PROTOCOL,
        "client": {"id": client_id, "version": __version__, "platform": platform, "mode": mode},
        "role": _ROLE,
        "scopes": list(scopes),
        "caps": [],
    }
    if credentials:
        params["auth"] = credentials.to_json()
    if device is not None:
        params["device"] = dict(device)
    return params


def read_challenge(payload: Mapping[str, Any]) -> Challenge:
    """Read the payload of ``connect.challenge``.

    Raises:
        FrameError: it has no nonce.
    """
    nonce = payload.get("nonce")
    if not isinstance(nonce, str) or not 0 < len(nonce) <= 256:
        raise FrameError("a challenge without nonce")
    return Challenge(nonce, int(number(payload.get("ts"), 0, 1 << 52) or 0))


def read_hello(payload: object) -> Hello:
    """Read ``hello-ok``; what a gateway does not tell, or tells in another form, has the default.

    Raises:
        FrameError: it is none.
    """
    told = mapping(payload)
    protocol = told.get("protocol")
    if told.get("type") != "hello-ok" or type(protocol) is not int or not 0 <= protocol < 1000:
        raise FrameError("an answer to connect that is no hello-ok")
    server, policy = mapping(told.get("server")), mapping(told.get("policy"))
    auth, uptime = mapping(told.get("auth")), number(mapping(told.get("snapshot")).get("uptimeMs"), 0, 1e15)
    tick = number(policy.get("tickIntervalMs"), 1000, 600_000)
    return Hello(
        protocol=protocol,
        version=words(server.get("version"), 64) or None,
        boot_id=words(server.get("bootId"), 64) or None,
        scopes=_names(auth["scopes"], _MOST_SCOPES) if isinstance(auth.get("scopes"), list) else None,
        methods=_names(mapping(told.get("features")).get("methods"), _MOST_METHODS),
        tick=30.0 if tick is None else tick / 1000,
        uptime=None if uptime is None else uptime / 1000,
        auth_method=words(auth.get("method"), 32) or None,
    )


def _names(value: object, most: int) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(filter(None, (words(name, 128) for name in value[:most])))
