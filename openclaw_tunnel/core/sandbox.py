"""Whether the gateway's widget sandbox is worth a local port: what was found there and what the gateway says."""

from dataclasses import dataclass
from enum import Enum, auto


class Found(Enum):
    """What is on the port behind the gateway's, seen from its host."""

    SANDBOX = auto()  # it answers
    NOTHING = auto()  # nothing listens
    OTHER = auto()  # another program answers
    FORBIDDEN = auto()  # the SSH server lets nobody there
    UNKNOWN = auto()  # no answer in time


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to listen; where not, and where a user may miss it: why."""

    listen: bool
    why_not: str = ""


def decide(found: Found, *, reported: bool) -> Decision:
    """Listen where the sandbox answers, or where nothing does and the gateway says that it has one.

    A gateway begins to listen when its first widget is about to be shown and tells the browser in the same moment: to
    wait until it answers would be too late for that widget. A port on which something else answers is never opened.

    Args:
        reported: the gateway says that it can show widgets.
    """
    if found is Found.SANDBOX or (found is Found.NOTHING and reported):
        return Decision(True)
    if not reported:
        return Decision(False)
    return Decision(False, _WHY_NOT.get(found, ""))


_WHY_NOT = {
    Found.OTHER: "something else answers on that port of the gateway's host",
    Found.FORBIDDEN: "the SSH server forbids forwarding to it: AllowTcpForwarding or PermitOpen of its sshd_config",
}
