"""How requests to the daemon are refused, and what an ``up`` comes to where its tunnel runs already."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import PortChoice, TunnelSpec
from openclaw_tunnel.core.states import LINK_STATES
from openclaw_tunnel.errors import ExitCode, RequestRefused
from openclaw_tunnel.supervisor.tunnel import Supervisor

RELOAD_AGAIN = 10.0
"""Seconds until settings are read again that could not be read for a reason that passes."""


class DaemonCloses(RequestRefused):
    """The daemon has begun to end and takes no more tunnels: the command line starts the next one."""

    def __init__(self) -> None:
        super().__init__("the daemon is just closing", hint="give the command again", exit_code=ExitCode.NOT_RUNNING)


def refusal(failure: Failure) -> RequestRefused:
    """A failure as the error that ends a command."""
    return RequestRefused(failure.message, hint=failure.hint, exit_code=failure.exit_code)


def not_running(name: object, running: Iterable[str]) -> RequestRefused:
    """There is no tunnel of that name among those that run."""
    return RequestRefused(
        f"no tunnel named {name} is running",
        hint=f"running: {', '.join(sorted(running)) or 'none'}",
        exit_code=ExitCode.NOT_RUNNING,
    )


def goes_on(running: Supervisor, wanted: TunnelSpec, *, kept: bool) -> str:
    """Let a tunnel that runs already try again if it waits; a note where it is not quite what was asked for.

    Args:
        kept: by a service, which has settings of its own.

    Raises:
        RequestRefused: it is up, and leads elsewhere.
    """
    spec = running.spec
    if running.state in LINK_STATES and (spec.address or spec.target) != (wanted.address or wanted.target):
        raise RequestRefused(
            f"tunnel {spec.name} is up already, and leads to {spec.address or spec.target}",
            hint=f"close it first: openclaw-tunnel down {spec.name}, or give the new one a name of its own: -n NAME",
            exit_code=ExitCode.USAGE,
        )
    running.post(ev.StartRequested())
    if spec == wanted:
        return ""
    anew = (
        "openclaw-tunnel service install with the new ones (service restart, if a file has them)"
        if kept
        else f"openclaw-tunnel down {spec.name}, then up again"
    )
    return f"it runs with other settings ({spec.main}); to change them: {anew}"


def clash(spec: TunnelSpec, failure: Failure, running: Mapping[str, TunnelSpec]) -> RequestRefused:
    """The refusal of a tunnel that cannot have a local port, with the way out that fits.

    Args:
        spec: of the tunnel that was to start.
        running: the tunnels of this daemon, by name.
    """
    if failure.code is not Code.PORT_IN_USE:
        return refusal(failure)
    listen = failure.facts.get("listen", "")
    facts = {**failure.facts, **_otherwise(spec, listen)}
    message = failure.message
    other = next((name for name, one in running.items() if listen in map(str, (f.listen for f in one.forwards))), None)
    if other is not None:
        message = f"local port {listen} is in use by tunnel {other}"
        facts["step"] = f"close it: openclaw-tunnel down {other}"
    if listen == str(spec.main.listen) and spec.port_choice is PortChoice.AUTO:
        message += f"; it is the one that tunnel {spec.name} keeps (-p auto), and clients may count on it"
    return refusal(replace(failure, message=message, facts=facts))


def _otherwise(spec: TunnelSpec, listen: str) -> dict[str, str]:
    if listen in (str(forward.listen) for forward in spec.forwards[1:] if not forward.listen.path):
        return {"otherwise": "give that forward another port: -L"}
    if spec.port_choice is PortChoice.AUTO and listen == str(spec.main.listen):
        return {"otherwise": "give the tunnel another port and tell its clients: -p new"}
    return {}
