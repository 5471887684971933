"""The HTTP answer to a client of the gateway's port that cannot be served. Pure."""

import json

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.relay.error_body import error_body
from openclaw_tunnel.relay.error_html import POLICY, document
from openclaw_tunnel.relay.http_request import Request

_NO_PAGE_POLICY = "default-src 'none'; frame-ancestors 'none'"


def answer(request: Request, tunnel: Snapshot, refusal: Failure | None, *, is_local: bool = True) -> bytes:
    """All bytes of the answer: a page for a person, JSON for programs.

    Nothing of the request is in it. The JSON is ``{"error": {...}}`` with ``type`` "tunnel_unavailable" and the
    fields of :class:`~openclaw_tunnel.relay.error_body.ErrorBody`.

    Args:
        tunnel: the tunnel at this moment.
        refusal, is_local: as in :func:`~openclaw_tunnel.relay.error_body.error_body`, which also says who gets to
            know what.
    """
    found = error_body(tunnel, refusal, request.host, is_local=is_local)
    if request.wants_page:
        kind, policy, body = "text/html", POLICY, document(found).encode()
    else:
        kind, policy, body = "application/json", _NO_PAGE_POLICY, json.dumps(found.to_json()).encode() + b"\n"
    head = (
        "HTTP/1.1 503 Service Unavailable",
        f"Content-Type: {kind}; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Retry-After: {found.retry_after}",
        "Connection: close",
        "Cache-Control: no-store",
        f"Content-Security-Policy: {policy}",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
        "Cross-Origin-Resource-Policy: same-origin",
    )
    return "".join(f"{line}\r\n" for line in (*head, "")).encode() + (b"" if request.is_head else body)
