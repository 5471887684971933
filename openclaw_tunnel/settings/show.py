"""What every setting comes to, and where it is said: for people. No secret, nor anything about one, is in it."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from openclaw_tunnel.core.notify.hook_events import HookEvent
from openclaw_tunnel.core.spec import DEFAULT_GATEWAY_PORT, DEFAULT_NAME
from openclaw_tunnel.json5doc.document import Document
from openclaw_tunnel.json5doc.lines import KeyPath, dotted
from openclaw_tunnel.openclaw.credentials.contracts import AUTO, choose_contract
from openclaw_tunnel.openclaw.paths import environment_port, profile_of
from openclaw_tunnel.openclaw.settings import OpenClawSettings
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.tunnels_file import POLICY_KEYS, TunnelEntry, TunnelsFile
from openclaw_tunnel.settings.up_options import KEYED
from openclaw_tunnel.ssh_config.query import SSH_CONFIG_VARIABLE

DEFAULT = "default"
NOT_SET = "not set"
VARIABLES = (
    "OPENCLAW_HOME",
    "OPENCLAW_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_PROFILE",
    "OPENCLAW_INCLUDE_ROOTS",
    "OPENCLAW_GATEWAY_URL",
    "OPENCLAW_GATEWAY_PORT",
    "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS",
    "OPENCLAW_TUNNEL_HOME",
    "OPENCLAW_TUNNEL_SSH_CONFIG",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name, what it comes to (None: nothing), and where that is said. JSON has the same fields."""

    name: str
    value: str | int | float | bool | list[str] | None
    source: str

    @property
    def words(self) -> str:
        """The value as a person reads it."""
        if self.value is None:
            return NOT_SET
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if isinstance(self.value, list):
            return ", ".join(self.value) or "none"
        return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)


def all_settings(read: Settings, env: Mapping[str, str]) -> list[Setting]:
    """Every setting that concerns us, OpenClaw's first.

    Args:
        env: the process's environment.
    """
    settings, file = read.openclaw, read.tunnels
    general = TunnelEntry(profile_of(env) or DEFAULT_NAME, policy=file.policy, announce=file.announce)
    entries = list(file.tunnels.values()) or [general]
    return [
        *_variables(settings),
        *_gateway(settings),
        _contract(settings, file),
        *(setting for entry in entries for setting in _tunnel(entry, settings, file, env)),
    ]


def variable_source(settings: OpenClawSettings, name: str) -> str:
    """``env NAME``, with the file that set it where that was not the process's environment."""
    source = settings.loaded.sources.get(name)
    return f"env {name}" + (f", from {source}" if source else "")


