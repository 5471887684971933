"""One tunnel as a machine: an event in, commands out.

It holds no clock and awaits nothing: ``now`` comes in as an argument, what shall happen goes out as commands, and every
command that takes time is answered by a later event. The moves are those of ``core.states.TRANSITIONS``, which event
means what in which state is ``core.rules``, and ``core.steps`` has what those rules share.
"""

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.rules import HANDLERS, REPLACEMENT
from openclaw_tunnel.core.steps import NOTHING, Commands, Steps


class Machine(Steps):
    """The state of one tunnel and the rules that move it."""

    handlers = HANDLERS

    def handle(self, event: ev.Event, now: float) -> Commands:
        """Take an event, return what shall be done, in order.

        Events of an attempt that is neither the tunnel's own nor the replacement are late, and dropped.

        Args:
            now: seconds on any clock that never goes back.
        """
        self.pace.look(now)
        attempt = event.attempt if isinstance(event, ev.OfDial) else self.attempt
        if attempt == self.attempt:
            table = self.handlers[self.state]
        elif self.replacement is not None and attempt == self.replacement.number:
            table = REPLACEMENT
        else:
            return NOTHING
        handler = table.get(type(event))
        return handler(self, event, now) if handler else NOTHING
