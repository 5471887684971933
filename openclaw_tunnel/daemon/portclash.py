"""A tunnel cannot have a local port: the refusal, with the way out that fits. Pure but for what it is made of."""

from collections.abc import Mapping
from dataclasses import replace

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.spec import PortChoice, TunnelSpec
from openclaw_tunnel.daemon.requests import refusal
from openclaw_tunnel.errors import RequestRefused


def clash(spec: TunnelSpec, failure: Failure, running: Mapping[str, TunnelSpec]) -> RequestRefused:
    """The refusal.

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
