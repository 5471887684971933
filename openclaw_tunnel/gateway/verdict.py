"""Everything a probe saw -> one verdict with a reason. Pure.

The facts about the gateway's answers are those of OpenClaw 2026.3 to 2026.9: ``/healthz`` answers
``{"ok":true,"status":"live"}`` as JSON as soon as HTTP listens; ``/startupz`` (2026.9) answers 200
``started``, or 503 ``starting`` or ``draining``, with the version; older gateways, like all of them for
unknown paths, answer with the web page of the Control UI and status 200, which is no health at all.
"""

import json
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.answer import Answer

_LONGEST_VERSION = 64


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, the gateway's version where it told, and the failure where the verdict is not good."""

    verdict: Verdict
    version: str | None = None
    failure: Failure | None = None


def judge(healthz: Answer | None, startupz: Answer | None, *, to: str) -> Judgement:
    """Judge the answers to ``GET /healthz`` and ``GET /startupz``.

    Args:
        healthz: None where nothing came back in time.
        startupz: None where it was not asked or did not answer.
        to: the far end as ``host:port``, for the message.
    """
    if healthz is None:
        return Judgement(
            Verdict.UNREACHABLE,
            failure=Failure(Code.GATEWAY_UNREACHABLE, f"{to} accepts connections but does not answer"),
        )
    if not _is_live(healthz):
        return Judgement(Verdict.NOT_A_GATEWAY, failure=Failure(Code.NOT_A_GATEWAY, _what_answered(healthz, to)))
    told = _object(startupz)
    version = told.get("version")
    version = version[:_LONGEST_VERSION] if isinstance(version, str) and version.isprintable() else None
    if startupz is not None and startupz.status == 503 and told.get("status") in ("starting", "draining"):
        doing = "starting" if told["status"] == "starting" else "shutting down"
        return Judgement(Verdict.STARTING, version, Failure(Code.GATEWAY_STARTING, f"the gateway on {to} is {doing}"))
    return Judgement(Verdict.HEALTHY, version)


def judge_channel(failure: Failure) -> Judgement:
    """Judge a channel that would not open."""
    verdict = Verdict.NOT_LISTENING if failure.code is Code.NOT_LISTENING else Verdict.UNREACHABLE
    if failure.code is Code.TIMEOUT:
        failure = Failure(Code.GATEWAY_UNREACHABLE, failure.message, failure.facts)
    return Judgement(verdict, failure=failure)


def _is_live(answer: Answer) -> bool:
    return answer.status == 200 and _object(answer).get("ok") is True and _object(answer).get("status") == "live"


def _object(answer: Answer | None) -> dict[str, Any]:
    if answer is None or answer.content_type != "application/json":
        return {}
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _what_answered(answer: Answer, to: str) -> str:
    if answer.status == 0:
        return f"what answers on {to} does not speak HTTP"
    return f"a web server answers on {to}, but not as an OpenClaw gateway (GET /healthz: status {answer.status})"
