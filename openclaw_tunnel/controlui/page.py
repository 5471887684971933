"""The gateway's Control UI: where its page is, and what the gateway tells of it. Pure.

Rules from outside, of OpenClaw 2026.5 and 2026.9: ``gateway.controlUi.basePath`` stands before every path of the page.
``CONFIG_PATH`` behind it answers 200 to the gateway's token or password as a bearer (or to anybody, where the gateway
wants no credential), else 401; 404 where the base path is another one, or the Control UI is switched off. The page
takes a token from its fragment, which no browser sends over the network, and removes it from the address bar.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from openclaw_tunnel.gateway.answer import Answer

CONFIG_PATH = "/__openclaw/control-ui-config.json"

_PATH_CHARACTERS = "/-._~!$&'()*+,;=:@%"


def page_url(origin: str, base_path: str, token: str = "") -> str:
    """The address of the page, which signs in with ``token`` where there is one.

    Args:
        origin: ``http://host:port`` of the tunnel.
        base_path: as a gateway tells it; whatever is in it, the address leads to ``origin``.
    """
    fragment = f"#token={quote(token, safe='')}" if token else ""
    return f"{origin}{normal_base_path(base_path)}/{fragment}"


def normal_base_path(path: str) -> str:
    """Empty, or with a slash before and none behind, as the gateway itself reads it."""
    inner = quote(path.strip().strip("/"), safe=_PATH_CHARACTERS)
    return f"/{inner}" if inner else ""


def told_base_path(answer: Answer) -> str | None:
    """The base path in a good answer to ``CONFIG_PATH``; None where it is none."""
    if answer.status != 200:
        return None
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    path = told.get("basePath") if isinstance(told, dict) else None
    return normal_base_path(path) if isinstance(path, str) else None


def configured(payload: Any) -> tuple[bool, str]:
    """Whether the gateway shows a Control UI, and its base path, from the result of ``config.get``."""
    found: Any = payload
    for key in ("config", "gateway", "controlUi"):
        found = found.get(key) if isinstance(found, Mapping) else None
    settings = found if isinstance(found, Mapping) else {}
    path = settings.get("basePath")
    return settings.get("enabled") is not False, normal_base_path(path) if isinstance(path, str) else ""
