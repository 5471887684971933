"""What can be asked of the daemon: requests that know their answer, and the questions about tunnels that run.

A request is its parameters: it writes them (``to_json``), reads them (``from_json``), and reads the daemon's answer to
them. What changes something is in ``control/orders.py``; how it all becomes lines is in ``control/wire.py``.

Quick to import, for ``status`` and the completion need it: that is why the orders stand elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields
from typing import Any, ClassVar, Generic, Self, TypeVar

from openclaw_tunnel.core.codec import read
from openclaw_tunnel.core.status import Snapshot, report
from openclaw_tunnel.errors import ExitCode, RequestRefused

A = TypeVar("A")
E = TypeVar("E")


@dataclass(frozen=True)
class Request(ABC, Generic[A]):
    """Something to ask; the type parameter is that of the answer."""

    METHOD: ClassVar[str]
    """Its name on the wire."""

    SUBJECT: ClassVar[str] = "request"
    """What parameters are called that are none."""

    def to_json(self) -> dict[str, Any]:
        """Its parameters, as an object that :meth:`from_json` reads back; without those that have their default."""
        params = asdict(self)
        return {field.name: params[field.name] for field in fields(self) if params[field.name] != _default(field)}

    @classmethod
    def from_json(cls, params: Mapping[str, Any]) -> Self:
        """Read the parameters that somebody sent; what is not known is passed over.

        Raises:
            RequestRefused: they are none of this request.
        """
        name = cls.__dataclass_fields__.get("name")
        if name and not (name.default is None and params.get("name") is None):
            name_in(params)
        try:
            return read(cls, params)
        except (KeyError, TypeError, ValueError) as error:
            raise RequestRefused(f"not a {cls.SUBJECT}: {error!r}", exit_code=ExitCode.USAGE) from error

    @staticmethod
    @abstractmethod
    def answer(result: dict[str, Any]) -> A:
        """Read the daemon's answer; what is not known is passed over.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: it is none.
        """


def _default(field: "Field[Any]") -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


class Order(Request[None]):
    """A request whose answer says no more than that it is carried out."""

    @staticmethod
    def answer(result: dict[str, Any]) -> None:
        """See :class:`Request`."""


class Stream(Order, Generic[E]):
    """A request that is answered by events, for as long as it is carried out."""

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
    def of_nobody(cls) -> "Report":
        """What there is to say where no daemon runs."""
        return cls(report(None, ()), ())

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Report":
        """Read the object of ``status --json``; errors as of :meth:`Request.answer`."""
        return cls(data, tuple(read(Snapshot, tunnel) for tunnel in data["tunnels"]))

    @property
    def daemon(self) -> Mapping[str, Any]:
        """Who answered, as ``core.status.DaemonInfo``; a daemon of another version may lack some. Empty: nobody."""
        return self.data["daemon"] or {}


@dataclass(frozen=True)
class Status(Request[Report]):
    """How does the tunnel of that name stand? None: how do all?"""

    METHOD = "status"

    name: str | None = None

    @staticmethod
    def answer(result: dict[str, Any]) -> Report:
        """See :class:`Request`, as for all that follow."""
        return Report.from_json(result)


@dataclass(frozen=True)
class Look(Order):
    """Somebody begins to look at the tunnel of that name, None: at all; those that wait for their next try make it."""

    METHOD = "look"

    name: str | None = None


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

    @staticmethod
    def event(data: dict[str, Any]) -> Snapshot:
        return read(Snapshot, data["snapshot"])

    @staticmethod
    def as_event(tunnel: Snapshot) -> dict[str, Any]:
        """What :meth:`event` reads back."""
        return {"snapshot": tunnel.to_json()}
