"""The check of a connection that is in doubt, and the probe of the gateway over it."""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum


class Inquiry(StrEnum):
    """How far the question is to which the SSH server owes a sign of life."""

    IDLE = "idle"
    ASKED = "asked"
    SLOW = "slow"  # no answer for ``policy.check_slow``


class Shock(IntEnum):
    """What has happened around the connection since it last answered; the greater one counts."""

    NONE = 0
    NETWORK = 1  # an address, a route or a link changed: it may come back
    SLEEP = 2  # the computer was asleep: a silent connection is dead


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against one connection; nothing is left of it once the server has answered.

    Attributes:
        probe_after: seconds after the server's answer until the gateway is asked again; None: no probe waits for it.
    """

    inquiry: Inquiry = Inquiry.IDLE
    shock: Shock = Shock.NONE
    probe_after: float | None = None

    def took_long(self) -> "Doubt":
        """The doubt after ``policy.check_slow`` without an answer; as it is where none is owed."""
        return replace(self, inquiry=Inquiry.SLOW) if self.inquiry is Inquiry.ASKED else self

    def shaken(self, shock: Shock) -> "Doubt":
        """The doubt after something happened around the connection."""
        return replace(self, shock=max(shock, self.shock))


class Probing(StrEnum):
    """Whether the gateway is being asked."""

    IDLE = "idle"
    RUNNING = "running"
    OVERTAKEN = "overtaken"  # the probe that runs may have looked before whatever gave cause for doubt
