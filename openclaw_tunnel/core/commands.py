"""What shall be done; the supervisor carries it out and answers with an event."""

from dataclasses import dataclass
from enum import StrEnum


class Timer(StrEnum):
    """The clocks of a tunnel. Starting one that runs sets it again."""

    RETRY = "retry"
    HURRY = "hurry"  # a dial for which somebody waits: beside RETRY, whichever comes first
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class OpenConnection:
    """Dial; answer with Connected or ConnectFailed of this attempt."""

    attempt: int


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection, or give up the dial, of this attempt; answer with ConnectionClosed."""

    attempt: int


@dataclass(frozen=True, slots=True)
class CheckConnection:
    """Ask the SSH server of this attempt for a sign of life; answer with ConnectionSlow where it takes its time, and
    in the end with ConnectionAnswered or ConnectionSilent."""

    attempt: int


@dataclass(frozen=True, slots=True)
class RetireConnection:
    """Give new clients to it no more: close this attempt's connection when its last client has gone, or when it has
    answered nothing for ``patience`` seconds."""

    attempt: int
    patience: float


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Answer with the timer's event (RetryDue, HurryDue, ProbeDue) after ``delay`` seconds."""

    timer: Timer
    delay: float
    attempt: int


@dataclass(frozen=True, slots=True)
class CancelTimers:
    """No timer is wanted any more."""


@dataclass(frozen=True, slots=True)
class RunProbe:
    """Ask the gateway over this attempt's connection; answer with ProbePassed or ProbeFailed."""

    attempt: int


Command = OpenConnection | CloseConnection | CheckConnection | RetireConnection | StartTimer | CancelTimers | RunProbe
