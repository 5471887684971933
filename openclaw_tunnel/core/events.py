"""What has happened to a tunnel. Every event that belongs to an attempt carries its number; answers of
an older attempt are recognised by it and dropped."""

from dataclasses import dataclass

from openclaw_tunnel.core.failures import Failure


@dataclass(frozen=True, slots=True)
class StartRequested:
    """The user wants the tunnel."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The user wants it no more."""


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """The user wants a new SSH connection."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The SSH connection of this attempt is up: logged in, host key verified."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """The attempt ended without a connection."""

    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """An established connection is gone."""

    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """What CloseConnection asked for is done."""

    attempt: int


@dataclass(frozen=True, slots=True)
class TrafficStalled:
    """What local clients sent over this attempt's connection has been unanswered for ``policy.stall``."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ConnectionSlow:
    """The SSH server has not answered for ``policy.check_slow``; it may yet."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ConnectionAnswered:
    """The SSH server is there."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ConnectionSilent:
    """The SSH server has not answered for ``policy.check_timeout``: the connection is given up."""

    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class ProbePassed:
    """The gateway answered as one (or the probe the user chose was content with less)."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """The gateway did not answer as one."""

    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class GatewayInDoubt:
    """A client's channel was refused, or the gateway ended our session: worth a look at the gateway."""

    attempt: int


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The RETRY timer of this attempt ran out."""

    attempt: int


@dataclass(frozen=True, slots=True)
class ProbeDue:
    """The PROBE timer of this attempt ran out."""

    attempt: int


@dataclass(frozen=True, slots=True)
class HurryDue:
    """The HURRY timer of this attempt ran out."""

    attempt: int


@dataclass(frozen=True, slots=True)
class PersonAsked:
    """A person is asked to do something for this dial, or (``what`` empty) no longer."""

    attempt: int
    what: str


@dataclass(frozen=True, slots=True)
class ClientWaiting:
    """A local client waits for the link, or a command for the tunnel that was given before."""


@dataclass(frozen=True, slots=True)
class PersonWaiting:
    """Somebody has just given a command that wants the tunnel up, or looks at its state."""


@dataclass(frozen=True, slots=True)
class Woke:
    """The computer was asleep."""


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """An address, a route or a link of this computer changed; ``moved``: the address from which the live connection
    was made is no longer there."""

    moved: bool = False


@dataclass(frozen=True, slots=True)
class DependencyChanged:
    """Something that the last dial depended on changed: ssh_config, known_hosts, a key, the agent's keys, a setting."""


Event = (
    StartRequested
    | StopRequested
    | RestartRequested
    | Connected
    | ConnectFailed
    | ConnectionLost
    | ConnectionClosed
    | TrafficStalled
    | ConnectionSlow
    | ConnectionAnswered
    | ConnectionSilent
    | ProbePassed
    | ProbeFailed
    | GatewayInDoubt
    | RetryDue
    | ProbeDue
    | HurryDue
    | PersonAsked
    | ClientWaiting
    | PersonWaiting
    | Woke
    | NetworkChanged
    | DependencyChanged
)
