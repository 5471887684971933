"""Compares the credential resolver with what OpenClaw's own releases answered.

Run as ``python tests/vectors.py tests/vectors/credentials.json``: prints each mismatch and, last, how many agree.
Exit code 1 where a mismatch is not decided. Each vector is ``{name, surface, cfg, env, options, expected}``;
``expected`` holds, by release, ``{token?, password?, warning?}`` or ``{error: {name, path?}}``.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from openclaw_tunnel.errors import CredentialError
from openclaw_tunnel.openclaw.credentials.contracts import CONTRACT_2026_5, CONTRACT_2026_9, Contract, Surface
from openclaw_tunnel.openclaw.credentials.load import credential_inputs, override_of, resolve_with_refs
from openclaw_tunnel.openclaw.credentials.providers import resolve_ref
from openclaw_tunnel.openclaw.credentials.secretref import Secret, SecretRef, read_input
from openclaw_tunnel.openclaw.credentials.values import Override

RELEASES: Mapping[str, Contract] = {"2026.5.5": CONTRACT_2026_5, "2026.9.6": CONTRACT_2026_9}
SURFACES = {
    "call": Surface.CALL,
    "probe": Surface.STATUS,
    "gateway-status": Surface.SERVICE_STATUS,
    "node-host": Surface.NODE_HOST,
}
TELL_WARNINGS = ("probe", "gateway-status")  # for the other surfaces nobody wrote down whether the release warned
Vector = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: ``token`` and ``password``; or that it is an error; ``about`` is the setting to blame."""

    sent: Mapping[str, str] = field(default_factory=dict)
    warning: bool = False
    error: bool = False
    about: str = ""

    @classmethod
    def of_release(cls, expected: Mapping[str, Any]) -> "Answer":
        """Read one entry of ``expected``."""
        sent = {kind: expected[kind] for kind in ("token", "password") if kind in expected}
        error = expected.get("error", {})
        return cls(sent, bool(expected.get("warning")), bool(error), error.get("path", ""))

    def agrees(self, theirs: "Answer", surface: str) -> bool:
        """Whether this is the same answer."""
        warning = self.warning if surface in TELL_WARNINGS else False
        same = (dict(self.sent), warning, self.error) == (dict(theirs.sent), theirs.warning, theirs.error)
        return same and theirs.about in ("", self.about)


@dataclass(frozen=True, slots=True)
class Case:
    """One vector, one release, both answers, and the settings whose SecretRef leads nowhere."""

    vector: Vector
    release: str
    theirs: Answer
    ours: Answer
    unresolved: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """A class of cases in which we are stricter than a release, because its own document demands it.

    It never excuses sending what the release did not send: ``decided`` looks after that. ``local_instead``: but for
    credentials of this computer's own gateway, sent to it.
    """

    reason: str
    applies: Callable[[Case], bool]
    local_instead: bool = False


def _remote_secrets(case: Case) -> set[str]:
    remote = case.vector["cfg"].get("gateway", {}).get("remote", {})
    return {value.strip() for key in ("token", "password") if isinstance(value := remote.get(key), str)}


DECISIONS = (
    Decision(
        "the status of the local service asks the local port, and gateway.remote is for another gateway",
        lambda case: (
            case.vector["surface"] == "gateway-status"
            and bool(_remote_secrets(case) & set(case.theirs.sent.values()))
            and not _remote_secrets(case) & set(case.ours.sent.values())
        ),
        local_instead=True,
    ),
    Decision(
        "a SecretRef that is needed and cannot be resolved fails closed: nothing that comes after it takes its place",
        lambda case: (
            bool(case.theirs.sent)
            and not case.ours.sent
            and case.ours.about in case.unresolved
            and (case.ours.error or case.ours.warning)
        ),
    ),
    Decision(
        "a status that goes on without the SecretRef that it needs says so",
        lambda case: (
            case.vector["surface"] in TELL_WARNINGS
            and case.theirs == Answer()
            and case.ours.warning
            and case.ours.about in case.unresolved
        ),
    ),
)


@dataclass(slots=True)
class Report:
    """What a comparison found; ``decided`` counts by reason."""

    agree: int = 0
    decided: dict[str, int] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The last line."""
        decided = sum(self.decided.values())
        return f"{self.agree} of {self.agree + decided + len(self.mismatches)} agree, {decided} decided otherwise"


def compare(vectors: Sequence[Vector]) -> Report:
    """Ask our resolver every vector, once for each release."""
    return asyncio.run(_compare(vectors))


async def _compare(vectors: Sequence[Vector]) -> Report:
    report = Report()
    for vector in vectors:
        for release, expected in vector["expected"].items():
            contract = RELEASES[release]
            ours, unresolved = await answer(vector, contract), await unresolved_places(vector, contract)
            case = Case(vector, release, Answer.of_release(expected), ours, unresolved)
            if ours.agrees(case.theirs, vector["surface"]):
                report.agree += 1
            elif decision := decided(case):
                report.decided[decision.reason] = report.decided.get(decision.reason, 0) + 1
            else:
                report.mismatches.append(f"{vector['name']} ({release}): {expected}; ours: {ours}")
    return report


def decided(case: Case) -> Decision | None:
    """The decision that covers a mismatch; None where none does, or where we would send more than the release."""
    more = not case.ours.sent.items() <= case.theirs.sent.items()
    return next((d for d in DECISIONS if d.applies(case) and (d.local_instead or not more)), None)


async def answer(vector: Vector, contract: Contract) -> Answer:
    """Our answer to one vector."""
    options, env, surface = vector["options"], vector["env"], surface_of(vector)
    override = Override.OPTION if options.get("url", "").strip() else override_of(env)
    inputs = replace(
        credential_inputs(vector["cfg"], env),
        token=options.get("token", ""),
        password=options.get("password", ""),
        override=override,
    )
    try:
        choice = await resolve_with_refs(inputs, surface, contract, vector["cfg"], env)
    except CredentialError as error:
        return Answer(error=True, about=error.message.partition(" ")[0])
    kinds = {"token": choice.token, "password": choice.password}
    sent = {kind: secret.reveal() for kind, secret in kinds.items() if isinstance(secret, Secret)}
    return Answer(sent, bool(choice.warning), False, choice.warning.partition(" ")[0])


def surface_of(vector: Vector) -> Surface:
    """What the vector's surface is called here."""
    if vector["surface"] == "gateway-probe":
        remote = vector["options"].get("target") in ("configRemote", "sshTunnel")
        return Surface.PROBE_REMOTE if remote else Surface.PROBE_LOCAL
    return SURFACES[vector["surface"]]


async def unresolved_places(vector: Vector, contract: Contract) -> frozenset[str]:
    """The settings of the vector that hold a SecretRef which leads nowhere."""
    inputs = credential_inputs(vector["cfg"], vector["env"])
    found = set()
    for source, value in inputs.settings.items():
        ref = read_input(value, inputs.defaults, shorthand=contract.shorthand)
        if isinstance(ref, SecretRef):
            if not isinstance(await resolve_ref(ref, vector["cfg"], vector["env"]), Secret):
                found.add(str(source))
    return frozenset(found)


def main(arguments: Sequence[str]) -> int:
    """Compare the vectors of one file."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python tests/vectors.py FILE\n")
        return 2
    report = compare(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    for line in report.mismatches:
        sys.stdout.write(f"mismatch: {line}\n")
    for reason, count in report.decided.items():
        sys.stdout.write(f"decided otherwise, {count} times: {reason}\n")
    sys.stdout.write(report.summary + "\n")
    return 1 if report.mismatches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
