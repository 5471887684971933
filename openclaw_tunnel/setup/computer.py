"""This computer, as ``setup`` deals with it: tunnels that run, ports, the service manager, other commands."""

from collections.abc import Mapping

from openclaw_tunnel.actions.service_manager import find_program, manager_of
from openclaw_tunnel.cli import registry
from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.control.orders import Down
from openclaw_tunnel.core.spec import LOCALHOST, LOOPBACK, Endpoint, listen_on
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import DaemonUnreachable, ServiceError, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.host.ports.inuse import why_in_use
from openclaw_tunnel.relay.bind import is_free

CLOSE_DEADLINE = 15.0
"""Seconds in which a tunnel closes."""

_LOOPBACKS = (LOOPBACK, "::1")


class ThisComputer:
    """See ``setuphere.Computer``."""

    def __init__(self, env: Mapping[str, str], paths: Paths) -> None:
        self._env = env
        self._client = client_of(paths)

    def running(self, name: str) -> Snapshot | None:
        """The tunnel of that name, where one runs."""
        try:
            tunnels = self._client.call(Status()).tunnels
        except DaemonUnreachable:
            return None
        return next((tunnel for tunnel in tunnels if tunnel.name == name), None)

    def close(self, name: str) -> None:
        """Close it."""
        self._client.call(Down(name), CLOSE_DEADLINE)

    def why_taken(self, port: int) -> str:
        """Who has a local port; empty where nobody has."""
        if is_free(listen_on(LOCALHOST, port, Endpoint(LOOPBACK, port))):
            return ""
        found = next((why for host in _LOOPBACKS if (why := why_in_use(host, port))), None)
        return found.by if found else "another program"

    def no_service(self) -> str:
        """Why no service can be installed here; empty where one can."""
        try:
            find_program()
            manager_of(self._env).check()
        except ServiceError as error:
            return f"{error.message}; {error.hint}" if error.hint else error.message
        return ""

    def has_service(self, name: str) -> bool:
        """Whether the tunnel of that name has one already."""
        try:
            return manager_of(self._env).state(name).installed
        except TunnelError:
            return False

    def command(self, *arguments: str) -> int:
        """Carry out another command of this program; its exit code. Raises what it raises."""
        return registry.run(list(arguments))
