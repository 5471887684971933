"""Which local ports come into question where the user leaves the choice to us. Pure."""

from collections.abc import Collection
from dataclasses import replace
from itertools import islice

from openclaw_tunnel.core.spec import LAST_PORT, PortChoice, TunnelSpec
from openclaw_tunnel.settings.extra_ports import SANDBOX_OFFSET

STEP = 3
"""From one candidate to the next: whoever has a gateway's port may want the two behind it as well."""

MOST = 40
"""Candidates that are looked at."""


def candidates(spec: TunnelSpec, taken: Collection[int]) -> tuple[int, ...]:
    """Ports for the main forward, best first: the usual one, then upwards.

    Args:
        taken: ports that must not be chosen, such as those that other tunnels keep.
    """
    first = spec.main.listen.port
    barred = {*taken, *(forward.listen.port for forward in spec.forwards[1:])}
    if spec.sandbox:
        barred.add(spec.main.to.port + SANDBOX_OFFSET)  # widgets are looked for on that one
    ports = (port for port in range(first, LAST_PORT + 1, STEP) if port not in barred)
    return tuple(islice(ports, MOST))


def on_port(spec: TunnelSpec, port: int) -> TunnelSpec:
    """``spec`` with that local port for the main forward, chosen for good."""
    main = replace(spec.main, listen=replace(spec.main.listen, port=port))
    return replace(spec, forwards=(main, *spec.forwards[1:]), port_choice=PortChoice.AUTO)
