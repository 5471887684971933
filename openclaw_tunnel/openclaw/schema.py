"""The keys of ``gateway.remote`` and what they may hold: the strict schema of OpenClaw 2026.9.6. Pure."""

import re
from collections.abc import Callable
from typing import Any

from openclaw_tunnel.json5doc.document import Section, kind_of
from openclaw_tunnel.openclaw.credentials.secretref import PROVIDER_NAME, SOURCES, is_id

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_RESERVED_HEADERS = ("host", "connection", "upgrade", "content-length")


def check_secret(section: Section, key: str) -> None:
    """A credential: a string or a SecretRef with exactly ``source``, ``provider`` and ``id``.

    Raises:
        ConfigError: it is neither. The value is never shown.
    """
    if key not in section.values:
        return
    value = section.values[key]
    if isinstance(value, str):
        return
    if not isinstance(value, dict):
        raise section.error(key, f"must be a string or a SecretRef, not {kind_of(value)}", "put it in quotes")
    ref = section.section(key).only(("source", "provider", "id"))
    source, provider, name = (_needed_text(ref, k) for k in ("source", "provider", "id"))
    if source not in SOURCES:
        raise ref.error("source", f"must be one of {', '.join(SOURCES)}")
    if not PROVIDER_NAME.fullmatch(provider):
        raise ref.error("provider", "must be small letters, digits, - and _, at most 64")
    if not is_id(source, name):
        raise ref.error("id", f"is not of the form that a provider of source {source} takes")


def _needed_text(ref: Section, key: str) -> str:
    if key not in ref.values:
        raise ref.document.error(ref.keys, f"is a SecretRef without {key}", "a SecretRef has source, provider and id")
    value = ref.values[key]
    if not isinstance(value, str):
        raise ref.error(key, f"must be a string, not {kind_of(value)}")
    return value


def _edge_auth(section: Section, key: str) -> None:
    """Extra headers of the upgrade request: by name, each a credential."""
    if key not in section.values:
        return
    headers = section.section(key)
    if not headers.values:
        raise section.error(key, "must name at least one header")
    seen: set[str] = set()
    for name in headers.values:
        small = name.lower()
        if not _HEADER.fullmatch(name):
            raise headers.error(name, "is not the name of a header")
        if small in _RESERVED_HEADERS or small.startswith("sec-websocket-"):
            raise headers.error(name, "is a header that the connection itself sets")
        if small in seen:
            raise headers.error(name, "is there twice, with large and small letters")
        seen.add(small)
        check_secret(headers, name)


def _choice(*choices: str) -> Callable[[Section, str], Any]:
    return lambda section, key: section.choice(key, choices)


REMOTE_KEYS: dict[str, Callable[[Section, str], Any]] = {
    "url": Section.text,
    "transport": _choice("ssh", "direct"),
    "remotePort": Section.port,
    "token": check_secret,
    "password": check_secret,
    "edgeAuth": _edge_auth,
    "tlsFingerprint": Section.text,
    "sshTarget": Section.text,
    "sshIdentity": Section.text,
    "sshHostKeyPolicy": _choice("strict", "openssh"),
}


def check_remote(remote: Section) -> None:
    """Every key of ``gateway.remote``.

    Raises:
        ConfigError: one is not known, with the nearest that is, or does not hold what it may.
    """
    remote.only(tuple(REMOTE_KEYS))
    for key, check in REMOTE_KEYS.items():
        check(remote, key)