def safe_url(text: str) -> str:
    """A URL without user, password, query and fragment: tokens travel in them."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not a URL)"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _variables(settings: OpenClawSettings) -> Iterator[Setting]:
    for name in VARIABLES:
        value = settings.env.get(name, "").strip()
        if value:
            shown = safe_url(value) if name.endswith("_URL") else value
            yield Setting(name, shown, variable_source(settings, name))


def _gateway(settings: OpenClawSettings) -> Iterator[Setting]:
    document = settings.loaded.document

    def said(keys: KeyPath, value: Any, default: str = NOT_SET) -> Setting:
        return Setting(dotted(keys), value or None, _place(document, keys) or default)

    yield said(("gateway", "mode"), settings.mode or "local", DEFAULT)
    yield Setting("gateway.port", settings.gateway_port or DEFAULT_GATEWAY_PORT, _port_source(settings))
    yield said(("gateway", "auth", "mode"), settings.auth_mode)
    remote = ("gateway", "remote")
    yield said((*remote, "url"), safe_url(settings.remote_url) if settings.remote_url else None)
    yield said((*remote, "transport"), settings.transport or "ssh", DEFAULT)
    yield said((*remote, "sshTarget"), settings.remote_ssh_target)
    yield said((*remote, "sshIdentity"), settings.remote_ssh_identity)
    yield said((*remote, "remotePort"), settings.remote_port)
    yield said((*remote, "sshHostKeyPolicy"), settings.host_key_policy)
    yield said((*remote, "tlsFingerprint"), settings.tls_fingerprint)
    headers = document.root.section("gateway").section("remote").section("edgeAuth").values if document else {}
    yield said((*remote, "edgeAuth"), sorted(headers))


def _port_source(settings: OpenClawSettings) -> str:
    if environment_port(settings.env):
        return variable_source(settings, "OPENCLAW_GATEWAY_PORT")
    place = _place(settings.loaded.document, ("gateway", "port"))
    if place:
        return place
    profile = profile_of(settings.env)
    return f"profile {profile}" if profile else DEFAULT


def _contract(settings: OpenClawSettings, file: TunnelsFile) -> Setting:
    source = _place(file.document, ("openclawContract",))
    if not source or file.contract == AUTO:
        release = settings.last_touched
        source = f"auto: openclaw.json was last written by {release}" if release else "auto: no release wrote the file"
    return Setting("openclawContract", choose_contract(file.contract, settings.last_touched).name, source)


def _tunnel(
    entry: TunnelEntry, settings: OpenClawSettings, file: TunnelsFile, env: Mapping[str, str]
) -> Iterator[Setting]:
    base: KeyPath = ("tunnels", entry.name)

    def said(key: str, value: Any, *others: tuple[Any, str], default: Any = None) -> Setting:
        """The file's own value, else the first of the others that is set, else the default."""
        own = "" if value in (None, "", ()) else _place(file.document, (*base, key))
        last = (default, DEFAULT if default is not None else NOT_SET)
        shown, source = (value, own) if own else next((o for o in others if o[0] and o[1]), last)
        plain = [str(forward) for forward in shown] if isinstance(shown, tuple) else shown  # as JSON has it
        return Setting(dotted((*base, key)), plain, source)

    url = (settings.remote_url_port, "gateway.remote.url")
    remote = (settings.remote_port, "gateway.remote.remotePort")
    gateway = (settings.gateway_port, _port_source(settings))
    identity = (settings.remote_ssh_identity, "gateway.remote.sshIdentity")
    elsewhere: Mapping[str, tuple[tuple[Any, str], ...]] = {
        "target": ((settings.remote_ssh_target, "gateway.remote.sshTarget"),),
        "localPort": (url, remote, gateway),
        "remotePort": (remote, url, gateway),
        "identity": () if entry.target else (identity,),
        "sshConfig": ((env.get(SSH_CONFIG_VARIABLE), f"env {SSH_CONFIG_VARIABLE}"),),
    }
    for option in KEYED:
        if option.key not in POLICY_KEYS:
            value = getattr(entry, option.entry)
            yield said(option.key, value, *elsewhere.get(option.key, ()), default=option.default)
    yield said("browserControl", entry.browser_control, default=False)
    yield from _announce(entry, file)
    for key, name in POLICY_KEYS.items():
        yield Setting(dotted((*base, "policy", key)), getattr(entry.policy, name), _policy_source(entry, file, key))


def _announce(entry: TunnelEntry, file: TunnelsFile) -> Iterator[Setting]:
    """Commands are shown as a shell would take them."""
    base: KeyPath = ("tunnels", entry.name)
    hooks = [(("hooks", str(event)), shlex.join(entry.announce.command(event)) or None) for event in HookEvent]
    values: list[tuple[KeyPath, bool | str | None]] = [(("notifications",), entry.announce.notifications), *hooks]
    for keys, value in values:
        source = _place(file.document, (*base, *keys)) or _place(file.document, keys)
        yield Setting(dotted((*base, *keys)), value, source or (NOT_SET if value is None else DEFAULT))


def _policy_source(entry: TunnelEntry, file: TunnelsFile, key: str) -> str:
    own: KeyPath = ("tunnels", entry.name)
    alone = [(*own, option.key) for option in KEYED if option.key == key]
    places = [*alone, (*own, "policy", key), ("policy", key)]
    return next((place for keys in places if (place := _place(file.document, keys))), DEFAULT)


def _place(document: Document | None, keys: KeyPath) -> str:
    """File and line where a key is; empty where it is not."""
    value: Any = document.value if document else {}
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return ""
        value = value[key]
    return document.place(keys) if document else ""
