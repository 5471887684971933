"""What has to change before another try can succeed, and when a tunnel tries again meanwhile: one row for each cause.

``PASSING`` and ``AGENT_AWAY`` are retried with backoff. Every other one ends in FAILED, where the tunnel looks for what
would make a difference, and tries again without it too, but rarely: nothing that heals stays broken for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

MINUTE = 60.0


class Cause(StrEnum):
    """Why a try failed, by what has to change."""

    PASSING = "passing"  # it may work at any moment: the network, a helper that was slow, an error nobody foresaw
    AGENT_AWAY = "agent away"  # the SSH agent cannot be asked: it may not have been started yet
    LOCAL_FILES = "local files"  # files of this computer decide: ssh_config, known_hosts, a key file
    LOGIN = "login"  # the server refused the keys there are, or there are none
    PERSON = "person"  # somebody was asked and said no, or nothing: every dial costs a person something
    SERVER_RULES = "server rules"  # the server's configuration decides
    LOCAL_PORT = "local port"


@dataclass(frozen=True, slots=True)
class Plan:
    """When a tunnel in FAILED tries again although nobody asks; of one in BACKOFF, what ends its wait.

    Attributes:
        waits: seconds before the first, second, ... automatic try; the last one repeats. Empty: none is made.
        waits_known: these come first where the server has accepted the same login before.
        on_files: a file that the dial depends on has other content.
        on_agent: the SSH agent holds other keys.
        on_wake: the computer was asleep.
        on_network: an address, a route or a link of this computer changed.
    """

    waits: tuple[float, ...] = ()
    waits_known: tuple[float, ...] = ()
    on_files: bool = False
    on_agent: bool = False
    on_wake: bool = False
    on_network: bool = False

    @property
    def triggers(self) -> tuple[str, ...]:
        """What makes it try at once, by the names of ``status --json``."""
        names = {"files": self.on_files, "agent": self.on_agent, "wake": self.on_wake, "network": self.on_network}
        return tuple(name for name, counts in names.items() if counts)

    def wait(self, stops: int, *, accepted: bool) -> float | None:
        """Seconds until the next automatic try; None: there is none.

        Args:
            stops: dials in a row that ended for this cause, this one included; 1 or more.
            accepted: the server has accepted the same login before.
        """
        waits = (*(self.waits_known if accepted else ()), *self.waits)
        return waits[min(stops, len(waits)) - 1] if waits else None


BACKING_OFF = (Cause.PASSING, Cause.AGENT_AWAY)
"""What does not end in FAILED."""

PLANS: Mapping[Cause, Plan] = MappingProxyType(
    {
        Cause.PASSING: Plan(),
        Cause.AGENT_AWAY: Plan(on_files=True, on_agent=True),
        # The network may have been the wrong one. A host key is only checked again, never accepted.
        Cause.LOCAL_FILES: Plan((15.0, MINUTE, 5 * MINUTE), on_files=True, on_wake=True, on_network=True),
        # Servers refuse good keys while they boot, and agents fill after login. Each try is a failed login that the
        # server may count (fail2ban, PerSourcePenalties), so they become rare.
        Cause.LOGIN: Plan(
            (MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE),
            (5.0, 15.0),
            on_files=True,
            on_agent=True,
            on_wake=True,
            on_network=True,
        ),
        Cause.PERSON: Plan(),
        # It may be another server, or be fixed; what ssh_config allows has its part in it.
        Cause.SERVER_RULES: Plan((5 * MINUTE,), on_files=True, on_network=True),
        Cause.LOCAL_PORT: Plan((5.0,)),
    }
)
