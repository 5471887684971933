"""The options of ``up``, each said once: in its field of :class:`UpOptions`, as a row of ``OPTIONS``.

From the rows come click's parameters (``cli.params``), the JSON that travels to the daemon, the arguments of a service
(``up_arguments``), the keys of a tunnel in tunnels.json5 and what ``config show`` says of them, and docs/settings.md.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from types import MappingProxyType
from typing import Any

from openclaw_tunnel.core.codec import read
from openclaw_tunnel.core.spec import DEFAULT_GATEWAY_PORT, DEFAULT_NAME, LOOPBACK, PortChoice, Probe
from openclaw_tunnel.host.paths import absolute_path
from openclaw_tunnel.ssh_config.tokens import NO_FILE, expand_home


class Kind(Enum):
    """What an option takes: in words, and as help shows it."""

    TARGET = "target", "TARGET"
    NAME = "name", "NAME"
    ADDRESS = "address", "ADDR"
    PORT = "port", "PORT"
    LOCAL_PORT = "local port", "PORT"  # a port, auto or new
    FILE = "file", "FILE"
    SSH_CONFIG = "ssh_config", "FILE"  # a file, or none
    FORWARDS = "forwards", "[BIND:]PORT:HOST:HOSTPORT"  # can be repeated
    SECONDS = "number of seconds", "SECONDS"
    PROBE = "probe", ""
    FLAG = "flag", ""

    def __init__(self, words: str, metavar: str) -> None:
        self.words, self.metavar = words, metavar


@dataclass(frozen=True, slots=True)
class Option:
    """One option of ``up``; the argument where it has no flags.

    Attributes:
        flags: as they are typed, the one that errors name first, the one that a service has last.
        help: without the default.
        key: of a tunnel in tunnels.json5; empty: it has none. ``--no-...`` and its key say the opposite.
        default: what ``config show`` and, but for a flag, help show where nobody says anything; None: nothing.
        default_words: the default as help has it; empty: help does not say it.
    """

    flags: tuple[str, ...]
    kind: Kind
    help: str
    key: str = ""
    default: str | int | bool | None = None
    default_words: str = ""

    @property
    def entry(self) -> str:
        """The field of ``TunnelEntry`` that its key sets; empty where it has none."""
        return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), self.key)


def _option(flags: str, kind: Kind, about: str, key: str = "", default: Any = None, words: str = "") -> Any:
    nothing = {Kind.FLAG: False, Kind.FORWARDS: ()}.get(kind)
    words = words or ("" if default is None or kind is Kind.FLAG else str(default))
    return field(default=nothing, metadata={"option": Option(tuple(flags.split()), kind, about, key, default, words)})


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What was typed, in the order in which help shows it; None, empty or False where nothing was.

    ``local_port`` is a port, or ``auto`` or ``new``: a free one that the tunnel keeps. ``hold`` is in seconds.

    ``identity`` and ``ssh_config`` become absolute when the options are made, so that they mean the same file in a
    daemon that works in another folder.

    Raises:
        ConfigError: a path begins with ``~user`` and there is no such user.
    """

    target: str | None = _option("", Kind.TARGET, "The SSH server: an alias of ssh_config or user@host.", "target")
    name: str | None = _option("-n --name", Kind.NAME, "Name of the tunnel.", default=DEFAULT_NAME)
    local_port: int | str | None = _option(
        "-p --local-port",
        Kind.LOCAL_PORT,
        "Local port; auto: a free one that the tunnel keeps from then on; new: another one.",
        "localPort",
        DEFAULT_GATEWAY_PORT,
    )
    remote_port: int | None = _option(
        "-r --remote-port", Kind.PORT, "Gateway's port.", "remotePort", DEFAULT_GATEWAY_PORT
    )
    bind: str | None = _option(
        "--bind", Kind.ADDRESS, "Local address.", "bind", LOOPBACK, f"{LOOPBACK}, and ::1 where there is one"
    )
    allow_remote_clients: bool = _option(
        "--allow-remote-clients",
        Kind.FLAG,
        "Allow an ADDR that other computers can reach.",
        "allowRemoteClients",
        default=False,
    )
    identity: str | None = _option("-i --identity", Kind.FILE, "Private key to log in with.", "identity")
    ssh_config: str | None = _option(
        "-F --ssh-config", Kind.SSH_CONFIG, "ssh_config to read instead of yours.", "sshConfig"
    )
    extra_forwards: tuple[str, ...] = _option("-L", Kind.FORWARDS, "Forward this as well.", "forwards")
    no_extra_ports: bool = _option(
        "--no-extra-ports",
        Kind.FLAG,
        "The gateway's own port only, not its widget sandbox.",
        "extraPorts",
        default=True,
    )
    hold: float | None = _option("--hold", Kind.SECONDS, "How long clients wait for a lost link.", "hold")
    probe: str | None = _option("--probe", Kind.PROBE, "What up means.", "probe", str(Probe.GATEWAY))

    def __post_init__(self) -> None:
        words = {Kind.FILE: "", Kind.SSH_CONFIG: NO_FILE}
        for name, option in OPTIONS.items():
            if option.kind in words:
                path = absolute(getattr(self, name), option.flags[0], words[option.kind])
                object.__setattr__(self, name, path)

    def kept(self) -> "UpOptions":
        """The options of a tunnel that has its local port: ``new`` was for once."""
        return replace(self, local_port="auto") if self.local_port == "new" else self

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "UpOptions":
        """Read what :meth:`to_json` wrote.

        Raises:
            TypeError: it is no such object.
        """
        # unlike elsewhere, what only a newer release knows is no option to pass over: somebody typed it
        if not isinstance(data, Mapping) or not data.keys() <= OPTIONS.keys():
            raise TypeError("no options of up")
        return read(cls, {name: value for name, value in data.items() if value is not None})


OPTIONS: Mapping[str, Option] = MappingProxyType({f.name: f.metadata["option"] for f in fields(UpOptions)})
"""Every option by its field, in the order of help."""

VALUES_FIRST = tuple(sorted(OPTIONS, key=lambda name: OPTIONS[name].kind is Kind.FLAG))
"""The same fields, flags at the end: the order of a service's arguments."""

KEYED = tuple(option for option in map(OPTIONS.get, VALUES_FIRST) if option and option.key)
"""The options that a tunnel of tunnels.json5 can have as well, in the order in which its keys are listed."""

PORT_WORDS = (str(PortChoice.AUTO), str(PortChoice.NEW))
"""What a local port may be besides a number."""


def up_arguments(options: UpOptions) -> tuple[str, ...]:
    """The options as words of a command line, flags at the end; ``cli.params`` reads them back."""
    words: list[str] = []
    for name in VALUES_FIRST:
        option, value = OPTIONS[name], getattr(options, name)
        if option.kind is Kind.FLAG:
            words += option.flags[-1:] * value
        elif value is not None:
            for one in value if option.kind is Kind.FORWARDS else (value,):
                words += (*option.flags[-1:], str(one).removesuffix(".0") if isinstance(one, float) else str(one))
    return tuple(words)


def absolute(path: str | None, option: str, word: str = "") -> str | None:
    """``path`` with ``~`` expanded and made absolute from the current folder.

    Args:
        option: for the error.
        word: is no path, and stays: ``none`` is what ssh takes for "read no file".

    Raises:
        ConfigError: it begins with ``~user`` and there is no such user; or it is relative to a folder that was removed.
    """
    return absolute_path(expand_home(path, option), option) if path and path != word else path or None
