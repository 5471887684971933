"""OpenClaw's own settings: the part of openclaw.json that a tunnel and its credentials need.

The rules of file selection and the schema are those of OpenClaw 2026.9.6.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.json5doc.document import Document, Section
from openclaw_tunnel.openclaw.credentials.values import section
from openclaw_tunnel.openclaw.layers import Loaded, read_openclaw, working_folder
from openclaw_tunnel.openclaw.paths import environment_port, profile_of, profile_port
from openclaw_tunnel.openclaw.schema import check_remote, check_secret
from openclaw_tunnel.ssh_config.destination import parse_destination

_SCHEMES = ("ws", "wss", "http", "https")
_AUTH_MODES = ("none", "token", "password", "trusted-proxy")


@dataclass(frozen=True, slots=True)
class OpenClawSettings:
    """What OpenClaw's settings say of the gateway; None or empty where they say nothing.

    Attributes:
        path: the file, whether it exists or not.
        gateway_port: ``OPENCLAW_GATEWAY_PORT``, else ``gateway.port``, else the port that goes with the profile.
        remote_url: ``gateway.remote.url``; may hold credentials, not for messages.
        remote_ssh_target: ``gateway.remote.sshTarget`` without a leading ``ssh ``; a valid SSH destination.
        remote_ssh_identity: ``gateway.remote.sshIdentity`` as written.
        remote_port: ``gateway.remote.remotePort``.
        transport: ``gateway.remote.transport``: ``ssh`` or ``direct``.
        mode: ``gateway.mode``: ``local`` or ``remote``.
        auth_mode: ``gateway.auth.mode``.
        tls_fingerprint: ``gateway.remote.tlsFingerprint`` as written.
        host_key_policy: ``gateway.remote.sshHostKeyPolicy``: ``strict`` or ``openssh``.
        last_touched: ``meta.lastTouchedVersion``, the release that wrote the file.
        loaded: the file and the environment it was read in; holds secrets.
    """

    path: Path
    gateway_port: int | None = None
    remote_url: str = field(default="", repr=False)
    remote_ssh_target: str = ""
    remote_ssh_identity: str = ""
    remote_port: int | None = None
    transport: str = ""
    mode: str = ""
    auth_mode: str = ""
    tls_fingerprint: str = ""
    host_key_policy: str = ""
    last_touched: str = ""
    loaded: Loaded = field(default_factory=lambda: Loaded(Path()), repr=False, compare=False)

    @property
    def remote_url_port(self) -> int | None:
        """The port that stands in ``gateway.remote.url``; None where the scheme decides."""
        return urlsplit(self.remote_url).port if self.remote_url else None

    @property
    def config(self) -> Mapping[str, Any]:
        """The parts of the file that were read, complete; holds secrets."""
        return self.loaded.document.value if self.loaded.document else {}

    @property
    def env(self) -> Mapping[str, str]:
        """The process's environment with what ``.env`` files and ``env.vars`` add to it; holds secrets."""
        return self.loaded.env


def load_openclaw(env: Mapping[str, str], cwd: Path | None = None) -> OpenClawSettings:
    """Find the files, read them and pick what a tunnel needs; a file that is not there is an empty one.

    Args:
        env: the process's environment.
        cwd: the working folder, whose ``.env`` is read; by default the process's own.

    Raises:
        ConfigError: a file cannot be used, with file, line and key.
    """
    loaded = read_openclaw(env, cwd or working_folder())
    settings = pick_settings(loaded.document, loaded.path) if loaded.document else OpenClawSettings(loaded.path)
    profile = profile_of(loaded.env)
    port = environment_port(loaded.env) or settings.gateway_port or (profile_port(profile) if profile else None)
    return replace(settings, gateway_port=port, loaded=loaded)


def pick_settings(document: Document, path: Path) -> OpenClawSettings:
    """Pick and check the keys that a tunnel needs; all others are OpenClaw's business.

    Raises:
        ConfigError: one of them has a value that OpenClaw would not accept, or that leads nowhere; or
            ``gateway.remote`` has a key that OpenClaw does not know.
    """
    gateway = document.root.section("gateway")
    remote, auth = gateway.section("remote"), gateway.section("auth")
    check_remote(remote)
    check_secret(auth, "token")
    check_secret(auth, "password")
    return OpenClawSettings(
        path=path,
        gateway_port=gateway.port("port"),
        remote_url=_url(remote),
        remote_ssh_target=_ssh_target(remote),
        remote_ssh_identity=remote.text("sshIdentity") or "",
        remote_port=remote.port("remotePort"),
        transport=remote.text("transport") or "",
        mode=gateway.choice("mode", ("local", "remote")) or "",
        auth_mode=auth.choice("mode", _AUTH_MODES) or "",
        tls_fingerprint=remote.text("tlsFingerprint") or "",
        host_key_policy=remote.text("sshHostKeyPolicy") or "",
        last_touched=_last_touched(document),
    )


def _last_touched(document: Document) -> str:
    version = section(document.value, "meta").get("lastTouchedVersion")
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
        hint = 'write ws://HOST:PORT: openclaw config set gateway.remote.url "ws://127.0.0.1:18789"'
        raise remote.error("url", "is not the URL of a gateway", hint)
    return text


def _ssh_target(remote: Section) -> str:
    text = remote.text("sshTarget")
    if text is None:
        return ""
    target = text.removeprefix("ssh ").strip()
    try:
        parse_destination(target)
    except UsageError as error:
        hint = 'write user@host or user@host:port: openclaw config set gateway.remote.sshTarget "me@host"'
        raise remote.error("sshTarget", f"cannot be used: {error.message}", hint) from None
    return target
