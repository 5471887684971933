"""The way to a gateway that needs no tunnel: which URL, and what ``gateway.remote`` says of it."""

from collections.abc import Mapping
from typing import Any

from openclaw_tunnel.core.spec import DEFAULT_GATEWAY_PORT
from openclaw_tunnel.errors import ConfigError, CredentialError
from openclaw_tunnel.gateway.route import UrlRoute
from openclaw_tunnel.gateway.url import ALLOW_VARIABLE, GatewayUrl, parse_fingerprint, parse_url
from openclaw_tunnel.openclaw.credentials.providers import resolve_ref
from openclaw_tunnel.openclaw.credentials.secretref import Secret, SecretRef, Unresolved, read_input
from openclaw_tunnel.openclaw.credentials.values import section
from openclaw_tunnel.openclaw.settings import OpenClawSettings


async def direct_route(settings: OpenClawSettings, url: str = "") -> UrlRoute:
    """The route to ``url``, or to the gateway that OpenClaw's own commands would ask.

    ``gateway.remote.tlsFingerprint`` and ``gateway.remote.edgeAuth`` belong to the gateway of ``gateway.remote.url``
    and go along wherever the address is that one, scheme, host, port and path, however it was given; nowhere else.

    Args:
        url: given by the user; empty: :func:`configured_url`.

    Raises:
        ConfigError: the URL or the fingerprint cannot be read, or plain text may not go there.
        CredentialError: a header of edgeAuth cannot be had.
    """
    parsed = parse_url(url or configured_url(settings))
    pin, headers = b"", {}
    if is_remote_url(settings, parsed):
        remote = section(section(settings.config, "gateway"), "remote")
        pin = parse_fingerprint(settings.tls_fingerprint) if settings.tls_fingerprint else b""
        edge = section(remote, "edgeAuth")
        if edge and not parsed.secure:
            raise ConfigError(
                f"gateway.remote.edgeAuth would go to {parsed} in plain text",
                hint="use a wss:// URL, or take gateway.remote.edgeAuth out",
            )
        headers = await edge_headers(edge, settings)
    return UrlRoute(parsed, pin=pin, headers=headers, allow_private=settings.env.get(ALLOW_VARIABLE))


def configured_url(settings: OpenClawSettings) -> str:
    """The gateway that OpenClaw's own commands would ask: of the environment, the remote one, or the one here."""
    chosen = settings.env.get("OPENCLAW_GATEWAY_URL", "").strip()
    if chosen:
        return chosen
    if settings.mode == "remote" and settings.remote_url:
        return settings.remote_url
    return f"ws://127.0.0.1:{settings.gateway_port or DEFAULT_GATEWAY_PORT}"


def is_remote_url(settings: OpenClawSettings, url: GatewayUrl) -> bool:
    """Whether ``url`` is that of ``gateway.remote.url``: scheme, host, port and path, the query aside."""
    if not settings.remote_url:
        return False
    try:
        own = parse_url(settings.remote_url)
    except ConfigError:
        return False
    return _origin(own) == _origin(url)


def _origin(url: GatewayUrl) -> tuple[bool, str, int, str]:
    return url.secure, url.host.lower().rstrip("."), url.port, url.path.partition("?")[0]


async def edge_headers(edge: Mapping[str, Any], settings: OpenClawSettings) -> dict[str, str]:
    """``gateway.remote.edgeAuth`` as the headers to send, every SecretRef in it resolved.

    Raises:
        CredentialError: one cannot be had, or is no value of a header. The message never holds a value.
    """
    secrets = section(settings.config, "secrets")
    defaults = {k: v for k, v in section(secrets, "defaults").items() if isinstance(v, str)}
    return {name: await _header(name, value, defaults, settings) for name, value in edge.items()}


async def _header(name: str, value: Any, defaults: Mapping[str, str], settings: OpenClawSettings) -> str:
    found = read_input(value, defaults, shorthand=False)
    if isinstance(found, SecretRef):
        found = await resolve_ref(found, settings.config, settings.env)
    where = f"gateway.remote.edgeAuth.{name}"
    if isinstance(found, Unresolved):
        raise CredentialError(f"{where} {found.why}", hint="make the reference resolve")
    text = found.reveal() if isinstance(found, Secret) else ""
    if not text or not text.isascii() or not text.isprintable():
        raise CredentialError(f"{where} is no value of a header", hint="it takes printable ASCII characters, one line")
    return text
