"""Whether a tunnel's state machine still moves: what a watchdog has to know beyond "the event loop turns"."""

from openclaw_tunnel.core.link import DIAL_SECONDS, PERSON_SECONDS
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot

SLACK = 60.0
"""Seconds that a busy computer gets beyond the deadline of a state."""


def is_stuck(tunnel: Snapshot, policy: Policy, seconds: float) -> bool:
    """Whether the tunnel should have left its state by itself long ago.

    Args:
        seconds: that it has been in this state, with the same number of tries; the computer's sleep not counted.
    """
    match tunnel.state:
        case State.CONNECTING:
            # what a person was asked for may be over by now, and has taken its time all the same
            return seconds > max(policy.connect_timeout, DIAL_SECONDS) + PERSON_SECONDS + SLACK
        case State.STOPPING:
            return seconds > SLACK
        case State.BACKOFF:
            return tunnel.retry.next_in_s == 0 and seconds > policy.backoff_max + SLACK
        case State.FAILED:
            return tunnel.retry.next_in_s == 0 and seconds > SLACK
        case _:
            return False
