"""What can be asked of the daemon: requests that know their answer, and the questions about tunnels that run.

A request writes its parameters (``to_json``), reads them (``from_json``), and reads the daemon's answer to it. What
changes something is in ``control/orders.py``; how it all becomes lines is in ``control/wire.py``.

Quick to import, for ``status`` and the completion need it: that is why the orders stand elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

from openclaw_tunnel.core.status import DaemonInfo, Snapshot, report
from openclaw_tunnel.errors import ExitCode, RequestRefused

A = TypeVar("A")
E = TypeVar("E")


class Request(ABC, Generic[A]):
    """Something to ask; the type parameter is that of the answer."""

    __slots__ = ()

    METHOD: ClassVar[str]
    """Its name on the wire."""

    def to_json(self) -> dict[str, Any]:
        """Its parameters, as an object that :meth:`from_json` reads back; here none."""
        return {}

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        """Read the parameters that somebody sent; what is not known is passed over.

        Raises:
            RequestRefused: they are none of this request.
        """
        return cls()

    @staticmethod
    @abstractmethod
    def answer(result: dict[str, Any]) -> A:
        """Read the daemon's answer; what is not known is passed over.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: it is none.
        """


class Order(Request[None]):
    """A request whose answer says no more than that it is carried out."""

    __slots__ = ()

    @staticmethod
    def answer(result: dict[str, Any]) -> None:
        """See :class:`Request`."""


class Stream(Order, Generic[E]):
    """A request that is answered by events, for as long as it is carried out."""

    __slots__ = ()

    @staticmethod
    @abstractmethod
    def event(data: dict[str, Any]) -> E:
        """Read one of them; errors as of :meth:`Request.answer`."""


def name_in(params: Mapping[str, Any]) -> str:
    """The name of a tunnel, where one is needed.

    Raises:
        RequestRefused: there is none.
    """
    name = params.get("name")
    if not isinstance(name, str):
        raise RequestRefused(f"no tunnel named {name} is running", exit_code=ExitCode.NOT_RUNNING)
    return name


@dataclass(frozen=True)
class Report:
    """The tunnels that run, and who holds them.

    Attributes:
        data: the object of ``status --json``, with what a newer daemon may have added.
        tunnels: in its order.
    """

    data: dict[str, Any]
    tunnels: tuple[Snapshot, ...]

    @classmethod
    def of(cls, daemon: DaemonInfo | None, tunnels: tuple[Snapshot, ...] = ()) -> "Report":
        """What this daemon says of its tunnels; None: what there is to say where none runs."""
        return cls(report(daemon, tunnels), tunnels)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Report":
        """Read the object of ``status --json``; errors as of :meth:`Request.answer`."""
        return cls(data, tuple(Snapshot.from_json(tunnel) for tunnel in data["tunnels"]))

    def to_json(self) -> dict[str, Any]:
        """The object of ``status --json``."""
        return self.data

    @property
    def daemon(self) -> Mapping[str, Any]:
        """Who answered, as ``core.status.DaemonInfo``; a daemon of another version may lack some. Empty: nobody."""
        return self.data["daemon"] or {}


@dataclass(frozen=True)
class _OneOrAll:
    """The parameters of a request about the tunnel of that name; None: about all."""

    name: str | None = None

    def to_json(self) -> dict[str, Any]:
        """See :class:`Request`, as for all that follow."""
        return {} if self.name is None else {"name": self.name}

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        return cls(None if params.get("name") is None else name_in(params))


class Status(_OneOrAll, Request[Report]):
    """How does it stand?"""

    METHOD = "status"

    @staticmethod
    def answer(result: dict[str, Any]) -> Report:
        return Report.from_json(result)


class Look(_OneOrAll, Order):
    """Somebody begins to look: tunnels that wait for their next try make it."""

    METHOD = "look"


@dataclass(frozen=True)
class Watch(Stream[Snapshot]):
    """The tunnel now and after each of its changes, until it is closed.

    Attributes:
        waits: somebody waits for it: it tries as eagerly as for a client.
        asks: and it shall try now, out of FAILED too; not where the command has just made it try.
    """

    METHOD = "watch"

    name: str
    waits: bool = False
    asks: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "waits": self.waits, "asks": self.asks}

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        return cls(name_in(params), bool(params.get("waits")), bool(params.get("asks")))

    @staticmethod
    def event(data: dict[str, Any]) -> Snapshot:
        return Snapshot.from_json(data["snapshot"])

    @staticmethod
    def as_event(tunnel: Snapshot) -> dict[str, Any]:
        """What :meth:`event` reads back."""
        return {"snapshot": tunnel.to_json()}
