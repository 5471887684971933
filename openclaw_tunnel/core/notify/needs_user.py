"""What about a tunnel wants a person: the one definition for notices and for the hook ``failure``."""

from dataclasses import dataclass

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.states import LINK_STATES, State
from openclaw_tunnel.core.status import Snapshot, Verdict

_STAYS = (Code.NOT_A_GATEWAY, Code.LOOP, Code.PROTOCOL_MISMATCH)
"""Of what a gateway can be degraded by: it does not pass, as a gateway that is down or starting does."""

SOON = 15.0
"""Seconds: a refused login that is tried again within them need not bother anybody yet."""

_REFUSALS = {
    Verdict.AUTH_FAILED: "the gateway refuses the credentials",
    Verdict.PAIRING_REQUIRED: "the gateway asks for this computer to be paired",
    Verdict.PROTOCOL_MISMATCH: "the gateway speaks another version of the protocol",
}
"""A tunnel is up all the same: its clients may bring credentials of their own."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong, and what to do.

    Attributes:
        key: the same as long as it is the same trouble, however often it is tried again.
        by_gateway: it is known only after a login, some seconds after the tunnel is up.
    """

    key: str
    message: str
    hint: str
    by_gateway: bool = False


def needs_person(tunnel: Snapshot) -> Trouble | None:
    """What only a person can do; None where nothing is, or where it may pass by itself."""
    if tunnel.asks:
        return Trouble(f"asks {tunnel.asks}", f"waits for you: {tunnel.asks}", "")
    failure = tunnel.failure
    left = tunnel.retry.next_in_s
    if failure and failure.code == Code.AUTH_DENIED and left is not None and left <= SOON:
        return None  # the server knew us, and may be booting: it is asked again in a moment
    if failure and (tunnel.state is State.FAILED or (tunnel.state is State.DEGRADED and failure.code in _STAYS)):
        # a tunnel that cannot begin has one code for all reasons: there the exit code tells them apart
        return Trouble(f"{failure.code} {failure.exit_code}", failure.message, failure.hint)
    verdict = tunnel.gateway.verdict
    if tunnel.state in LINK_STATES and verdict in _REFUSALS:
        return Trouble(str(verdict), _REFUSALS[verdict], tunnel.gateway.detail or "", by_gateway=True)
    return None
