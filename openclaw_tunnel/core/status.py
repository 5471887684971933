"""The one value that ``status``, ``--watch``, ``--json`` and every view show."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from openclaw_tunnel.core.states import State

STATUS_VERSION = 1
"""Changes when a field of ``status --json`` is renamed or removed, never when one is added."""

UNAVAILABLE = "tunnel_unavailable"
"""The ``type`` of the JSON error by which a client of the local port knows that the tunnel answers, no gateway."""


RECENT = 20
"""Round trips that are remembered of a connection: at one with each passed probe, those of the last five minutes."""


class Verdict(StrEnum):
    """What is known of the gateway behind the tunnel."""

    HEALTHY = "healthy"
    STARTING = "starting"
    NOT_LISTENING = "not_listening"
    NOT_A_GATEWAY = "not_a_gateway"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    AUTH_FAILED = "auth_failed"
    PAIRING_REQUIRED = "pairing_required"
    LIMITED_SCOPE = "limited_scope"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ClientCounts:
    """Local clients of one forward: carried now, held now, accepted since the tunnel started."""

    open: int = 0
    waiting: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class ByteCounts:
    """Bytes since the tunnel started: ``sent`` from local clients to the far end, ``received`` the other way."""

    sent: int = 0
    received: int = 0


class Role(StrEnum):
    """What a forward is for; the first one of a tunnel leads to the gateway."""

    FORWARD = "forward"  # the user's own
    SANDBOX = "sandbox"  # where the gateway's widgets are shown from
    BROWSER = "browser"  # the gateway's browser control

    @classmethod
    def _missing_(cls, value: object) -> "Role":
        """One that only a newer release knows is a forward like any other."""
        return cls.FORWARD


@dataclass(frozen=True, slots=True)
class ForwardStatus:
    """One LocalForward: addresses as ``host:port`` or socket path; ``listening``: the local port is bound.

    Attributes:
        also: further addresses that it listens on.
        note: what the user should know of it; why it does not listen where it does not.
    """

    listen: str
    to: str
    listening: bool
    clients: ClientCounts = ClientCounts()
    bytes: ByteCounts = ByteCounts()
    role: Role = Role.FORWARD
    also: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class SshStatus:
    """The SSH connection; ``server`` is its version string, ``rtt_ms`` the last measured round trip.

    Attributes:
        rtt_recent_ms: the last ones of this connection, the oldest first; at most ``RECENT``.
    """

    connected: bool = False
    server: str | None = None
    cipher: str | None = None
    rtt_ms: float | None = None
    rtt_recent_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The gateway.

    Attributes:
        latency_ms: of the last probe.
        detail: a sentence where all is not well.
        expected_in_s: seconds until a gateway that restarts expects to be back, where it told.
    """

    verdict: Verdict = Verdict.UNKNOWN
    version: str | None = None
    latency_ms: float | None = None
    detail: str | None = None
    expected_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class RetryStatus:
    """When the tunnel tries again, and what would make it try at once.

    Attributes:
        attempt: failed tries in a row; 0 while connected.
        next_in_s: seconds to the next one; None where none is planned.
        on: in FAILED, what makes it try at once: ``files``, ``agent``, ``wake``, ``network``.
        files: the files whose content is watched, where ``on`` has ``files``.
        agent: the socket of the SSH agent whose keys are watched, where ``on`` has ``agent``.
    """

    attempt: int = 0
    next_in_s: float | None = None
    flapping: bool = False
    on: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Counters:
    """Since the tunnel started: connections made, connections lost, clients that had to wait."""

    connects: int = 0
    losses: int = 0
    held_clients: int = 0


@dataclass(frozen=True, slots=True)
class FailureStatus:
    """The failure that the present state is about; see ``core.failures``. ``at`` is an RFC 3339 time.

    Attributes:
        permanent: the state is FAILED.
        said: what the other side said, see ``core.failures.Failure.said``; None for nothing.
    """

    code: str
    message: str
    hint: str
    permanent: bool
    exit_code: int
    at: str | None = None
    said: str | None = None


class Was(StrEnum):
    """What a trouble was that is over."""

    LOST = "lost"  # there was an SSH connection, and it went away
    DEGRADED = "degraded"  # SSH was there, the gateway not
    UNREACHED = "unreached"  # there was no connection to begin with


@dataclass(frozen=True, slots=True)
class PastFailure:
    """The last failure that is over: what it was about at its beginning, and how long the tunnel was not up."""

    was: Was
    code: str
    message: str
    hint: str
    at: str | None
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One tunnel at one moment.

    Attributes:
        since: RFC 3339 time of the last change of ``state``.
        down_since: the same of the moment from which there has been no connection, through all tries; None while
            there is one.
        target: ``user@host:port`` as ssh_config resolves it.
        alias: the destination as the user typed it.
        last_failure: what the last trouble was that is over; None where there was none since the tunnel started.
        asks: what a person is asked to do for the dial under way, such as to open a URL; None for nothing.
    """

    name: str
    state: State
    since: str
    target: str
    alias: str
    forwards: tuple[ForwardStatus, ...]
    ssh: SshStatus = SshStatus()
    gateway: GatewayStatus = GatewayStatus()
    retry: RetryStatus = RetryStatus()
    counters: Counters = Counters()
    failure: FailureStatus | None = None
    down_since: str | None = None
    last_failure: PastFailure | None = None
    asks: str | None = None

    def to_json(self) -> dict[str, Any]:
        """An element of ``tunnels`` in ``status --json``; ``core.codec.read`` reads it back."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DaemonInfo:
    """Who answers: process id, RFC 3339 start time, version of this program.

    Attributes:
        installed: the version on the disk: another one after an upgrade; empty where it is not known.
        services: the tunnels that a service keeps, with its ``manager`` (systemd, launchd), ``unit``, ``system``.
    """

    pid: int
    started_at: str
    version: str
    installed: str = ""
    services: dict[str, dict[str, Any]] = field(default_factory=dict)


def report(daemon: DaemonInfo | None, tunnels: Sequence[Snapshot]) -> dict[str, Any]:
    """The whole object of ``status --json``; ``daemon`` None where none runs."""
    return {
        "version": STATUS_VERSION,
        "daemon": asdict(daemon) if daemon else None,
        "tunnels": [t.to_json() for t in tunnels],
    }
