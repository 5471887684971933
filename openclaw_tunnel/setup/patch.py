"""What ``setup`` changes in openclaw.json: ``gateway`` as it stands, and as it shall be. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from openclaw_tunnel.core.spec import LOOPBACK
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.json5doc.edit import Patch
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.ssh_config.destination import parse_destination

OTHERS_OWN = ("token", "password", "edgeAuth", "tlsFingerprint", "sshHostKeyPolicy", "sshIdentity")
"""Keys of ``gateway.remote`` that are meant for one gateway: never for the next."""

_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Desired:
    """What ``gateway`` of openclaw.json shall say.

    Attributes:
        target: the SSH destination, as OpenClaw writes it.
        identity: private key file; empty: ssh_config decides.
        kind: ``token`` or ``password``: what ``secret`` is.
        secret: None: the one that is there stays, if it is this gateway's.
    """

    target: str
    local_port: int
    remote_port: int
    identity: str = ""
    kind: str = "token"
    secret: Secret | None = None


def leads_elsewhere(remote: Mapping[str, Any], target: str) -> str:
    """Where ``gateway.remote`` leads now, if that is not ``target``; empty where it says nothing else."""
    there, url = remote.get("sshTarget"), remote.get("url")
    if isinstance(there, str) and there.strip():
        there = there.removeprefix("ssh ").strip()
        return "" if _same(there, target) else there
    if isinstance(url, str) and url.strip():
        host = _host_of(url)
        return "" if host in _LOCAL else host or "another gateway"
    return ""


def settings_patch(gateway: Mapping[str, Any], desired: Desired, *, remote_mode: bool) -> Patch:
    """What has to change in openclaw.json; empty where it says all of it already.

    Args:
        gateway: its ``gateway`` as it stands.
        remote_mode: set ``gateway.mode``, too; without it the tunnel works, and OpenClaw's own commands do not use it.
    """
    remote = gateway.get("remote")
    remote = remote if isinstance(remote, Mapping) else {}
    aims: dict[str, Any] = {"transport": "ssh", "remotePort": desired.remote_port}
    if leads_elsewhere(remote, desired.target):
        aims |= {key: None for key in OTHERS_OWN if key in remote}
    if not _is_local_url(remote.get("url"), desired.local_port):
        aims["url"] = f"ws://{LOOPBACK}:{desired.local_port}"
    if not _same(str(remote.get("sshTarget") or ""), desired.target):
        aims["sshTarget"] = desired.target
    if desired.identity:
        aims["sshIdentity"] = desired.identity
    if desired.secret:
        aims[desired.kind] = desired.secret.reveal()
    changed = {key: aims[key] for key in _ORDER if key in aims and remote.get(key) != aims[key]}
    mode = {"mode": "remote"} if remote_mode and gateway.get("mode") != "remote" else {}
    patch = {**mode, **({"remote": changed} if changed else {})}
    return {"gateway": patch} if patch else {}


_ORDER = ("url", "transport", "sshTarget", "sshIdentity", "remotePort", *OTHERS_OWN)


def snippet_of(patch: Patch) -> str:
    """What to add to the file by hand, as JSON5, without secrets."""
    remote = patch.get("gateway", {}).get("remote", {})
    hidden = {k: f"THE {k.upper()}" if k in ("token", "password") and v is not None else v for k, v in remote.items()}
    shown = {**patch, "gateway": {**patch["gateway"], "remote": hidden}} if remote else patch
    return json.dumps(shown, indent=2)


def changes_in_words(patch: Patch) -> str:
    """``gateway.mode, gateway.remote (url, sshTarget, token)``: the keys that change, then those that go."""
    gateway = patch.get("gateway", {})
    remote = gateway.get("remote", {})
    words = [f"gateway.{key}" for key in gateway if key != "remote"]
    if changed := [key for key, value in remote.items() if value is not None]:
        words.append(f"gateway.remote ({', '.join(changed)})")
    if gone := [key for key, value in remote.items() if value is None]:
        words.append(f"without the {', '.join(gone)} of the other gateway")
    return ", ".join(words)


def _same(one: str, other: str) -> bool:
    try:
        return one == other or parse_destination(one) == parse_destination(other)
    except UsageError:
        return False


def _is_local_url(url: Any, port: int) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url.strip())
        return parts.scheme == "ws" and parts.hostname in _LOCAL and parts.port == port and not parts.username
    except ValueError:
        return False


def _host_of(url: str) -> str:
    try:
        return urlsplit(url.strip()).hostname or ""
    except ValueError:
        return ""
