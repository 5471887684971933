"""The last trouble of a tunnel, remembered when it is over."""

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.states import LINK_STATES, State
from openclaw_tunnel.core.status import PastFailure, Was


class LastTrouble:
    """Follows the states of one tunnel.

    Attributes:
        over: the last trouble that is over; None while there was none.
    """

    def __init__(self) -> None:
        """All is well so far."""
        self.over: PastFailure | None = None
        self._began: tuple[Was, Failure, str | None, float] | None = None

    def note(self, before: State, state: State, failure: Failure | None, at: str | None, now: float) -> None:
        """The state changed. A trouble begins with its first failure and ends with UP, or unseen with the tunnel.

        Args:
            failure: what ``state`` is about.
            at: when that happened, as ``PastFailure.at``.
            now: seconds on any clock that never goes back.
        """
        if state is State.UP and self._began is not None:
            was, first, at, began = self._began
            self.over = PastFailure(was, str(first.code), first.message, first.hint, at, round(now - began, 1))
        if state in (State.UP, State.STOPPED, State.STOPPING):
            self._began = None
        elif self._began is None and failure is not None:
            self._began = _kind(before, state), failure, at, now


def _kind(before: State, state: State) -> Was:
    if state is State.DEGRADED:
        return Was.DEGRADED
    return Was.LOST if before in LINK_STATES and state is not State.FAILED else Was.UNREACHED
