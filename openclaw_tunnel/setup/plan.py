"""What ``setup`` is to do, from what it found: ports, settings, the words for each step. Pure."""

import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from openclaw_tunnel.core.spec import DEFAULT_GATEWAY_PORT, LOOPBACK
from openclaw_tunnel.errors import CredentialError, ExitCode, TunnelError, UsageError
from openclaw_tunnel.json5doc.edit import Patch
from openclaw_tunnel.openclaw.credentials.secretref import Secret, holds_reference, read_input
from openclaw_tunnel.settings.auto_port import MOST, STEP
from openclaw_tunnel.ssh_config.destination import parse_destination
from openclaw_tunnel.ui.tunnelrows import clean

OTHERS_OWN = ("token", "password", "edgeAuth", "tlsFingerprint", "sshHostKeyPolicy", "sshIdentity")
"""Keys of ``gateway.remote`` that are meant for one gateway: never for the next."""

_LAST_PORT = 65535
_LOCAL = ("127.0.0.1", "localhost", "::1")
_NAME_WIDTH, _MARK_WIDTH = 9, 8


class Mark(StrEnum):
    """What became of a step."""

    OK = "ok"
    KEPT = "kept"
    CHANGED = "changed"
    SKIPPED = "skipped"
    WOULD = "would"


@dataclass(frozen=True, slots=True)
class Step:
    """One step that has ended; ``words`` hold no secret."""

    name: str
    mark: Mark
    words: str

    def text(self, width: int | None = None, paint: "Paint | None" = None) -> str:
        """The step as a line; wrapped to ``width`` columns where one is given, its mark in the colour that it gets."""
        name, mark = f"{self.name:<{_NAME_WIDTH}}", f"{self.mark:<{_MARK_WIDTH}}"
        indent = len(name) + len(mark) + 2
        head = f"{name} {paint(self.mark, mark) if paint else mark} "
        if not width:
            return head + self.words
        room = max(30, width - indent)
        lines = textwrap.wrap(self.words, room, break_long_words=False, break_on_hyphens=False)
        return ("\n" + " " * indent).join([head + lines[0], *lines[1:]] if lines else [head])


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of ``setup``.

    Attributes:
        target: the destination as it was typed.
        identity, ssh_config: absolute; empty where not given.
        token: from ``--token-file``; None where not given.
        replace: settings that lead to another gateway may make way.
    """

    target: str
    dry_run: bool = False
    local_port: int | None = None
    remote_port: int | None = None
    identity: str = ""
    ssh_config: str = ""
    fingerprint: str = ""
    token: Secret | None = None
    no_token: bool = False
    no_service: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What openclaw.json here says of this gateway already; nothing where it leads to another.

    Attributes:
        local_port, remote_port: None where it says nothing.
        secrets: ``token`` and ``password`` as they are written there: text, or a reference.
    """

    local_port: int | None = None
    remote_port: int | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on the way to the gateway.

    Attributes:
        address: ``user@host:port`` of the SSH server.
        port: the gateway's, there.
        kind, secret: what is to be set; None: nothing new.
        can_ask: it can be asked about its health: there is a secret, or it wants none.
    """

    address: str
    port: int
    kind: str = "token"
    secret: Secret | None = None
    can_ask: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
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


@dataclass(frozen=True, slots=True)
class Moved:
    """A local port, and why it is not the first that came into question (empty: it is)."""

    port: int
    why: str = ""


Paint = Callable[[Mark, str], str]
"""Gives the word of a mark its colour."""


class Report:
    """Shows each step as it ends, and remembers whether anything changed.

    Args:
        home: the user's home, which is shown as ``~``.
        width: columns of the terminal; None: there is none.
        paint: colours the marks; None: nothing has colours.

    Attributes:
        doing: told what goes on, as in "logging in to gw"; whoever shows it sets it.
    """

    def __init__(
        self, say: Callable[[str], None], home: str = "", width: int | None = None, paint: Paint | None = None
    ) -> None:
        self.doing: Callable[[str], None] = lambda what: None
        self._say = say
        self._width = width
        self._paint = paint
        self._home = home.rstrip("/")
        self.changed = False

    def done(self, name: str, mark: Mark, words: str) -> None:
        """A step has ended."""
        self.changed |= mark in (Mark.CHANGED, Mark.WOULD)
        self._say(Step(name, mark, clean(self.short(words))).text(self._width, self._paint))

    def short(self, words: str) -> str:
        """The words with the user's home as ``~``."""
        return words.replace(f"{self._home}/", "~/") if self._home else words


