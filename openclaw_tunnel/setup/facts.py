"""What ``setup`` knows before it decides: this computer's settings first, then what was looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ConfigError, TunnelError, UsageError
from openclaw_tunnel.gateway.verdict import Judgement
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.json5doc.document import load_document
from openclaw_tunnel.openclaw.layers import HINT
from openclaw_tunnel.openclaw.remote_host import RemoteGateway
from openclaw_tunnel.openclaw.settings import OpenClawSettings
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.resolve import Choice, UpOptions, choose_tunnel
from openclaw_tunnel.settings.tunnels_file import TunnelEntry, TunnelsFile
from openclaw_tunnel.setup.patch import leads_elsewhere
from openclaw_tunnel.setup.steps import Options
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey, KeyToMake
from openclaw_tunnel.ssh.hostkeys.trust import Found as HostKey
from openclaw_tunnel.ssh_config.destination import parse_destination


@dataclass(frozen=True, slots=True)
class Existing:
    """What openclaw.json says of this gateway already; nothing where it leads to another.

    Attributes:
        local_port, remote_port: None where it says nothing.
        secrets: ``token`` and ``password`` as they are written there: text, or a reference.
    """

    local_port: int | None = None
    remote_port: int | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Local:
    """What the settings of this computer say.

    Attributes:
        entry: the tunnel that later commands without an option mean; its target is as openclaw.json has it.
        identity: the private key file to log in with; empty: ssh_config decides.
        ssh_config: the file for ``-F``; empty: the user's and the system's.
        gateway: ``gateway`` of openclaw.json.
        elsewhere: where the settings lead, if that is another gateway.
        home: the user's home, which is shown as ``~``.
    """

    entry: TunnelEntry
    identity: str
    ssh_config: str
    settings: OpenClawSettings
    tunnels: TunnelsFile
    gateway: Mapping[str, Any] = field(repr=False)
    elsewhere: str
    existing: Existing
    home: str


@dataclass(frozen=True, slots=True)
class Computer:
    """What runs on this computer.

    Attributes:
        no_service: why no service can be installed; empty where one can.
        has_service: the tunnel has one.
        running: the tunnel, where it runs.
    """

    no_service: str
    has_service: bool
    running: Snapshot | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found so far, as it was found: what is changed afterwards does not change it.

    Attributes:
        login: how the login succeeded, or why it was refused where nobody could be asked for a password.
        key: the one to install.
        remote: what OpenClaw's settings on the host say.
        probes: of the ports that came into question, in turn.
        ports: local ports, in turn, and who has each (empty: nobody); those after the first free one are missing.
    """

    local: Local
    host: HostKey | None = None
    login: HowIn | TunnelError | None = None
    key: ChosenKey | KeyToMake | None = None
    remote: RemoteGateway | None = None
    probes: tuple[Judgement, ...] = ()
    computer: Computer | None = None
    ports: tuple[tuple[int, str], ...] = ()


def read_local(options: Options, env: Mapping[str, str], paths: Paths) -> Local:
    """Read the settings.

    Raises:
        UsageError: the target is none, or is a tunnel of tunnels.json5.
        ConfigError: the settings cannot be read; or later commands would mean another host, or another port each time.
    """
    read = Settings.load(env, paths.tunnels_file)
    settings, tunnels = read.openclaw, read.tunnels
    target = target_for_settings(options.target)
    if options.target in tunnels.tunnels:
        raise UsageError(
            f"{options.target} is a tunnel of {tunnels.path} already",
            hint=f"open it: openclaw-tunnel up -d {options.target}; or give setup the host itself: user@host",
        )
    gateway = _object(settings.config.get("gateway"))
    remote = _object(gateway.get("remote"))
    elsewhere = leads_elsewhere(remote, target)
    identity = "" if elsewhere else settings.remote_ssh_identity
    after = replace(settings, remote_ssh_target=target, remote_ssh_identity=identity)
    choice = choose_tunnel(UpOptions(), replace(read, openclaw=after), env)
    _check_choice(choice, target, options.target, tunnels)
    return Local(
        choice.entry,
        options.identity or choice.identity,
        options.ssh_config or choice.entry.ssh_config,
        settings,
        tunnels,
        gateway,
        elsewhere,
        Existing() if elsewhere or not remote else _existing(settings, remote),
        env.get("HOME", ""),
    )


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


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _existing(settings: OpenClawSettings, remote: Mapping[str, Any]) -> Existing:
    raw = load_document(settings.path, HINT)
    written = raw.value.get("gateway", {}).get("remote", {}) if raw else {}
    secrets = {key: written.get(key, remote.get(key)) for key in ("token", "password") if key in remote}
    return Existing(settings.remote_url_port, settings.remote_port, secrets)


def _check_choice(choice: Choice, target: str, typed: str, tunnels: TunnelsFile) -> None:
    entry = choice.entry
    if entry.target != target:
        raise ConfigError(
            f"{tunnels.path}: the tunnel {entry.name} leads to {entry.target}, and is the one that commands "
            "without a name mean",
            hint=f"take target out of tunnels.{entry.name}, or open this one by hand: "
            f"openclaw-tunnel up -d -n NAME {typed}",
        )
    if not isinstance(entry.local_port, int | None):
        raise ConfigError(
            f"{tunnels.path}: tunnels.{entry.name} has localPort {entry.local_port!r}, and openclaw.json names one",
            hint="take localPort out there: setup looks for a free port, too, and keeps it",
        )
