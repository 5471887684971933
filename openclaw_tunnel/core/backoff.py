"""How long to wait before trying again: a number in, seconds out."""

from collections.abc import Callable

from openclaw_tunnel.core.policy import Policy

Delays = Callable[[int], float]
"""Failed tries in a row (1 or more) -> seconds until the next one."""


def delays(policy: Policy) -> Delays:
    """Return the backoff of a policy.

    The first retry comes at once; before the second and later ones there is full jitter under an exponential ceiling
    (``backoff_first`` doubling up to ``backoff_max``), which keeps many laptops behind one failed server from returning
    in step. Safe for any number of tries.
    """

    def delay(tries: int) -> float:
        if tries <= 1:
            return 0.0
        from tenacity import RetryCallState, Retrying, wait_random_exponential  # a start that works does without

        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = tries - 1
        return float(wait_random_exponential(multiplier=policy.backoff_first, max=policy.backoff_max)(state))

    return delay
