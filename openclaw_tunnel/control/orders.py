"""What can be asked of the daemon beside questions about its tunnels; see ``control/messages.py``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from openclaw_tunnel.control.messages import Order, Request, name_in
from openclaw_tunnel.core.codec import read
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.core.status import Snapshot
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

    snapshot: Snapshot
    started: bool = False
    note: str = ""


class _Opens(Request[Opened]):
    METHOD = "up"

    @staticmethod
    def answer(result: dict[str, Any]) -> Opened:
        return read(Opened, result)


@dataclass(frozen=True)
class Up(_Opens):
    """Open a tunnel, or see to it that it runs. ``repr`` shows no environment: it holds secrets.

    Attributes:
        options: what it was made from, to read the settings again; None where they cannot be.
        env: of whoever wants it: its settings and credentials are looked up there; None: the daemon's own.
        agent: the socket of the SSH agent of this session; empty: none.
        service: that keeps it, with its ``manager``, ``unit`` and ``system``; empty: none does.
    """

    SUBJECT = "tunnel"

    spec: TunnelSpec
    options: UpOptions | None = None
    env: Mapping[str, str] | None = field(default=None, repr=False)
    agent: str = ""
    service: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class UpAgain(_Opens):
    """An ``up`` that names no destination: try again to have the tunnel of that name, which runs, up.

    Attributes:
        agent: as of :class:`Up`.
    """

    name: str
    agent: str = ""


@dataclass(frozen=True)
class Restart(Order):
    """Have the tunnel of that name connect again; ``agent`` as of :class:`Up`."""

    METHOD = "restart"

    name: str
    agent: str = ""


class Retry(Order):
    """Something was fixed that tunnels may wait for: those that failed try again."""

    METHOD = "retry"


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

    @staticmethod
    def answer(result: dict[str, Any]) -> dict[str, Any]:
        return result
