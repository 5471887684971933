"""What ``doctor`` checks, in which order, and which fault makes later checks meaningless."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure

VERSION = 1
"""Of the object that ``doctor --json`` prints."""


class Part(StrEnum):
    """What is checked, in this order; the values are those of ``doctor --json``."""

    SETTINGS = "settings"
    SSH_CONFIG = "ssh_config"
    NAME = "name"
    ROUTE = "route"
    SERVER = "server"
    HOST_KEY = "host_key"
    KEYS = "keys"  # what ssh_config says of them means little for a name that is misspelt
    LOGIN = "login"
    FORWARDING = "forwarding"
    GATEWAY = "gateway"
    CREDENTIALS = "credentials"
    CLOCK = "clock"
    LOCAL_PORT = "local_port"
    TUNNEL = "tunnel"
    SERVICE = "service"
    VERSIONS = "versions"


NEEDS: Mapping[Part, tuple[Part, ...]] = MappingProxyType(
    {
        Part.SSH_CONFIG: (Part.SETTINGS,),
        Part.NAME: (Part.SSH_CONFIG,),
        Part.ROUTE: (Part.NAME,),
        Part.SERVER: (Part.ROUTE,),
        Part.HOST_KEY: (Part.SERVER,),
        Part.KEYS: (Part.SSH_CONFIG,),
        Part.LOGIN: (Part.KEYS, Part.HOST_KEY),
        Part.FORWARDING: (Part.LOGIN,),
        Part.GATEWAY: (Part.FORWARDING,),
        Part.CREDENTIALS: (Part.GATEWAY,),
        Part.CLOCK: (Part.GATEWAY,),
        Part.LOCAL_PORT: (Part.SSH_CONFIG,),
    }
)
"""What has to be well for a check to mean anything; the others need nothing."""

WAY = (Part.NAME, Part.ROUTE, Part.SERVER, Part.HOST_KEY, Part.LOGIN)
"""The stages of a dial, in their order."""

_ENDED_BY: Mapping[Part, tuple[Code, ...]] = {
    Part.SSH_CONFIG: (Code.CONFIG, Code.HELPER),
    Part.NAME: (Code.DNS,),
    Part.ROUTE: (
        *(Code.REFUSED, Code.NO_ROUTE, Code.TIMEOUT, Code.PROXY, Code.PROXY_DENIED),
        Code.FORWARDING_FORBIDDEN,  # a jump host's
    ),
    Part.HOST_KEY: (Code.HOST_KEY_UNKNOWN, Code.HOST_KEY_CHANGED, Code.HOST_KEY_REVOKED),
    Part.LOGIN: (Code.AUTH_DENIED, Code.KEY_LOCKED, Code.KEY_EXPOSED, Code.AGENT_UNREACHABLE, Code.NOT_CONFIRMED),
}


class Outcome(StrEnum):
    """What became of a check."""

    OK = "ok"
    WARNING = "warning"  # works, and a person should know
    FAULT = "fault"
    SKIPPED = "skipped"


class Remedy(StrEnum):
    """What ``--fix`` can do."""

    CHMOD = "chmod"  # subject: the file, from now on its owner's alone
    TRUST = "trust"  # subject: the destination whose host key is unknown; asks by itself, and shows the key first
    START_SERVICE = "start service"  # subject: the tunnel
    RESTART_SERVICE = "restart service"
    RESTART_TUNNEL = "restart tunnel"
    LINGER = "linger"


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair: what is done, to what, and the question that a person is asked before.

    ``ssh_config`` is the file for ``-F`` where the subject is a destination; empty for none.
    """

    remedy: Remedy
    subject: str
    question: str
    ssh_config: str = ""

    @property
    def needs_person(self) -> bool:
        """Nobody but a person can say yes: ``--yes`` does not."""
        return self.remedy is Remedy.TRUST


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: one line of the answer.

    Attributes:
        message: what was found, one sentence.
        hint: for a warning or a fault: the next step.
        code: of a failure, as in ``core.failures`` where it is one of those.
        repair: what ``--fix`` would do about it.
        said: what the other side said, as in ``core.failures``.
    """

    part: Part
    outcome: Outcome
    message: str
    hint: str = ""
    code: str = ""
    repair: Repair | None = None
    said: str = ""

    def to_json(self) -> dict[str, Any]:
        """An element of ``checks``."""
        return {
            "name": str(self.part),
            "outcome": str(self.outcome),
            "message": self.message,
            "hint": self.hint or None,
            "code": self.code or None,
            "fix": self.repair is not None,
            "said": self.said or None,
        }


def ok(part: Part, message: str) -> Finding:
    """A check that found nothing wrong."""
    return Finding(part, Outcome.OK, message)


def warning(part: Part, message: str, hint: str, *, code: str = "", repair: Repair | None = None) -> Finding:
    """Something that works, and that a person should know."""
    return Finding(part, Outcome.WARNING, message, hint, code, repair)


def fault(part: Part, message: str, hint: str, *, code: str, repair: Repair | None = None) -> Finding:
    """Something that has to be repaired."""
    return Finding(part, Outcome.FAULT, message, hint, code, repair)


def skipped(part: Part, why: str) -> Finding:
    """A check that was not made."""
    return Finding(part, Outcome.SKIPPED, why)


def of_failure(part: Part, failure: Failure, *, repair: Repair | None = None) -> Finding:
    """A failure as a fault."""
    return replace(fault(part, failure.message, failure.hint, code=str(failure.code), repair=repair), said=failure.said)


def stage_of(failure: Failure) -> Part:
    """Which stage of a dial a failure ended; ``stage`` among its facts says how far a deadline let it come."""
    if failure.code is Code.TIMEOUT and failure.facts.get("stage") == "exchanging keys":
        return Part.SERVER
    if failure.code is Code.TIMEOUT and failure.facts.get("stage") == "logging in":
        return Part.LOGIN
    return next((part for part, codes in _ENDED_BY.items() if failure.code in codes), Part.SERVER)


@dataclass(frozen=True, slots=True)
class Report:
    """All checks in their order; some parts have several lines."""

    findings: tuple[Finding, ...]

    @property
    def first_fault(self) -> Finding | None:
        """The one to begin with: what comes after it may be its consequence."""
        return next((finding for finding in self.findings if finding.outcome is Outcome.FAULT), None)

    @property
    def ok(self) -> bool:
        """Nothing has to be repaired."""
        return self.first_fault is None

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What ``--fix`` can do, each once."""
        return tuple(dict.fromkeys(finding.repair for finding in self.findings if finding.repair))

    def to_json(self) -> dict[str, Any]:
        """The object of ``doctor --json``."""
        first = self.first_fault
        return {
            "version": VERSION,
            "ok": self.ok,
            "checks": [finding.to_json() for finding in self.findings],
            "first_fault": first.to_json() if first else None,
        }


