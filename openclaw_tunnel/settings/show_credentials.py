"""Whether a call through the tunnel has credentials, and where they are kept: nothing of a secret is in it."""

from typing import Any

from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.openclaw.credentials.contracts import Surface
from openclaw_tunnel.openclaw.credentials.values import Kind, Source
from openclaw_tunnel.openclaw.settings import OpenClawSettings
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.show import variable_source


async def credentials_found(settings: Settings) -> dict[str, dict[str, Any]]:
    """For ``token`` and ``password``: whether a call through the tunnel has one, and from where or why not."""
    try:
        choice = await settings.credentials(Surface.CALL, way_is_known=True)
    except CredentialError as error:
        return {kind: {"set": False, "source": None, "why": error.message} for kind in ("token", "password")}
    found: dict[str, dict[str, Any]] = {}
    for kind, source in ((Kind.TOKEN, choice.token_source), (Kind.PASSWORD, choice.password_source)):
        why = "; ".join(f"{s} {choice.why_not[s]}" for s in Source if s.kind is kind and s in choice.why_not)
        said = _source(settings.openclaw, source) if source else None
        found[kind] = {"set": bool(source), "source": said, "why": None if source else why}
    return found


def _source(settings: OpenClawSettings, source: str) -> str:
    if source.startswith("env "):
        return variable_source(settings, source.removeprefix("env "))
    document = settings.loaded.document
    return f"{source}, {document.place(tuple(source.split('.')))}" if document else source
