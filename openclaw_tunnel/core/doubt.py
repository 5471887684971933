"""The check of a connection that is in doubt, and the probe of the gateway over it: two small tables."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from types import MappingProxyType


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


class Step(StrEnum):
    """What moves an inquiry."""

    ASK = "ask"
    TOOK_LONG = "took long"
    ENDED = "ended"


INQUIRIES: Mapping[Inquiry, Mapping[Step, Inquiry]] = MappingProxyType(
    {
        Inquiry.IDLE: {Step.ASK: Inquiry.ASKED, Step.ENDED: Inquiry.IDLE},
        Inquiry.ASKED: {Step.TOOK_LONG: Inquiry.SLOW, Step.ENDED: Inquiry.IDLE},
        Inquiry.SLOW: {Step.ENDED: Inquiry.IDLE},
    }
)
"""A step that is not there changes nothing."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What speaks against one connection.

    Attributes:
        probe_after: seconds after the server's answer until the gateway is asked again; None: no probe waits for it.
    """

    inquiry: Inquiry = Inquiry.IDLE
    shock: Shock = Shock.NONE
    probe_after: float | None = None

    def after(self, step: Step) -> "Doubt":
        """The doubt after a step of its inquiry; one that has ended leaves nothing behind."""
        moved = INQUIRIES[self.inquiry].get(step, self.inquiry)
        return Doubt() if step is Step.ENDED else replace(self, inquiry=moved)

    def shaken(self, shock: Shock) -> "Doubt":
        """The doubt after something happened around the connection."""
        return replace(self, shock=max(shock, self.shock))

    def with_probe(self, after: float) -> "Doubt":
        """The doubt while a probe waits for the server's answer."""
        return replace(self, probe_after=after)


class Probing(StrEnum):
    """Whether the gateway is being asked."""

    IDLE = "idle"
    RUNNING = "running"
    OVERTAKEN = "overtaken"  # the probe that runs may have looked before whatever gave cause for doubt

    @property
    def doubted(self) -> "Probing":
        """After something that a probe which runs may have missed."""
        return Probing.IDLE if self is Probing.IDLE else Probing.OVERTAKEN
