"""Our own settings, ``tunnels.json5``: tunnels by name, and the numbers of the policy.

For example::

    {
      tunnels: {
        default: { target: "me@gateway-host", hold: 20 },
        work: { target: "work-gateway", localPort: "auto", forwards: ["8080:127.0.0.1:80"] },
        lab: { target: "lab", extraPorts: false },         // the gateway's port alone
        shop: { target: "shop", browserControl: true },    // the gateway's browser control as well
      },
      notifications: false, hooks: { up: ["mount-share"] },   // see config.hooks; each tunnel may have its own
      policy: { keepaliveInterval: 30 },   // for all tunnels; each may have its own
      openclawContract: "auto",            // or the order of credentials of a release: "2026.5", "2026.9"
    }
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Forward, PortChoice, Probe, check_name, parse_bind, parse_forward
from openclaw_tunnel.errors import ConfigError, UsageError
from openclaw_tunnel.json5doc.document import Document, Section, load_document, shown
from openclaw_tunnel.openclaw.credentials.contracts import AUTO, CONTRACT_CHOICES
from openclaw_tunnel.settings.hooks import ANNOUNCE_KEYS, read_announce
from openclaw_tunnel.settings.up_options import KEYED, Kind, Option
from openclaw_tunnel.ssh_config.destination import parse_destination
from openclaw_tunnel.ssh_config.tokens import expand_home

HINT = "mend the file there"
_WEEK = 7 * 86400.0
_MOST_COUNT = 1000
_LEAST_TIME = 0.01  # seconds; a deadline or a beat shorter than that is a slip of the unit
_LEAST_TIMES = MappingProxyType({"hold": 0.0, "stable_after": 0.0, "dial_gap": 0.1})
"""Of these; without a gap, clients that wait would make a server that refuses be dialled a hundred times a second."""
POLICY_KEYS: Mapping[str, str] = MappingProxyType(
    {re.sub("_(.)", lambda m: m[1].upper(), f.name): f.name for f in fields(Policy)}
)
"""The keys of ``policy``, with the fields of ``Policy`` they set."""

TUNNEL_KEYS = (*(option.key for option in KEYED), "browserControl", *ANNOUNCE_KEYS, "policy")
"""The keys of a tunnel."""


@dataclass(frozen=True, slots=True)
class TunnelEntry:
    """One tunnel of the file; None or empty where it says nothing.

    ``identity`` and ``ssh_config`` are absolute: relative paths start at the file's folder. ``policy`` is complete:
    the defaults, changed by the file's ``policy``, by the tunnel's own, by ``hold``. ``local_port`` may be ``auto``.
    """

    name: str
    target: str = ""
    local_port: int | str | None = None
    remote_port: int | None = None
    bind: str = ""
    identity: str = ""
    ssh_config: str = ""
    forwards: tuple[Forward, ...] = ()
    probe: Probe | None = None
    allow_remote_clients: bool = False
    extra_ports: bool | None = None
    browser_control: bool = False
    announce: Announce = field(default_factory=Announce)
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class TunnelsFile:
    """The whole file; ``policy`` and ``announce`` are for tunnels that have no entry, ``contract`` as
    ``choose_contract`` takes it.

    ``document`` is the file as it was read, for its lines; None where there is none.
    """

    path: Path
    tunnels: Mapping[str, TunnelEntry] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    announce: Announce = field(default_factory=Announce)
    contract: str = AUTO
    document: Document | None = field(default=None, repr=False, compare=False)


def load_tunnels(path: Path) -> TunnelsFile:
    """Read the file; a missing one is one without tunnels.

    Raises:
        ConfigError: it cannot be used; file, line and key are named, and the known keys where one is unknown.
    """
    document = load_document(path, HINT)
    return read_tunnels(document, path) if document else TunnelsFile(path)


def read_tunnels(document: Document, path: Path) -> TunnelsFile:
    """What a file says; relative paths in it start at the folder of ``path``.

    Raises:
        ConfigError: as ``load_tunnels``.
    """
    root = document.root.only(("tunnels", *ANNOUNCE_KEYS, "policy", "openclawContract"))
    general = TunnelEntry(
        "", policy=_policy(root.section("policy"), Policy()), announce=read_announce(root, Announce(), path)
    )
    tunnels = root.section("tunnels")
    entries = {name: _entry(tunnels, name, general, path) for name in tunnels.values}
    contract = root.choice("openclawContract", CONTRACT_CHOICES) or AUTO
    return TunnelsFile(path, MappingProxyType(entries), general.policy, general.announce, contract, document)


def _entry(tunnels: Section, name: str, general: TunnelEntry, path: Path) -> TunnelEntry:
    """``general``: what is said for all tunnels."""
    try:
        check_name(name)
    except UsageError as error:
        raise tunnels.error(name, "cannot be the name of a tunnel", error.hint) from None
    section = tunnels.section(name).only(TUNNEL_KEYS)
    policy = _policy(section.section("policy"), general.policy)
    given = {option.entry: _value(section, option, path.parent) for option in KEYED}
    hold = given.pop("hold")
    return TunnelEntry(
        name=name,
        **{setting: value for setting, value in given.items() if value is not None},
        browser_control=bool(section.flag("browserControl")),
        announce=read_announce(section, general.announce, path),
        policy=policy if hold is None else replace(policy, hold=hold),
    )


def _value(section: Section, option: Option, folder: Path) -> Any:
    """What a tunnel's section says in place of an option of ``up``; None where it says nothing."""
    key = option.key
    match option.kind:
        case Kind.TARGET:
            return _checked(section, key, parse_destination)
        case Kind.ADDRESS:
            return _checked(section, key, parse_bind)
        case Kind.LOCAL_PORT:
            return _local_port(section, key)
        case Kind.PORT:
            return section.port(key)
        case Kind.FILE | Kind.SSH_CONFIG:
            return _path(section, key, folder)
        case Kind.FORWARDS:
            return _forwards(section, key)
        case Kind.SECONDS:
            return section.number(key, least=0, most=_WEEK)
        case Kind.PROBE:
            text = section.choice(key, tuple(Probe))
            return Probe(text) if text else None
    return section.flag(key)


