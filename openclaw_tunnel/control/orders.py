"""What can be asked of the daemon beside questions about its tunnels; see ``control/messages.py``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from openclaw_tunnel.control.messages import Order, Request, name_in
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ExitCode, RequestRefused
from openclaw_tunnel.settings.up_options import UpOptions


@dataclass(frozen=True)
class Pong:
    """Who answers. Read from daemons of every version, so nothing has to be there.

    Attributes:
        pid: of its process; None where it does not say.
        version: of the program that runs.
        ending: it closes and takes no more tunnels.
        services: the tunnels that a service keeps, each with its ``manager``, ``unit`` and ``system``.
    """

    pid: int | None
    version: str = ""
    ending: bool = False
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What :meth:`Ping.answer` reads back."""
        return {"pid": self.pid, "version": self.version, "ending": self.ending, "services": dict(self.services)}


@dataclass(frozen=True)
class Ping(Request[Pong]):
    """Is anybody there? The same in every version."""

    METHOD = "ping"

    @staticmethod
    def answer(result: dict[str, Any]) -> Pong:
        """See :class:`Request`, as for all that follow."""
        pid, version = result.get("pid"), str(result.get("version", ""))
        return Pong(
            pid if isinstance(pid, int) else None, version, bool(result.get("ending")), result.get("services") or {}
        )


@dataclass(frozen=True)
class Down(Request[tuple[str, ...]]):
    """Close the tunnel of that name, None: all; the answer is the names. The same in every version."""

    METHOD = "down"

    name: str | None

    def to_json(self) -> dict[str, Any]:
        return {"all": True} if self.name is None else {"name": self.name}

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        return cls(None if params.get("all") else name_in(params))

    @staticmethod
    def answer(result: dict[str, Any]) -> tuple[str, ...]:
        return tuple(map(str, result.get("closed", ())))


@dataclass(frozen=True)
class Opened:
    """What became of an ``up``.

    Attributes:
        started: the tunnel was started by it; else it ran already.
        note: for the user; empty: none.
    """

    started: bool
    note: str
    snapshot: Snapshot

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` reads back."""
        return {"started": self.started, "note": self.note, "snapshot": self.snapshot.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Opened":
        """Read it; errors as of :meth:`Request.answer`."""
        return cls(bool(data.get("started")), str(data.get("note") or ""), Snapshot.from_json(data["snapshot"]))


@dataclass(frozen=True)
class Up(Request[Opened]):
    """Open a tunnel, or see to it that it runs. ``repr`` shows no environment: it holds secrets.

    Attributes:
        options: what it was made from, to read the settings again; None where they cannot be.
        env: of whoever wants it: its settings and credentials are looked up there; None: the daemon's own.
        agent: the socket of the SSH agent of this session; empty: none.
        service: that keeps it, with its ``manager``, ``unit`` and ``system``; empty: none does.
    """

    METHOD = "up"

    spec: TunnelSpec
    options: UpOptions | None = None
    env: Mapping[str, str] | None = field(default=None, repr=False)
    agent: str = ""
    service: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        parts: dict[str, Any] = {"spec": self.spec.to_json()}
        if self.options is not None:
            parts["options"] = self.options.to_json()
        if self.env is not None:
            parts["env"] = dict(self.env)
        return parts | _agent(self.agent) | ({"service": dict(self.service)} if self.service else {})

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        try:
            options = UpOptions.from_json(params["options"]) if params.get("options") else None
            spec, env = TunnelSpec.from_json(params["spec"]), environment(params.get("env"))
        except (KeyError, TypeError, ValueError) as error:
            raise RequestRefused(f"not a tunnel: {error!r}", exit_code=ExitCode.USAGE) from error
        service = params.get("service")
        return cls(spec, options, env, _agent_in(params), service if isinstance(service, dict) else {})

    @staticmethod
    def answer(result: dict[str, Any]) -> Opened:
        return Opened.from_json(result)


@dataclass(frozen=True)
class _WithAgent:
    """The parameters of a request about one tunnel; ``agent`` as of :class:`Up`."""

    name: str
    agent: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **_agent(self.agent)}

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        return cls(name_in(params), _agent_in(params))


class UpAgain(_WithAgent, Request[Opened]):
    """An ``up`` that names no destination: try again to have the tunnel of that name, which runs, up."""

    METHOD = "up"

    @staticmethod
    def answer(result: dict[str, Any]) -> Opened:
        return Opened.from_json(result)


class Restart(_WithAgent, Order):
    """Connect again."""

    METHOD = "restart"


@dataclass(frozen=True)
class Retry(Order):
    """Something was fixed that tunnels may wait for: those that failed try again."""

    METHOD = "retry"


@dataclass(frozen=True)
class Reload(Order):
    """Read the settings again."""

    METHOD = "reload"


@dataclass(frozen=True)
class Ask(Request[dict[str, Any]]):
    """Ask the gateway behind the tunnel of that name; the answer is the object that ``--json`` of the command shows.

    Attributes:
        question: an object that ``ask.question.Question`` reads. It holds secrets.
    """

    METHOD = "ask"

    name: str
    question: Mapping[str, Any] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "question": dict(self.question)}

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        question = params.get("question")
        return cls(name_in(params), question if isinstance(question, dict) else {})

    @staticmethod
    def answer(result: dict[str, Any]) -> dict[str, Any]:
        return result


def environment(told: Any) -> dict[str, str] | None:
    """The environment that came with a request; None where none did.

    Raises:
        TypeError: it is none. What is in it is not repeated: it holds secrets.
    """
    if told is None:
        return None
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise TypeError("an environment is an object of strings")
    return told


def _agent(agent: str) -> dict[str, Any]:
    return {"agent": agent} if agent else {}


def _agent_in(params: Mapping[str, Any]) -> str:
    agent = params.get("agent")
    return agent if isinstance(agent, str) else ""
