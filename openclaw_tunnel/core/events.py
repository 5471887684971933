"""What has happened to a tunnel. Every event that belongs to a dial carries its number; answers of an older dial are
recognised by it and dropped."""

from dataclasses import dataclass

from openclaw_tunnel.core.failures import Failure


@dataclass(frozen=True, slots=True)
class Event:
    """What has happened."""


@dataclass(frozen=True, slots=True)
class OfDial(Event):
    """It belongs to the dial ``attempt``, or to the connection that came of it."""

    attempt: int


@dataclass(frozen=True, slots=True)
class OfFailedDial(OfDial):
    """The same, with what went wrong."""

    failure: Failure


class StartRequested(Event):
    """The user wants the tunnel."""


class StopRequested(Event):
    """The user wants it no more."""


class RestartRequested(Event):
    """The user wants a new SSH connection."""


class Connected(OfDial):
    """The SSH connection of this attempt is up: logged in, host key verified."""


class ConnectFailed(OfFailedDial):
    """The attempt ended without a connection."""


class ConnectionLost(OfFailedDial):
    """An established connection is gone."""


class ConnectionClosed(OfDial):
    """What CloseConnection asked for is done."""


class TrafficStalled(OfDial):
    """What local clients sent over this attempt's connection has been unanswered for ``policy.stall``."""


class ConnectionSlow(OfDial):
    """The SSH server has not answered for ``policy.check_slow``; it may yet."""


class ConnectionAnswered(OfDial):
    """The SSH server is there."""


class ConnectionSilent(OfFailedDial):
    """The SSH server has not answered for ``policy.check_timeout``: the connection is given up."""


class ProbePassed(OfDial):
    """The gateway answered as one (or the probe the user chose was content with less)."""


class ProbeFailed(OfFailedDial):
    """The gateway did not answer as one."""


class GatewayInDoubt(OfDial):
    """A client's channel was refused, or the gateway ended our session: worth a look at the gateway."""


class RetryDue(OfDial):
    """The RETRY timer of this attempt ran out."""


class ProbeDue(OfDial):
    """The PROBE timer of this attempt ran out."""


class HurryDue(OfDial):
    """The HURRY timer of this attempt ran out."""


@dataclass(frozen=True, slots=True)
class PersonAsked(OfDial):
    """A person is asked to do something for this dial, or (``what`` empty) no longer."""

    what: str


class ClientWaiting(Event):
    """A local client waits for the link, or a command for the tunnel that was given before."""


class PersonWaiting(Event):
    """Somebody has just given a command that wants the tunnel up, or looks at its state."""


class Woke(Event):
    """The computer was asleep."""


@dataclass(frozen=True, slots=True)
class NetworkChanged(Event):
    """An address, a route or a link of this computer changed; ``moved``: the address from which the live connection
    was made is no longer there."""

    moved: bool = False


class DependencyChanged(Event):
    """Something that the last dial depended on changed: ssh_config, known_hosts, a key, the agent's keys, a setting."""
