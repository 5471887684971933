"""Which hooks a change of a tunnel asks for."""

from enum import StrEnum

from openclaw_tunnel.core.notify.needs_user import needs_person
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot


class HookEvent(StrEnum):
    """What a command can be run on; the values are the keys of ``hooks`` in tunnels.json5."""

    UP = "up"  # the tunnel is up, and was not
    DOWN = "down"  # it was up, and is no longer: lost, degraded, restarted or closed
    FAILURE = "failure"  # only a person can mend it: once for each trouble


class HookEvents:
    """The events of one tunnel."""

    def __init__(self) -> None:
        """It is not up, and nothing is wrong."""
        self._up = False
        self._told = ""

    def see(self, tunnel: Snapshot) -> tuple[HookEvent, ...]:
        """What has happened since the last call, in this order; to be called after every change."""
        was_up, self._up = self._up, tunnel.state is State.UP
        events: list[HookEvent] = []
        if self._up is not was_up:
            events.append(HookEvent.UP if self._up else HookEvent.DOWN)
        trouble = needs_person(tunnel)
        if trouble and trouble.key != self._told:
            events.append(HookEvent.FAILURE)
            self._told = trouble.key
        elif not trouble and tunnel.state in (State.UP, State.STOPPED):
            self._told = ""
        return tuple(events)
