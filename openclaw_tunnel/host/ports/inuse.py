"""A local port is taken: by whom, and what can be done about it."""

import json
import os
import socket
import sys
import time

from openclaw_tunnel.host.paths import HOME_VARIABLE
from openclaw_tunnel.host.ports.explain import Around, Explanation, Kind, explain
from openclaw_tunnel.host.ports.launchagents import ssh_agents
from openclaw_tunnel.host.ports.listeners import who_holds
from openclaw_tunnel.host.process import user_name

ASK_TIMEOUT = 1.0
"""Seconds in which a program that nothing is known of may show that it is a gateway."""

_MOST = 4096
_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  an address that is asked, not listened on


def why_in_use(host: str, port: int) -> Explanation | None:
    """Who has ``host``:``port``; None where nobody does any more. Takes some seconds at most: call it in a thread."""
    holder = who_holds(host, port)
    if holder is None:
        return None
    around = _around(agents=holder.pid is not None)
    found = explain(holder, port, around)
    if found.kind in (Kind.HIDDEN, Kind.OTHER) and answers_as_gateway(host, port):
        return explain(holder, port, _around(answers=True))
    return found


def answers_as_gateway(host: str, port: int) -> bool:
    """Whether ``GET /healthz`` is answered as a gateway does that is well."""
    head, _, body = _ask(_UNSPECIFIED.get(host, host), port).partition(b"\r\n\r\n")
    try:
        told = json.loads(body) if head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")) else None
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("ok") is True and told.get("status") == "live"


def _ask(host: str, port: int) -> bytes:
    """What comes back within the deadline."""
    request = f"GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
    end = time.monotonic() + ASK_TIMEOUT
    data = b""
    try:
        with socket.create_connection((host, port), timeout=ASK_TIMEOUT) as conn:
            conn.sendall(request.encode())
            while len(data) < _MOST and (left := end - time.monotonic()) > 0:
                conn.settimeout(left)
                piece = conn.recv(_MOST)
                if not piece:
                    break
                data += piece
    except OSError:
        pass  # what came until then may be all of it
    return data


def _around(*, answers: bool = False, agents: bool = False) -> Around:
    uid = os.getuid()
    look = {"look": "sudo ss -ltnp sport = :"} if sys.platform == "linux" else {}
    return Around(
        pid=os.getpid(),
        user=user_name(uid),
        tunnel_home=os.environ.get(HOME_VARIABLE) or None,
        agents=ssh_agents(os.environ, uid) if agents else (),
        answers=answers,
        **look,
    )
