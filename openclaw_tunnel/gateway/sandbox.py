"""The gateway's widget sandbox: does it answer, and does the gateway say that it has one?

The facts are those of OpenClaw 2026.9.6: the sandbox serves ``/mcp-app-sandbox``, a page without any content of its
own, to everybody, and nothing else but files of plugins. It listens from the first widget on.
"""

from collections.abc import Collection

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import ChannelFailed, Link
from openclaw_tunnel.core.sandbox import Found
from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.gateway.http import get
from openclaw_tunnel.gateway.route import LinkRoute

PATH = "/mcp-app-sandbox"
_MARK = b"<title>MCP App sandbox</title>"
_METHODS = frozenset({"canvas.document.view", "board.get", "mcp.app.view"})
_FOUND = {Code.NOT_LISTENING: Found.NOTHING, Code.FORWARDING_FORBIDDEN: Found.FORBIDDEN}


def reports_sandbox(methods: Collection[str]) -> bool:
    """Whether a gateway with these methods shows widgets, whose answers name the port of the sandbox."""
    return not _METHODS.isdisjoint(methods)


async def look_for_sandbox(link: Link, to: Endpoint, *, timeout: float) -> Found:
    """Ask what is on ``to``, seen from the SSH server.

    Raises:
        LinkLost: the SSH connection went away.
    """
    try:
        answer = await get(LinkRoute(link, to), PATH, timeout=timeout)
    except ChannelFailed as error:
        return _FOUND.get(error.failure.code, Found.UNKNOWN)
    if answer is None:
        return Found.UNKNOWN
    # a gateway gives its Control UI for every path
    return Found.SANDBOX if answer.status == 200 and _MARK in answer.body else Found.OTHER
