"""OpenClaw's own settings: which file, and the part of it that a tunnel needs.

The rules of file selection and the schema are those of OpenClaw 2026.9.6.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openclaw_tunnel.config.destination import parse_destination
from openclaw_tunnel.config.openclawpaths import config_file, openclaw_home
from openclaw_tunnel.config.text import Document, Section, load_document
from openclaw_tunnel.errors import ConfigError, UsageError

__all__ = ["OpenClawSettings", "config_file", "load_openclaw", "load_raw", "openclaw_home", "pick_settings"]

_HINT = "check the file with: openclaw config validate"
_SCHEMES = ("ws", "wss", "http", "https")


@dataclass(frozen=True, slots=True)
class OpenClawSettings:
    """What openclaw.json says of the gateway; None or empty where it says nothing.

    Attributes:
        path: the file, whether it exists or not.
        gateway_port: ``gateway.port``.
        remote_url: ``gateway.remote.url``; may hold credentials, not for messages.
        remote_ssh_target: ``gateway.remote.sshTarget`` without a leading ``ssh ``; a valid SSH destination.
        remote_ssh_identity: ``gateway.remote.sshIdentity`` as written.
        remote_port: ``gateway.remote.remotePort``.
        transport: ``gateway.remote.transport``: ``ssh`` or ``direct``.
        mode: ``gateway.mode``: ``local`` or ``remote``.
    """

    path: Path
    exists: bool = False
    gateway_port: int | None = None
    remote_url: str = ""
    remote_ssh_target: str = ""
    remote_ssh_identity: str = ""
    remote_port: int | None = None
    transport: str = ""
    mode: str = ""
    last_touched: str = ""
    config: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    env: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def remote_url_port(self) -> int | None:
        """The port that stands in ``gateway.remote.url``; None where the scheme decides."""
        return urlsplit(self.remote_url).port if self.remote_url else None


def load_openclaw(env: Mapping[str, str]) -> OpenClawSettings:
    """Find the file, read it and pick what a tunnel needs; a file that is not there is an empty one.

    Raises:
        ConfigError: the file cannot be used, with file, line and key.
    """
    path = config_file(env)
    document = load_raw(path)
    settings = pick_settings(document, path) if document else OpenClawSettings(path)
    return replace(settings, env=dict(env))


def load_raw(path: Path) -> Document | None:
    """The file as an object, before anything is picked from it; None where there is no file.

    Raises:
        ConfigError: it is not a JSON5 object of at most 2 MiB.
    """
    return load_document(path, _HINT)


def pick_settings(document: Document, path: Path) -> OpenClawSettings:
    """Pick and check the keys that a tunnel needs; all others are OpenClaw's business.

    Raises:
        ConfigError: one of them has a value that OpenClaw would not accept, or that leads nowhere.
    """
    gateway = document.root.section("gateway")
    remote = gateway.section("remote")
    return OpenClawSettings(
        path=path,
        exists=True,
        gateway_port=gateway.port("port"),
        remote_url=_url(remote),
        remote_ssh_target=_ssh_target(remote),
        remote_ssh_identity=remote.text("sshIdentity") or "",
        remote_port=remote.port("remotePort"),
        transport=remote.choice("transport", ("ssh", "direct")) or "",
        mode=gateway.choice("mode", ("local", "remote")) or "",
        last_touched=_last_touched(document),
        config=document.value,
    )


def _last_touched(document: Document) -> str:
    meta = document.value.get("meta")
    version = meta.get("lastTouchedVersion") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else ""


def _url(remote: Section) -> str:
    text = remote.text("url")
    if text is None:
        return ""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise remote.error(
            "url",
            "is not the URL of a gateway",
            'write ws://HOST:PORT: openclaw config set gateway.remote.url "ws://127.0.0.1:18789"',
        )
    return text


def _ssh_target(remote: Section) -> str:
    text = remote.text("sshTarget")
    if text is None:
        return ""
    target = text.removeprefix("ssh ").strip()
    try:
        parse_destination(target)
    except UsageError as error:
        raise _bad_target(remote, error) from None
    return target


def _bad_target(remote: Section, error: UsageError) -> ConfigError:
    return remote.error(
        "sshTarget",
        f"cannot be used: {error.message}",
        'write user@host or user@host:port: openclaw config set gateway.remote.sshTarget "me@host"',
    )
