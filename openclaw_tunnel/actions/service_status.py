"""How services stand: the tunnel and what the service manager says of it, in one view."""

from collections.abc import Sequence
from dataclasses import dataclass

from openclaw_tunnel.control.follow import client_of, look_at_tunnels
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.service.manager import Manager, ManagerState
from openclaw_tunnel.ui import output, progress, tunnelrows
from openclaw_tunnel.ui.tunnelrows import Row, Tone


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service.

    Attributes:
        tunnel: None where this user's daemon does not have it.
    """

    name: str
    state: ManagerState
    tunnel: Snapshot | None
    system: bool

    @property
    def is_well(self) -> bool:
        """Whether it does what it is there for."""
        if self.tunnel is not None:
            return self.tunnel.state is State.UP
        return self.state.waits or (self.system and self.state.running)

    def rows(self) -> list[Row]:
        """The tunnel's rows, and one for the service."""
        found = output.rows_of(self.tunnel) if self.tunnel else [self._without_tunnel()]
        pid = f", pid {self.state.pid}" if self.state.pid else ""
        return [*found, Row("service", tunnelrows.clean(self.state.words + pid))]

    def _without_tunnel(self) -> Row:
        if self.state.waits:
            return Row(self.name, "waits for its first client", Tone.BUSY, heads=True)
        words, tone = ("runs", Tone.PLAIN) if self.state.running else ("does not run", Tone.BAD)
        return Row(self.name, words, tone, heads=True)


def look_at_services(manager: Manager, name: str | None) -> Sequence[ServiceView]:
    """The service of the tunnel of that name, or all of them.

    Raises:
        TunnelError: there is none.
    """
    names = [name] if name else manager.names()
    with progress.working("asking the service manager"):
        states = {tunnel: manager.state(tunnel) for tunnel in names}
    if not any(state.installed or state.loaded for state in states.values()):
        raise TunnelError(
            f"there is no service for the tunnel {name}" if name else "no service is installed",
            hint="make one: openclaw-tunnel service install TARGET",
            exit_code=ExitCode.NOT_RUNNING,
        )
    running = {} if manager.system else {tunnel.name: tunnel for tunnel in look_at_tunnels(client_of()).tunnels}
    return [ServiceView(each, state, running.get(each), manager.system) for each, state in states.items()]