def _local_port(section: Section, key: str) -> int | str | None:
    value = section.values.get(key)
    if isinstance(value, str) and value != PortChoice.AUTO:
        raise section.error(key, f'must be a port from 1 to 65535 or "{PortChoice.AUTO}", not {shown(value)}')
    return str(PortChoice.AUTO) if value == PortChoice.AUTO else section.port(key)


def _policy(section: Section, base: Policy) -> Policy:
    """``base`` with what the section changes."""
    section.only(tuple(POLICY_KEYS))
    changes: dict[str, Any] = {}
    for key, name in POLICY_KEYS.items():
        if isinstance(getattr(base, name), int):
            value = section.number(key, least=1, most=_MOST_COUNT, whole=True)
        else:
            value = section.number(key, least=_LEAST_TIMES.get(name, _LEAST_TIME), most=_WEEK)
        if value is not None:
            changes[name] = value
    policy = replace(base, **changes)
    if policy.backoff_first > policy.backoff_max:
        key = "backoffFirst" if "backoffFirst" in section.values else "backoffMax"
        raise section.error(key, "leaves backoffFirst larger than backoffMax")
    return policy


def _checked(section: Section, key: str, check: Any) -> str:
    text = section.text(key) or ""
    if text:
        try:
            check(text)
        except UsageError as error:
            raise section.error(key, f"cannot be used: {error.message}", error.hint) from None
    return text


def _path(section: Section, key: str, folder: Path) -> str:
    text = section.text(key)
    if not text:
        return ""
    try:
        return os.path.abspath(folder / expand_home(text, key))
    except ConfigError as error:
        raise section.error(key, f"cannot be used: {error.message}", error.hint) from None


def _forwards(section: Section, key: str) -> tuple[Forward, ...]:
    forwards = []
    for index, text in enumerate(section.texts(key)):
        try:
            forwards.append(parse_forward(text))
        except UsageError as error:
            keys = (*section.keys, key, index)
            raise section.document.error(keys, f"cannot be used: {error.message}", error.hint) from None
    return tuple(forwards)
