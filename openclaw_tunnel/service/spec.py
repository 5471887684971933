"""What a service is to be, before it becomes text: names, program, arguments. Pure.

The options of ``up`` become arguments of the unit. That keeps one place to look at (the unit says all that was
asked for), leaves the user's hand-written ``tunnels.json5`` alone, and none of these options is a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from openclaw_tunnel.core.spec import DEFAULT_NAME, Endpoint
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.settings.up_options import UpOptions

LABEL = "ai.openclaw.ssh-tunnel"
"""The label of OpenClaw's documentation; a second tunnel adds ``.NAME``."""

LEGACY_LABEL = "com.openclaw.ssh-tunnel"
"""What older set-ups left behind."""

UNIT = "openclaw-tunnel"
SYSTEM_USER = "openclaw-tunnel"
"""The account of a service of the whole computer."""

SYSTEM_HOME = "/var/lib/openclaw-tunnel"

RUN = ("service", "run")
"""The hidden command that a service runs."""

PASSED_ON = (
    "OPENCLAW_TUNNEL_HOME",
    "OPENCLAW_TUNNEL_SSH_CONFIG",
    "OPENCLAW_HOME",
    "OPENCLAW_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_PROFILE",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
)
"""Variables that say where settings are: the service has to find the ones that this session has. None is a secret."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One service.

    Attributes:
        name: of the tunnel; empty: systemd's template, which puts in the instance's name.
        program: absolute path of ``openclaw-tunnel``.
        arguments: TARGET and the options of ``up``.
        environment: what is added to the manager's environment.
        listen: ports that the manager holds, the tunnel opening on first use; empty: it opens at once.
        log_dir: where launchd puts what the program says to nobody in particular.
        home: written as ``%h`` where a unit's program lies below it; empty: nothing is shortened.
        system: for the whole computer, under an account of its own.
    """

    name: str
    program: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None
    listen: tuple[Endpoint, ...] = ()
    log_dir: str = ""
    home: str = ""
    system: bool = False

    def __post_init__(self) -> None:
        for text in (self.program, *self.arguments, *(self.environment or {}).values()):
            if not text.isprintable():
                raise UsageError(f"a service cannot be given control characters: {text!r}")
        if not self.program.startswith("/"):
            raise UsageError(f"a service needs the whole path of its program, not {self.program!r}")


@dataclass(frozen=True, slots=True)
class PlainSpec:
    """A service that needs nothing but ``ssh``: the one of OpenClaw's documentation."""

    name: str
    arguments: tuple[str, ...]
    program: str = "/usr/bin/ssh"


def label_of(name: str) -> str:
    """launchd's name for the service of a tunnel."""
    return LABEL if name == DEFAULT_NAME else f"{LABEL}.{name}"


def unit_of(name: str, kind: str = "service") -> str:
    """systemd's name for the unit of a tunnel; ``kind`` is ``service`` or ``socket``."""
    return f"{UNIT}.{kind}" if name == DEFAULT_NAME else f"{UNIT}@{name}.{kind}"


def tunnel_of(unit: str) -> str:
    """The tunnel that a unit or a label is for; empty where it is none of ours."""
    stem = unit.rpartition(".")[0]
    if unit == LABEL or stem == UNIT:
        return DEFAULT_NAME
    return unit.removeprefix(LABEL + ".") if unit.startswith(LABEL + ".") else stem.partition(f"{UNIT}@")[2]


def plain_arguments(options: UpOptions, target: str, forwards: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments of ``ssh`` for a tunnel; ``forwards`` are those that ssh_config does not have."""
    words = ["-N"]
    if options.ssh_config:
        words += ["-F", options.ssh_config]
    if options.identity:
        words += ["-i", options.identity]
    for forward in forwards:
        words += ["-L", forward]
    return (*words, target)
