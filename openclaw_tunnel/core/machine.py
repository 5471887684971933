"""One tunnel as a machine: an event in, commands out.

It holds no clock and awaits nothing: ``now`` comes in as an argument, what shall happen goes out as commands, and every
command that takes time is answered by a later event. The moves are those of ``core.states.TRANSITIONS``, which event
means what in which state is ``core.rules``, and ``core.steps`` has what those rules share.
"""

from collections.abc import Callable, Mapping

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.backoff import Delays
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.rules import HANDLERS, REPLACEMENT, Handlers
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.steps import NOTHING, Commands, Steps


class Machine(Steps):
    """The state of one tunnel and the rules that move it."""

    def __init__(
        self,
        policy: Policy,
        delays: Delays,
        *,
        on_change: Callable[[State, State], None] = lambda old, new: None,
        handlers: Mapping[State, Handlers] = HANDLERS,
    ) -> None:
        """Make a stopped machine.

        Args:
            delays: seconds before the next dial, by the number of failed tries in a row.
            on_change: called with the old and the new state after each move.
            handlers: another table than ``HANDLERS``, for a test that wants a wrong one found.
        """
        super().__init__(policy, delays, on_change=on_change)
        self._handlers = handlers

    def handle(self, event: ev.Event, now: float) -> Commands:
        """Take an event, return what shall be done, in order.

        Events of an attempt that is neither the tunnel's own nor the replacement are late, and dropped.

        Args:
            now: seconds on any clock that never goes back.
        """
        self.pace.look(now)
        attempt = getattr(event, "attempt", self.attempt)
        if attempt == self.attempt:
            table = self._handlers[self.state]
        elif self.replacement is not None and attempt == self.replacement.number:
            table = REPLACEMENT
        else:
            return NOTHING
        handler = table.get(type(event))
        return handler(self, event, now) if handler else NOTHING
