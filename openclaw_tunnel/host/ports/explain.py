"""Who has the port, and what to do about it: facts in, words out. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import PurePath

from openclaw_tunnel.host.paths import HOME_VARIABLE
from openclaw_tunnel.host.ports.launchagents import LaunchAgent
from openclaw_tunnel.host.ports.listeners import Holder, Process

_GATEWAYS = ("openclaw", "clawdbot")
_GATEWAY_TITLES = tuple(f"{name}-gateway" for name in _GATEWAYS)
_GATEWAY_PROGRAMS = ("node", "bun", *_GATEWAYS)
_SSH = ("ssh", "autossh")
_MANAGERS = ("systemd", "launchd")


class Kind(Enum):
    """What sort of program holds the port."""

    GATEWAY = auto()  # an OpenClaw gateway of this computer
    LAUNCH_AGENT = auto()  # ssh, kept by a LaunchAgent of this user
    OPENCLAW_APP = auto()  # ssh, started by OpenClaw's app
    SSH = auto()  # ssh or autossh, started by hand or by who knows what
    TUNNEL = auto()  # another openclaw-tunnel
    OURSELVES = auto()  # this very process
    MANAGER = auto()  # systemd or launchd, for a service that starts with its first client
    HIDDEN = auto()  # the system does not show it
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Around:
    """What else there is to know.

    Attributes:
        pid, user, tunnel_home: of this process: its id, its user's name, its OPENCLAW_TUNNEL_HOME or None.
        agents: LaunchAgents of this user that keep an ssh.
        answers: something answers on the port as an OpenClaw gateway does.
        look: the command, without the port, that shows every process to an administrator.
    """

    pid: int
    user: str
    tunnel_home: str | None = None
    agents: Sequence[LaunchAgent] = ()
    answers: bool = False
    look: str = "sudo lsof -nP -sTCP:LISTEN -iTCP:"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Who has the port, in words, and the next step for the user, which may be followed by ``, or ...``."""

    kind: Kind
    by: str
    step: str


def explain(holder: Holder, port: int, around: Around) -> Explanation:
    """Say who has ``port`` and what to do. Nothing is ever ended by us that we did not start."""
    kind, agent = _kind(holder, around)
    is_ours = not holder.user or holder.user == around.user
    if kind is Kind.LAUNCH_AGENT and agent:
        return Explanation(kind, f"{holder}, kept by the LaunchAgent {agent.label}", _bootout(agent))
    by, step = {
        Kind.GATEWAY: (f"{holder}: an OpenClaw gateway of this computer", "stop that gateway: openclaw gateway stop"),
        Kind.OPENCLAW_APP: (
            f"{holder}, started by the OpenClaw app",
            "let the app end it: quit it, or its remote mode",
        ),
        Kind.SSH: (str(holder), _end_ssh(holder)),
        Kind.TUNNEL: (f"{holder}: another openclaw-tunnel", _down(holder, around)),
        Kind.OURSELVES: (f"{holder}: another tunnel of this daemon", "see which, and close it: openclaw-tunnel status"),
        Kind.MANAGER: (
            f"{holder}, for a service that starts with its first client",
            "if it is the tunnel's own (openclaw-tunnel service status), open it: openclaw-tunnel service start",
        ),
        Kind.HIDDEN: (str(holder), f"see which program it is: {around.look}{port}"),
    }.get(kind, (str(holder), "stop that program"))
    if kind in (Kind.HIDDEN, Kind.OTHER) and around.answers:
        by += ", and an OpenClaw gateway answers there, its own or one that it leads to"
    if kind in (Kind.GATEWAY, Kind.SSH, Kind.TUNNEL, Kind.OTHER) and not is_ours:
        step = f"ask {holder.user} to close it" if kind is Kind.TUNNEL else f"ask {holder.user}, or as root {step}"
    return Explanation(kind, by, step)


def _kind(holder: Holder, around: Around) -> tuple[Kind, LaunchAgent | None]:
    if holder.pid is None:
        return Kind.HIDDEN, None
    if holder.pid == around.pid:
        return Kind.OURSELVES, None
    if _is_tunnel(holder.arguments):
        return Kind.TUNNEL, None
    if is_gateway(holder.arguments):
        return Kind.GATEWAY, None
    if _program(holder.arguments) in _MANAGERS:
        return Kind.MANAGER, None
    if _program(holder.arguments) not in _SSH:
        return Kind.OTHER, None
    agent = next((agent for agent in around.agents if _keeps(agent, holder)), None)
    if agent:
        return Kind.LAUNCH_AGENT, agent
    from_app = holder.parent is not None and _program(holder.parent.arguments) == "OpenClaw"
    return (Kind.OPENCLAW_APP if from_app else Kind.SSH), None


def is_gateway(arguments: Sequence[str]) -> bool:
    """Whether a command line is that of an OpenClaw gateway: the title that it gives itself, or what starts one."""
    if _program(arguments).startswith(_GATEWAY_TITLES):
        return True
    if "gateway" not in arguments or _program(arguments) not in _GATEWAY_PROGRAMS:
        return False
    before = arguments[: arguments.index("gateway")]
    return any(part.startswith(_GATEWAYS) for word in before for part in PurePath(word).parts)


def _is_tunnel(arguments: Sequence[str]) -> bool:
    start = [PurePath(word).name for word in arguments[:4]]
    interpreted = bool(start) and start[0].lower().startswith("python")
    return start[:1] == ["openclaw-tunnel"] or (
        interpreted and ("openclaw-tunnel" in start or ["-m", "openclaw_tunnel"] in (start[1:3], start[2:4]))
    )


def _keeps(agent: LaunchAgent, holder: Holder) -> bool:
    """Whether launchd started the process, or the autossh that did, for this agent."""
    family = (Process(holder.pid or 0, holder.arguments), *([holder.parent] if holder.parent else []))
    # ps cannot show where an argument with a blank in it begins
    wanted = " ".join(agent.arguments)
    return any(process.pid == agent.pid or " ".join(process.arguments) == wanted for process in family)


def _bootout(agent: LaunchAgent) -> str:
    back = f" (while {agent.file} is there it comes back at the next login)" if agent.file else ""
    return f"end that LaunchAgent: launchctl bootout {agent.domain}/{agent.label}{back}"


def _end_ssh(holder: Holder) -> str:
    parent = holder.parent
    if parent is not None and _program(parent.arguments) == "autossh":
        return f"end the autossh that keeps it: kill {parent.pid}"
    return f"end it: kill {holder.pid} (where it comes back, a service or a loop starts it: stop that)"


def _down(holder: Holder, around: Around) -> str:
    if holder.tunnel_home:
        program = f"{HOME_VARIABLE}={shlex.quote(holder.tunnel_home)} openclaw-tunnel"
    else:
        program = f"env -u {HOME_VARIABLE} openclaw-tunnel" if around.tunnel_home else "openclaw-tunnel"
    return f"close that tunnel: {program} down NAME ({program} status tells the name)"


def _program(arguments: Sequence[str]) -> str:
    """The name of the program; that of an ssh that shares its connection is followed by ``: PATH [mux]``."""
    return PurePath(arguments[0].partition(":")[0]).name if arguments else ""
