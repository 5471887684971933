"""Where the way to a gateway ends: its layers from the bottom up, each asked in turn, until one fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.link import ChannelFailed
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.client import CallRefused, Session, SessionFailed, connect
from openclaw_tunnel.gateway.device import Device
from openclaw_tunnel.gateway.hello import READ, Credentials, Hello
from openclaw_tunnel.gateway.probe import ask
from openclaw_tunnel.gateway.route import Route
from openclaw_tunnel.gateway.verdict import Judgement, judge_channel, judge_hello

LAYERS = ("channel", "http", "handshake", "credentials", "scopes")
"""From the bottom up; the first is called ``tcp`` or ``tls`` where there is no SSH channel."""

_WANTED = (READ,)
_READ_METHOD = "system-presence"
"""A cheap method that takes ``operator.read``: asked where the gateway does not say which scopes it granted."""


class Outcome(StrEnum):
    """What became of a layer."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its name, what became of it, milliseconds (None where it was skipped), and a sentence."""

    name: str
    outcome: Outcome
    ms: float | None
    text: str


def not_asked(name: str) -> Layer:
    """A layer above one that failed."""
    return Layer(name, Outcome.SKIPPED, None, "not asked")


@dataclass(frozen=True, slots=True)
class Examination:
    """What an examination found.

    Attributes:
        layers: all of them, from the bottom up.
        verdict: what it comes to.
        version: the gateway's, where it told.
        failure: what is wrong and what to do; None where all is well.
        expected_in: seconds until the gateway expects to be back, or until trying again makes sense.
        protocol: the version of the Gateway protocol that is spoken; None where it did not come to that.
        scopes: what the credentials may do; None where that is not known.
    """

    layers: tuple[Layer, ...]
    verdict: Verdict
    version: str | None = None
    failure: Failure | None = None
    expected_in: float | None = None
    protocol: int | None = None
    scopes: tuple[str, ...] | None = None

    @property
    def ms(self) -> float:
        """How long all of it took, in milliseconds."""
        return round(sum(layer.ms or 0.0 for layer in self.layers), 1)

    def to_json(self, below: Sequence[Layer] = ()) -> dict[str, Any]:
        """The object that ``probe --json`` shows of the gateway; holds no secret. ``below``: layers beneath these."""
        return {
            "verdict": str(self.verdict),
            "version": self.version,
            "protocol": self.protocol,
            "scopes": None if self.scopes is None else list(self.scopes),
            "expected_in_s": self.expected_in,
            "ms": self.ms,
            "layers": [asdict(layer) for layer in (*below, *self.layers)],
            "failure": self.failure.to_json() if self.failure else None,
        }


async def examine(
    route: Route,
    credentials: Credentials = Credentials(),  # noqa: B008  frozen
    *,
    device: Device | None = None,
    timeout: float = 10.0,
) -> Examination:
    """Ask every layer between here and the gateway, from the bottom up; stop at the first that fails.

    The credentials are tried once, and have to be good for reading.

    Args:
        timeout: seconds for each layer.

    Raises:
        LinkLost: the SSH connection went away: that says nothing about the gateway.
    """
    book = _Book(route)
    judgement = await _reach(route, book, timeout)
    if judgement.failure is not None:
        return book.close(judgement)
    version, protocol, granted = judgement.version, None, None
    try:
        async with connect(
            route, credentials, scopes=_WANTED, device=device, timeout=timeout, on_challenge=book.mark
        ) as session:
            hello, protocol = session.hello, session.hello.protocol
            book.passed("handshake", f"protocol {protocol}, OpenClaw {hello.version or 'of unknown version'}")
            book.passed("credentials", _accepted(credentials, device, hello))
            judgement, granted = await _scopes(session, route.name, timeout)
            book.mark()  # saying goodbye is no layer
    except SessionFailed as failed:
        if failed.stage == "credentials":
            book.passed("handshake", "the gateway speaks the Gateway protocol")
        judgement = failed.judgement
    if judgement.failure is None:
        book.passed("scopes", ", ".join(granted) if granted is not None else "as asked for")
    known = judgement if judgement.version is not None else replace(judgement, version=version)
    return book.close(known, protocol, granted)


async def _reach(route: Route, book: "_Book", timeout: float) -> Judgement:
    def opened() -> None:
        if not book.layers:
            book.passed(route.layer, f"{route.name} accepts connections")

    try:
        judgement = await ask(route, timeout=timeout, on_open=opened)
    except ChannelFailed as error:
        return judge_channel(error.failure)
    if judgement.failure is None:
        book.passed("http", "it says that it is live and has started")
    return judgement


async def _scopes(session: Session, to: str, timeout: float) -> tuple[Judgement, tuple[str, ...] | None]:
    """What the session may do, and what that means."""
    hello = session.hello
    judgement = judge_hello(hello, _WANTED, to=to)
    if hello.scopes is not None:
        return judgement, hello.scopes
    try:
        await session.call(_READ_METHOD, timeout=timeout)
    except CallRefused as refused:
        if refused.judgement.verdict is Verdict.LIMITED_SCOPE:
            return refused.judgement, ()
    except SessionFailed as failed:
        return failed.judgement, None
    return judgement, None


class _Book:
    """Keeps what was found of each layer, and how long it took."""

    def __init__(self, route: Route) -> None:
        self._names = (route.layer, *LAYERS[1:])
        self.layers: list[Layer] = []
        self._began = asyncio.get_running_loop().time()
        self._marked: float | None = None

    def mark(self) -> None:
        """What has been going on ends here, though only what follows tells whether it went well."""
        self._marked = self._lap()

    def passed(self, name: str, text: str) -> None:
        ms, self._marked = self._marked, None
        self.layers.append(Layer(name, Outcome.OK, self._lap() if ms is None else ms, text))

    def close(
        self, judgement: Judgement, protocol: int | None = None, granted: tuple[str, ...] | None = None
    ) -> Examination:
        failure = judgement.failure
        if failure is not None:
            ms = round(self._lap() + (self._marked or 0.0), 1)
            self.layers.append(Layer(self._names[len(self.layers)], Outcome.FAILED, ms, failure.message))
            self.layers.extend(map(not_asked, self._names[len(self.layers) :]))
        found = judgement.verdict, judgement.version, failure, judgement.expected_in
        return Examination(tuple(self.layers), *found, protocol, granted)

    def _lap(self) -> float:
        now = asyncio.get_running_loop().time()
        lap, self._began = now - self._began, now
        return round(lap * 1000, 1)


def _accepted(credentials: Credentials, device: Device | None, hello: Hello) -> str:
    if not credentials or hello.auth_method == "none":
        return "the gateway wants none"
    return f"the {credentials.kind} is accepted" + (", and so is this device" if device else "")