def arrange(found: Iterable[Finding]) -> Report:
    """Put checks in their order, and leave out what a fault below makes meaningless.

    Whoever gathers may leave parts out, and may add what follows from a fault: where a part that another one needs
    has a fault, the other one is skipped, whatever was found of it; and beside a fault nothing of its part is well.
    Keys that could not be used are no fault where the login went well without them.
    """
    findings = list(found)
    if any(finding.part is Part.LOGIN and finding.outcome is Outcome.OK for finding in findings):
        findings = [_softened(finding) for finding in findings]
    culprits: dict[Part, Part] = {}
    arranged: list[Finding] = []
    for part in Part:
        own = [finding for finding in findings if finding.part is part]
        blame = next((culprits[need] for need in NEEDS.get(part, ()) if need in culprits), None)
        faults = any(finding.outcome is Outcome.FAULT for finding in own)
        if faults:
            own = [finding for finding in own if finding.outcome is not Outcome.OK]
        if blame is not None:
            own = [skipped(part, f"not checked: because of {title(blame)}")]
        arranged += own or [skipped(part, "not checked")]
        if blame is not None or faults:
            culprits[part] = blame or part
    return Report(tuple(arranged))


def _softened(finding: Finding) -> Finding:
    unused = finding.part is Part.KEYS and finding.outcome is Outcome.FAULT
    return replace(finding, outcome=Outcome.WARNING) if unused else finding


def title(part: Part) -> str:
    """How a person reads the name of a part."""
    return str(part).replace("_", " ")
