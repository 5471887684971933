"""How long to wait before trying again: a number in, seconds out."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from openclaw_tunnel.core.policy import Policy

if TYPE_CHECKING:
    from tenacity.wait import wait_base

Delays = Callable[[int], float]
"""Failed tries in a row (1 or more) -> seconds until the next one."""


def delays(policy: Policy, wait: "wait_base | None" = None) -> Delays:
    """Return the backoff of a policy.

    The first retry comes at once; before the second and later ones ``wait`` decides, by default full jitter
    under an exponential ceiling (``backoff_first`` doubling up to ``backoff_max``), which keeps many laptops
    behind one failed server from returning in step. Safe for any number of tries.

    Args:
        wait: a tenacity wait strategy to use instead of the jitter.
    """

    def delay(tries: int) -> float:
        if tries <= 1:
            return 0.0
        from tenacity import RetryCallState, Retrying, wait_random_exponential  # a start that works does without

        chosen = wait or wait_random_exponential(multiplier=policy.backoff_first, max=policy.backoff_max)
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = tries - 1
        return min(max(float(chosen(state)), 0.0), policy.backoff_max)

    return delay
