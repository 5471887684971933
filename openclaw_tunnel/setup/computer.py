"""This computer, as ``setup`` deals with it: tunnels that run, ports, the service manager, the browser."""

from collections.abc import Mapping

from openclaw_tunnel.actions.agreement import Agree
from openclaw_tunnel.actions.close_tunnel import CLOSE_DEADLINE
from openclaw_tunnel.actions.install_service import install_service
from openclaw_tunnel.actions.open_tunnel import open_tunnel, read_settings, show_notices
from openclaw_tunnel.actions.service_manager import find_program, manager_of
from openclaw_tunnel.ask.gateway import ask_gateway, healthy, usual_question
from openclaw_tunnel.control.follow import client_of, look_at_tunnels
from openclaw_tunnel.control.orders import Down
from openclaw_tunnel.controlui.open import BROWSER_TIMEOUT, open_control_ui
from openclaw_tunnel.core.spec import LOCALHOST, LOOPBACK, Endpoint, listen_on
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ServiceError, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.host.ports.inuse import why_in_use
from openclaw_tunnel.relay.bind import is_free
from openclaw_tunnel.settings.up_options import UpOptions
from openclaw_tunnel.setup.facts import Computer
from openclaw_tunnel.ui import output, tunnelrows

_LOOPBACKS = (LOOPBACK, "::1")


class ThisComputer:
    """Everything may raise TunnelError, and shows what a person should know.

    Args:
        agree: puts the questions of the service's installation.
    """

    def __init__(self, env: Mapping[str, str], paths: Paths, agree: Agree) -> None:
        self._env = env
        self._paths = paths
        self._agree = agree
        self._client = client_of(paths)

    def look(self, name: str) -> Computer:
        """Its service manager, and the tunnel of that name."""
        return Computer(self._no_service(), self._has_service(name), self._running(name))

    def why_taken(self, port: int) -> str:
        """Who has a local port; empty where nobody has."""
        if is_free(listen_on(LOCALHOST, port, Endpoint(LOOPBACK, port))):
            return ""
        found = next((why for host in _LOOPBACKS if (why := why_in_use(host, port))), None)
        return found.by if found else "another program"

    def show(self, tunnel: Snapshot) -> None:
        """Show a tunnel that is up."""
        output.say(tunnelrows.change(tunnel))

    def open_tunnel(self, close: str = "") -> int:
        """Open the tunnel that the settings name, after closing the one named ``close``; the exit code."""
        if close:
            self._client.call(Down(close), CLOSE_DEADLINE)
        resolved = read_settings(UpOptions(), self._paths)
        show_notices(resolved)
        return open_tunnel(self._paths, UpOptions(), resolved)

    def install_service(self, *, yes: bool, replace: bool) -> int:
        """Install the service of that tunnel; the exit code."""
        return install_service(
            UpOptions(), self._paths, self._agree, yes=yes, replace=replace, on_demand=False, system=False
        )

    def ask_health(self, name: str) -> None:
        """Show the gateway's own health."""
        answer = ask_gateway(usual_question("health"), name=name, direct=False, paths=self._paths)
        output.say(healthy(answer))

    def open_control_ui(self, name: str) -> None:
        """Open the Control UI in a browser."""
        shown = open_control_ui(name, self._paths, self._env, timeout=BROWSER_TIMEOUT)
        output.warn(*shown.turned_away)
        if shown.error:
            raise shown.error
        output.say(shown.words)

    def _running(self, name: str) -> Snapshot | None:
        return next(iter(look_at_tunnels(self._client, name).tunnels), None)

    def _no_service(self) -> str:
        try:
            find_program()
            manager_of(self._env).check()
        except ServiceError as error:
            return f"{error.message}; {error.hint}" if error.hint else error.message
        return ""

    def _has_service(self, name: str) -> bool:
        try:
            return manager_of(self._env).state(name).installed
        except TunnelError:
            return False
