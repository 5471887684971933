"""What shall be done; the supervisor carries it out and answers with an event."""

from dataclasses import dataclass
from enum import StrEnum


class Timer(StrEnum):
    """The clocks of a tunnel. Starting one that runs sets it again."""

    RETRY = "retry"
    HURRY = "hurry"  # a dial for which somebody waits: beside RETRY, whichever comes first
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Command:
    """What shall be done."""


@dataclass(frozen=True, slots=True)
class OfDial(Command):
    """It is about the dial ``attempt``, or the connection that came of it."""

    attempt: int


class OpenConnection(OfDial):
    """Dial; answer with Connected or ConnectFailed of this attempt."""


class CloseConnection(OfDial):
    """Close the connection, or give up the dial, of this attempt; answer with ConnectionClosed."""


class CheckConnection(OfDial):
    """Ask the SSH server of this attempt for a sign of life; answer with ConnectionSlow where it takes its time, and
    in the end with ConnectionAnswered or ConnectionSilent."""


@dataclass(frozen=True, slots=True)
class RetireConnection(OfDial):
    """Give new clients to it no more: close this attempt's connection when its last client has gone, or when it has
    answered nothing for ``patience`` seconds."""

    patience: float


@dataclass(frozen=True, slots=True)
class StartTimer(Command):
    """Answer with the timer's event (RetryDue, HurryDue, ProbeDue) after ``delay`` seconds."""

    timer: Timer
    delay: float
    attempt: int


class CancelTimers(Command):
    """No timer is wanted any more."""


class RunProbe(OfDial):
    """Ask the gateway over this attempt's connection; answer with ProbePassed or ProbeFailed."""
