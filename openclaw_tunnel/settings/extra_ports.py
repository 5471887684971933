"""OpenClaw's other ports: where they are, there and here. Pure.

The facts are those of OpenClaw 2026.9.6. The widget sandbox is a listener on the gateway's port plus one
(``mcp.apps.sandboxPort`` changes that): from the start where ``mcp.apps.enabled`` is true, else from the first widget
on. The Control UI is told that number and asks for it on the host that the page came from: it finds the sandbox
through a tunnel only on a local port of the *same* number, whatever the local port of the gateway is. Browser control
is a listener on the gateway's port plus two where OPENCLAW_EAGER_BROWSER_CONTROL_SERVER=1 is set there; its clients
derive the number from the port on which they reach the gateway, the local one.
"""

from openclaw_tunnel.core.spec import LAST_PORT, LOOPBACK, Endpoint, Forward, TunnelSpec
from openclaw_tunnel.core.status import Role

SANDBOX_OFFSET = 1
BROWSER_OFFSET = 2


def optional_forwards(spec: TunnelSpec) -> tuple[Forward, ...]:
    """The forwards to the gateway's other ports that the settings allow, where such ports exist."""
    main = spec.main
    found = []
    if spec.sandbox and main.to.port + SANDBOX_OFFSET <= LAST_PORT:
        port = main.to.port + SANDBOX_OFFSET
        here = Endpoint(main.listen.host, port)
        found.append(Forward(here, Endpoint(main.to.host, port), main.dual, Role.SANDBOX))
    if spec.browser and max(main.to.port, main.listen.port) + BROWSER_OFFSET <= LAST_PORT:
        # operator access: for this computer alone, whatever the gateway's port is open to
        here = Endpoint(LOOPBACK, main.listen.port + BROWSER_OFFSET)
        there = Endpoint(main.to.host, main.to.port + BROWSER_OFFSET)
        found.append(Forward(here, there, role=Role.BROWSER))
    return tuple(found)


def own_obstacle(spec: TunnelSpec, forward: Forward) -> str:
    """What of the tunnel itself keeps an optional forward from listening; empty where nothing does."""
    if forward.listen.port == spec.main.listen.port:
        return (
            f"the gateway's own local port has that number, and widgets are looked for there: "
            f"choose another one, such as -p {spec.main.to.port}"
        )
    taken = next((f for f in spec.forwards[1:] if f.listen.port == forward.listen.port), None)
    return f"the tunnel's forward {taken} has that port" if taken else ""


def is_forwarded(spec: TunnelSpec, forward: Forward) -> bool:
    """Whether the user forwards the port already, by hand."""
    return any(f.listen.port == forward.listen.port and f.to.port == forward.to.port for f in spec.forwards[1:])
