"""OpenClaw's own settings: which file, and the part of it that a tunnel needs.

The rules of file selection and the schema are those of OpenClaw 2026.9.6.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from openclaw_tunnel.config.destination import parse_destination
from openclaw_tunnel.config.sshtokens import home_of
from openclaw_tunnel.config.text import Document, Section, load_document
from openclaw_tunnel.errors import ConfigError, UsageError

_HINT = "check the file with: openclaw config validate"
_UNSET = ("", "undefined", "null")
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

    @property
    def remote_url_port(self) -> int | None:
        """The port that stands in ``gateway.remote.url``; None where the scheme decides."""
        return urlsplit(self.remote_url).port if self.remote_url else None


def config_file(env: Mapping[str, str], exists: Callable[[Path], bool] = Path.exists) -> Path:
    """The file OpenClaw reads in this environment.

    ``OPENCLAW_CONFIG_PATH``, else ``openclaw.json`` of ``OPENCLAW_STATE_DIR``, else of ``.openclaw`` in the home;
    ``.clawdbot`` and ``clawdbot.json`` of earlier releases where the new names do not exist.
    ``OPENCLAW_PROFILE`` alone moves nothing.
    """
    home = openclaw_home(env)
    if path := _variable(env, "OPENCLAW_CONFIG_PATH"):
        return _full(path, home)
    if folder := _variable(env, "OPENCLAW_STATE_DIR"):
        state = _full(folder, home)
    else:
        state, legacy = home / ".openclaw", home / ".clawdbot"
        if not exists(state) and exists(legacy):
            state = legacy
    current, old = state / "openclaw.json", state / "clawdbot.json"
    return old if not exists(current) and exists(old) else current


def openclaw_home(env: Mapping[str, str]) -> Path:
    """``OPENCLAW_HOME``, else ``HOME``, else the home of the password database; absolute."""
    system = Path(_variable(env, "HOME") or home_of())
    own = _variable(env, "OPENCLAW_HOME")
    return _full(own, system) if own else Path(os.path.abspath(system))


def _variable(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "").strip()
    return "" if value in _UNSET else value


def _full(path: str, home: Path) -> Path:
    if path == "~" or path.startswith("~/"):
        path = str(home / path[2:])
    return Path(os.path.abspath(path))


def load_openclaw(env: Mapping[str, str]) -> OpenClawSettings:
    """Find the file, read it and pick what a tunnel needs; a file that is not there is an empty one.

    Raises:
        ConfigError: the file cannot be used, with file, line and key.
    """
    path = config_file(env)
    document = load_raw(path)
    return pick_settings(document, path) if document else OpenClawSettings(path)


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
    )


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
