"""A question to the gateway and its answer: what ``health``, ``probe`` and ``call`` have in common.

The same code answers in the daemon, over the connection of a running tunnel, and in a command of its own.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from openclaw_tunnel.ask.examine import LAYERS, Examination, Layer, Outcome, examine, not_asked
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.errors import ConfigError, CredentialError, ExitCode, UsageError, failure_json
from openclaw_tunnel.gateway.client import CallRefused, SessionFailed, connect
from openclaw_tunnel.gateway.device import Device, load_or_create
from openclaw_tunnel.gateway.frames import request
from openclaw_tunnel.gateway.hello import READ, Credentials
from openclaw_tunnel.gateway.route import LinkRoute, Route
from openclaw_tunnel.gateway.verdict import Judgement, unreachable
from openclaw_tunnel.host.paths import ensure_private_dir
from openclaw_tunnel.openclaw.credentials.contracts import Surface
from openclaw_tunnel.openclaw.credentials.load import Explicit
from openclaw_tunnel.openclaw.credentials.values import CredentialChoice
from openclaw_tunnel.openclaw.settings import OpenClawSettings
from openclaw_tunnel.settings.load import Settings

LONGEST = 3600.0
"""Seconds that a question may take at most."""

_MOST_SCOPES = 4
_CLOSING = 0.5
"""Seconds kept back, and as many added, for a connection to be closed in order: what was found is not lost then."""


class Kind(StrEnum):
    """What is asked."""

    HEALTH = "health"
    PROBE = "probe"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class Question:
    """What a command wants to know. ``repr`` shows no secret.

    Attributes:
        method, params: of ``call``.
        timeout: seconds for the whole question.
        url: given by the user: another gateway, which gets explicit credentials only.
        token, password: given by the user.
        device: identify as this computer's own device.
        env, cwd: the environment and the working folder of the command: settings and credentials are looked up there.
    """

    kind: Kind
    method: str = "health"
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeout: float = 10.0
    url: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    device: bool = False
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str = "/"

    def __post_init__(self) -> None:
        texts = (self.method, self.url, self.token, self.password, self.cwd, *self.env, *self.env.values())
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.params, Mapping):
            raise TypeError("a question's texts are strings, its params an object")
        if not 0 < self.timeout <= LONGEST:
            raise ValueError("a question takes more than no time, and an hour at most")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Question":
        """Read the object that ``read_question`` makes: the fields by their names.

        Raises:
            TypeError, ValueError, KeyError, AttributeError: it is no such object.
        """
        return cls(**{**data, "kind": Kind(data["kind"])})

    def settings(self, tunnels_file: Path) -> Settings:
        """What the settings files say where the question comes from.

        Raises:
            ConfigError: one cannot be used.
        """
        return Settings.load(self.env, tunnels_file, Path(self.cwd))


async def inquire(
    question: Question,
    route: Route,
    *,
    settings: Settings,
    state_dir: Path,
    target: str,
    end: float,
    below: Sequence[Layer] = (),
    surface: Surface | None = None,
) -> dict[str, Any]:
    """Ask over ``route``; the answer as the object that ``--json`` shows. It holds no secret.

    Args:
        settings: as the command's environment has them.
        state_dir: our own, for the device key.
        target: how the user calls the gateway's host, for hints.
        end: when the answer has to be there, on the loop's clock; half a second more goes into closing.
        below: layers beneath the route, for ``probe``.
        surface: whose order of credentials holds; None: that of the question's kind.

    Raises:
        CredentialError: the credentials that are configured cannot be had, or not in time.
        ConfigError: the device key cannot be read.
        UsageError: ``params`` cannot be sent.
        LinkLost: the SSH connection went away.
    """
    names = {"target": target, "host": target, "to": route.name}
    through_tunnel = isinstance(route, LinkRoute)  # to the configured remote gateway
    try:
        async with asyncio.timeout_at(end + _CLOSING):
            whose = surface or _surface(question, settings.openclaw, through_tunnel)
            choice = await choose_credentials(question, whose, settings, through_tunnel, end)
            device = await asyncio.to_thread(_device, state_dir) if question.device else None
            if question.kind is Kind.PROBE:
                found = await examine(route, revealed(choice), device=device, timeout=_left(end))
                facts, failure = found.to_json(below), found.failure
            else:
                facts, failure = await _call(question, route, revealed(choice), device, end)
    except TimeoutError:
        late = unreachable(f"{route.name} was not done with within {question.timeout:g} s").failure
        assert late is not None  # noqa: S101  this verdict always has one
        return {**unreached(question.kind, late.with_facts(**names), below), "gateway": route.name}
    return _told({**facts, "gateway": route.name, "credentials": shown(choice)}, failure, choice, names)


async def choose_credentials(
    question: Question, surface: Surface, settings: Settings, through_tunnel: bool, end: float
) -> CredentialChoice:
    """The credentials for a question; that they take too long is no fault of the gateway.

    Args:
        through_tunnel: the way is known, and no URL decides.
        end: the loop's time at which they have to be there.

    Raises:
        CredentialError: they cannot be had.
        ConfigError: settings cannot be used.
    """
    try:
        async with asyncio.timeout_at(end):
            explicit = Explicit(question.token, question.password, question.url)
            return await settings.credentials(surface, explicit=explicit, way_is_known=through_tunnel)
    except TimeoutError:
        raise CredentialError(
            f"the SecretRef of the gateway's credentials was not resolved within {question.timeout:g} s",
            hint="see which one it is: openclaw-tunnel config show; give it more time with --timeout, "
            "or pass --token-file or --password-file",
        ) from None


def revealed(choice: CredentialChoice) -> Credentials:
    """The credentials for the wire."""
    token, password = choice.token, choice.password
    return Credentials(token.reveal() if token else None, password.reveal() if password else None)


def shown(choice: CredentialChoice) -> dict[str, Any]:
    """Where the credentials come from, and why not from elsewhere; no secret."""
    return {
        "token": choice.token_source or None,
        "password": choice.password_source or None,
        "why_not": dict(choice.why_not),
        "warning": choice.warning or None,
    }


def unreached(kind: Kind, failure: Failure, below: Sequence[Layer]) -> dict[str, Any]:
    """The answer where not even the way to the gateway is there; ``below`` ends with the layer that failed."""
    facts = _failed(Judgement(Verdict.UNREACHABLE, failure=failure), sum(layer.ms or 0 for layer in below) / 1000)
    if kind is Kind.PROBE:
        above = tuple(map(not_asked, LAYERS))
        facts = Examination(above, Verdict.UNREACHABLE, failure=failure).to_json(below)
    return {**_answer(facts, failure.to_json()), "gateway": None, "credentials": None}


def failed_below(failure: Failure, name: Layer | None, ms: float | None) -> tuple[Layer, Layer]:
    """The layers ``name`` and ``ssh`` where one of the two failed, after so many milliseconds.

    Args:
        name: where it is well; None: it is the one that failed.
    """
    if name is None or failure.code is Code.DNS:
        return Layer("name", Outcome.FAILED, ms, failure.message), not_asked("ssh")
    return name, Layer("ssh", Outcome.FAILED, ms, failure.message)


def _surface(question: Question, settings: OpenClawSettings, through_tunnel: bool) -> Surface:
    """Whose order of credentials holds; a probe has other ones than a call, and they depend on what is probed."""
    if question.kind is not Kind.PROBE:
        return Surface.CALL
    remote = through_tunnel or (settings.mode == "remote" and settings.remote_url and not question.url)
    return Surface.PROBE_REMOTE if remote else Surface.PROBE_LOCAL


def _answer(facts: dict[str, Any], failure: dict[str, Any] | None) -> dict[str, Any]:
    return {"ok": failure is None, **facts, "failure": failure}


def _unwell(facts: dict[str, Any]) -> dict[str, Any] | None:
    """The failure of a gateway that lets us in and says itself that it is not well; None where it is."""
    told = facts.get("health")
    if not isinstance(told, dict) or told.get("ok") is not False:
        return None
    hint = 'its answer tells more: openclaw-tunnel health --json, under "health"'
    return failure_json("unhealthy", f"the gateway on {facts['gateway']} says that it is not well", hint, ExitCode.NO)


def _sent(choice: CredentialChoice, failure: Failure) -> str:
    """Where the credential came from that the gateway did not like; empty where that is not the matter."""
    if failure.code is not Code.AUTH_FAILED:
        return ""
    sources = filter(None, (choice.token_source, choice.password_source))
    return " and ".join(f"the {s[2:]} given here" if s.startswith("--") else s for s in sources)


def _told(
    facts: dict[str, Any], failure: Failure | None, choice: CredentialChoice, names: Mapping[str, str]
) -> dict[str, Any]:
    """The answer, its failure with the names that its hint needs and with where the credential came from."""
    if failure is None:
        return _answer(facts, _unwell(facts))
    if choice.warning and failure.code is Code.AUTH_MISSING:  # a credential that cannot be had is none to try
        unusable = failure_json("credential", choice.warning, choice.remedy, ExitCode.CREDENTIAL)
        return _answer(_replace_text(facts, failure.message, choice.warning), unusable)
    if source := _sent(choice, failure):
        message = f"{failure.message} (sent was {source})"
        facts, failure = _replace_text(facts, failure.message, message), replace(failure, message=message)
    return _answer(facts, replace(failure, facts={**names, **failure.facts, "target": names["target"]}).to_json())


def _replace_text(facts: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    layers = [{**layer, "text": new if layer["text"] == old else layer["text"]} for layer in facts.get("layers", ())]
    return {**facts, "layers": layers} if "layers" in facts else facts


def _device(state_dir: Path) -> Device:
    ensure_private_dir(state_dir)
    try:
        return load_or_create(state_dir)
    except OSError as error:
        raise ConfigError(
            f"the device key in {state_dir} can be neither read nor written: {error.strerror}",
            hint="check owner and mode of that folder",
        ) from None


def _left(end: float) -> float:
    """Seconds until ``end`` that may be spent on waiting, as a number that looks well in a message."""
    left = end - asyncio.get_running_loop().time()
    return round(max(0.01, left - min(_CLOSING, left / 10)), 2)


async def _call(
    question: Question, route: Route, credentials: Credentials, device: Device | None, end: float
) -> tuple[dict[str, Any], Failure | None]:
    """Ask for as little as reading; a method that takes more says so, and then that is asked for, too."""
    _check_sendable(question)
    loop = asyncio.get_running_loop()
    began = loop.time()
    scopes: tuple[str, ...] = (READ,)
    while True:
        missing = ""
        try:
            async with connect(
                route, credentials, scopes=scopes, device=device, timeout=_left(end), patient=True
            ) as session:
                payload = await session.call(question.method, question.params, timeout=_left(end))
                hello, ms = session.hello, round((loop.time() - began) * 1000, 1)
            facts = {"verdict": str(Verdict.HEALTHY), "version": hello.version, "protocol": hello.protocol, "ms": ms}
            return {**facts, "health" if question.kind is Kind.HEALTH else "result": payload}, None
        except SessionFailed as failed:
            judgement = failed.judgement
        except CallRefused as refused:
            judgement = refused.judgement
            missing = judgement.failure.facts.get("scope", "") if judgement.failure else ""
        if judgement.verdict is not Verdict.LIMITED_SCOPE or missing in ("", *scopes) or len(scopes) == _MOST_SCOPES:
            return _failed(judgement, loop.time() - began), judgement.failure
        scopes = (*scopes, missing)


def _check_sendable(question: Question) -> None:
    try:
        request("", question.method, question.params)
    except ValueError as error:
        raise UsageError(str(error), hint="numbers must be finite, and nesting within reason") from None


def _failed(judgement: Judgement, seconds: float) -> dict[str, Any]:
    return {
        "verdict": str(judgement.verdict),
        "version": judgement.version,
        "protocol": None,
        "ms": round(seconds * 1000, 1),
        "expected_in_s": judgement.expected_in,
    }