def target_for_settings(typed: str) -> str:
    """The destination as ``gateway.remote.sshTarget`` takes it, which knows no ``ssh://``.

    Raises:
        UsageError: it is no destination.
    """
    asked = parse_destination(typed)
    if typed[:6].lower() != "ssh://":
        return typed
    host = f"[{asked.host}]" if ":" in asked.host else asked.host
    user = f"{asked.user}@" if asked.user else ""
    return f"{user}{host}" + (f":{asked.port}" if asked.port else "")


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


def settings_patch(gateway: Mapping[str, Any], wanted: Wanted, *, remote_mode: bool) -> Patch:
    """What has to change in openclaw.json; empty where it says all of it already.

    Args:
        gateway: its ``gateway`` as it stands.
        remote_mode: set ``gateway.mode``, too; without it the tunnel works, and OpenClaw's own commands do not use it.
    """
    remote = gateway.get("remote")
    remote = remote if isinstance(remote, Mapping) else {}
    aims: dict[str, Any] = {"transport": "ssh", "remotePort": wanted.remote_port}
    if leads_elsewhere(remote, wanted.target):
        aims |= {key: None for key in OTHERS_OWN if key in remote}
    if not _is_local_url(remote.get("url"), wanted.local_port):
        aims["url"] = f"ws://{LOOPBACK}:{wanted.local_port}"
    if not _same(str(remote.get("sshTarget") or ""), wanted.target):
        aims["sshTarget"] = wanted.target
    if wanted.identity:
        aims["sshIdentity"] = wanted.identity
    if wanted.secret:
        aims[wanted.kind] = wanted.secret.reveal()
    changed = {key: aims[key] for key in _ORDER if key in aims and remote.get(key) != aims[key]}
    mode = {"mode": "remote"} if remote_mode and gateway.get("mode") != "remote" else {}
    patch = {**mode, **({"remote": changed} if changed else {})}
    return {"gateway": patch} if patch else {}


_ORDER = (
    "url",
    "transport",
    "sshTarget",
    "sshIdentity",
    "remotePort",
    "token",
    "password",
    "edgeAuth",
    "tlsFingerprint",
    "sshHostKeyPolicy",
)


def hide_secrets(patch: Patch) -> Patch:
    """The same patch as it may be shown."""
    remote = patch.get("gateway", {}).get("remote", {})
    hidden = {k: f"THE {k.upper()}" if k in ("token", "password") and v is not None else v for k, v in remote.items()}
    return {"gateway": {**patch["gateway"], **({"remote": hidden} if remote else {})}} if "gateway" in patch else patch


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


def check_secret_text(secret: Secret, source: str) -> Secret:
    """The secret, if openclaw.json can hold it as it is.

    Raises:
        CredentialError: OpenClaw would take it for a reference or a placeholder.
    """
    if read_input(secret.reveal(), {}, shorthand=True) == secret and not holds_reference(secret):
        return secret
    raise CredentialError(
        f"{source} reads as a reference or a placeholder, not as a secret",
        hint="give the gateway's own token: --token-file FILE; or leave it out: --no-token",
    )


def choose_remote_port(asked: int | None, told: int | None) -> int:
    """The gateway's port there: the option, else what its own settings say, else the usual one."""
    return asked or told or DEFAULT_GATEWAY_PORT


def local_ports(first: Iterable[int | None], remote: int) -> list[int]:
    """Local ports in the order in which they come into question.

    Args:
        first: what is configured already, the best first.
        remote: the gateway's own port, which is the best where nothing is configured.
    """
    usual = range(remote, min(remote + STEP * MOST, _LAST_PORT + 1), STEP)
    return list(dict.fromkeys(port for port in (*first, *usual) if port))


def pick_port(ports: Iterable[int], is_ours: Callable[[int], bool], why_taken: Callable[[int], str]) -> Moved:
    """The first port that is free or held by the tunnel itself.

    Args:
        why_taken: who has a port; empty where nobody has.

    Raises:
        TunnelError: there is none.
    """
    why = ""
    for port in ports:
        taken = "" if is_ours(port) else why_taken(port)
        if not taken:
            return Moved(port, why)
        why = why or f"{port} is used by {taken}"
    raise TunnelError(
        f"no local port is free: {why}", hint="choose one: --local-port PORT", exit_code=ExitCode.LOCAL_PORT
    )


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
