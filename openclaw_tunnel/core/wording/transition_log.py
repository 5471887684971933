"""Changes of the state as lines of the log; of tries that fail for the same reason only some.

With a client that waits there is a try a second. All of them, for a night, would push out of the log what came before.
"""

from collections import Counter

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.wording.durations import precise

FIRST = 10
"""So many failed tries in a row are told, each of them."""

EVERY = 50
"""After that, one in so many."""

_NO_CONNECTION = (State.BACKOFF, State.FAILED)
_ABOUT_A_FAILURE = (State.BACKOFF, State.DEGRADED, State.FAILED)


class TransitionLog:
    """The lines of one tunnel."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._failed: Counter[Code] = Counter()
        self._same = 0

    def line(self, before: State, state: State, failure: Failure | None, lasted: float, wait: float | None) -> str:
        """What to log; empty where that would say the same once more.

        Args:
            failure: what ``state`` is about.
            lasted: seconds that ``before`` was the state.
            wait: seconds until the next dial; None where none is planned.
        """
        self._count(before, state, failure)
        if self._same > FIRST and self._same % EVERY:
            return ""
        after = "" if before is State.STOPPED else f" after {precise(lasted)}"
        reason = f" ({failure.message}{_said(failure)}{self._times()})" if failure and state in _ABOUT_A_FAILURE else ""
        retry = "" if wait is None else f", retry in {wait:.1f}s" if wait else ", retry at once"
        return f"{before} -> {state}{after}{reason}{retry}"

    def _count(self, before: State, state: State, failure: Failure | None) -> None:
        """By code: the words may be a ProxyCommand's, with the time of day in them, and two reasons may take turns."""
        if failure and before is State.CONNECTING and state in _NO_CONNECTION:
            self._failed[failure.code] += 1
            self._same = self._failed[failure.code]
        elif before not in _NO_CONNECTION or state is not State.CONNECTING:
            self._failed.clear()
            self._same = 0

    def _times(self) -> str:
        if self._same < FIRST:
            return ""
        more = f"; from now on one in {EVERY} is logged" if self._same == FIRST else ""
        return f"; {self._same} times in a row{more}"


def _said(failure: Failure) -> str:
    """What the other side said, on the line of the log."""
    lines = [line for line in failure.said.splitlines() if line not in failure.message]
    return f"; it said: {' | '.join(lines)}" if lines else ""
