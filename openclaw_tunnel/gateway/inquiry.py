"""A question to the gateway and its answer: what ``health``, ``probe`` and ``call`` have in common.

The same code answers in the daemon, over the connection of a running tunnel, and in a command of its own.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from openclaw_tunnel.config.contracts import Surface
from openclaw_tunnel.config.credentials import CredentialChoice
from openclaw_tunnel.config.loadcredentials import Explicit, load_credentials
from openclaw_tunnel.config.openclaw import OpenClawSettings
from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.client import CallRefused, SessionFailed, connect
from openclaw_tunnel.gateway.device import Device, load_or_create
from openclaw_tunnel.gateway.examine import LAYERS, Examination, Layer, Outcome, examine
from openclaw_tunnel.gateway.hello import READ, Credentials, Hello
from openclaw_tunnel.gateway.route import Route
from openclaw_tunnel.gateway.verdict import Judgement

_MOST_SCOPES = 4


class Kind(StrEnum):
    """What is asked."""

    HEALTH = "health"
    PROBE = "probe"
    CALL = "call"


_SURFACES = {Kind.HEALTH: Surface.CALL, Kind.CALL: Surface.CALL, Kind.PROBE: Surface.PROBE_REMOTE}


@dataclass(frozen=True, slots=True)
class Question:
    """What a command wants to know. ``repr`` shows no secret.

    Attributes:
        method, params: of ``call``.
        timeout: seconds for the whole question; of ``probe``, for each layer.
        url: given by the user: another gateway, which gets explicit credentials only.
        token, password: given by the user.
        device: identify as this computer's own device.
        env: the environment of the command: settings and credentials are looked up in it.
    """

    kind: Kind
    method: str = "health"
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeout: float = 10.0
    url: str = ""
    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    device: bool = False
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back. It holds secrets: for the control socket only."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"kind": str(self.kind)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Question":
        """Read what :meth:`to_json` wrote.

        Raises:
            TypeError, ValueError, KeyError: it is no such object.
        """
        return cls(**{**data, "kind": Kind(data["kind"])})


async def inquire(
    question: Question,
    route: Route,
    *,
    settings: OpenClawSettings,
    contract: str,
    state_dir: Path,
    through_tunnel: bool,
    target: str,
    below: Sequence[Layer] = (),
) -> dict[str, Any]:
    """Ask over ``route``; the answer as the object that ``--json`` shows. It holds no secret.

    Args:
        settings: openclaw.json as the command's environment has it.
        contract: ``openclawContract`` of tunnels.json5.
        state_dir: our own, for the device key.
        through_tunnel: the route leads through SSH to the configured remote gateway.
        target: how the user calls the gateway's host, for hints.
        below: layers beneath the route, for ``probe``.

    Raises:
        CredentialError: the credentials that are configured cannot be had.
        LinkLost: the SSH connection went away.
    """
    explicit = Explicit(question.token, question.password, question.url)
    choice = await load_credentials(
        _SURFACES[question.kind],
        settings=settings,
        explicit=explicit,
        contract=contract,
        way_is_known=through_tunnel,
    )
    credentials = revealed(choice)
    device = await asyncio.to_thread(load_or_create, state_dir) if question.device else None
    if question.kind is Kind.PROBE:
        examination = await examine(route, credentials, device=device, timeout=question.timeout)
        facts, failure = _examined(examination, below), examination.failure
    else:
        facts, failure = await _call(question, route, credentials, device)
    if failure:
        failure = failure.with_facts(target=target, to=route.name)
    return {**_answer(facts, failure), "gateway": route.name, "credentials": shown(choice)}


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


def unreached(failure: Failure, below: Sequence[Layer]) -> dict[str, Any]:
    """The answer where not even the way to the gateway is there; ``below`` ends with the layer that failed."""
    skipped = tuple(Layer(name, Outcome.SKIPPED, None, "not asked") for name in LAYERS)
    facts = _examined(Examination(skipped, Verdict.UNREACHABLE, failure=failure), below)
    return {**_answer(facts, failure), "gateway": None, "credentials": None}


def _answer(facts: dict[str, Any], failure: Failure | None) -> dict[str, Any]:
    return {"ok": failure is None, **facts, "failure": failure.to_json() if failure else None}


async def _call(
    question: Question, route: Route, credentials: Credentials, device: Device | None
) -> tuple[dict[str, Any], Failure | None]:
    """Ask for as little as reading; a method that takes more says so, and then that is asked for, too."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    scopes: tuple[str, ...] = (READ,)
    while True:
        left = max(0.0, question.timeout - (loop.time() - began))
        missing = ""
        try:
            async with connect(route, credentials, scopes=scopes, device=device, timeout=left, patient=True) as session:
                left = max(0.0, question.timeout - (loop.time() - began))
                payload = await session.call(question.method, question.params, timeout=left)
                return _answered(question, payload, session.hello, loop.time() - began), None
        except SessionFailed as failed:
            judgement = failed.judgement
        except CallRefused as refused:
            judgement = refused.judgement
            missing = judgement.failure.facts.get("scope", "") if judgement.failure else ""
        if judgement.verdict is not Verdict.LIMITED_SCOPE or missing in ("", *scopes) or len(scopes) == _MOST_SCOPES:
            return _failed(judgement, loop.time() - began), judgement.failure
        scopes = (*scopes, missing)


def _answered(question: Question, payload: Any, hello: Hello, seconds: float) -> dict[str, Any]:
    return {
        "verdict": str(Verdict.HEALTHY),
        "version": hello.version,
        "protocol": hello.protocol,
        "ms": round(seconds * 1000, 1),
        "health" if question.kind is Kind.HEALTH else "result": payload,
    }


def _failed(judgement: Judgement, seconds: float) -> dict[str, Any]:
    return {
        "verdict": str(judgement.verdict),
        "version": judgement.version,
        "protocol": None,
        "ms": round(seconds * 1000, 1),
        "expected_in_s": judgement.expected_in,
    }


def _examined(examination: Examination, below: Sequence[Layer]) -> dict[str, Any]:
    layers = [
        {"name": layer.name, "outcome": str(layer.outcome), "ms": layer.ms, "text": layer.text}
        for layer in (*below, *examination.layers)
    ]
    return {**examination.to_json(), "layers": layers}
