"""Everything a probe saw -> one verdict with a reason. Pure.

The facts about the gateway's answers are those of OpenClaw 2026.3 to 2026.9: ``/healthz`` answers
``{"ok":true,"status":"live"}`` as JSON as soon as HTTP listens; ``/startupz`` (2026.9) answers 200
``started``, or 503 ``starting`` or ``draining``, with the version; ``/readyz`` (all) answers 503 and names
``startup-sidecars`` or ``gateway-draining``, but also channels that do not work, which is no fault of the tunnel.
For unknown paths a gateway answers with the web page of the Control UI and status 200, which is no health at all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.status import UNAVAILABLE, Verdict
from openclaw_tunnel.gateway.answer import Answer
from openclaw_tunnel.gateway.frames import mapping, number, words
from openclaw_tunnel.gateway.hello import MAX_PROTOCOL, MIN_PROTOCOL, Hello

_LONGEST_VERSION = 64
_DOING = {"starting": "is starting", "draining": "is shutting down"}
_FAILING = {"startup-sidecars": "starting", "gateway-draining": "draining"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of the gateway.

    Attributes:
        version: the gateway's, where it told.
        failure: why the verdict is not good; None where it is.
        expected_in: seconds until the gateway expects to be back, where it told.
        uptime: seconds since it started, where it told.
        latency: seconds that a probe took which found it well.
    """

    verdict: Verdict
    version: str | None = None
    failure: Failure | None = None
    expected_in: float | None = None
    uptime: float | None = None
    latency: float | None = None


def judge(healthz: Answer | None, startupz: Answer | None, *, to: str, readyz: Answer | None = None) -> Judgement:
    """Judge the answers to ``GET /healthz`` and ``GET /startupz`` or, from an older gateway, ``GET /readyz``.

    Args:
        healthz: None where nothing came back in time.
        startupz: None where it was not asked or did not answer.
        to: the far end as ``host:port``, for the message.
        readyz: likewise.
    """
    if healthz is None:
        return unreachable(f"{to} accepts connections but does not answer")
    loop = judge_loop(healthz.status, healthz.body, to=to)
    if loop is not None:
        return loop
    tunnel_says = words(_told_by_tunnel(healthz.status, healthz.body).get("message"))
    if tunnel_says:
        failure = Failure(Code.TUNNEL_DOWN, f"the tunnel behind {to} has no connection to its gateway: {tunnel_says}")
        return Judgement(Verdict.UNREACHABLE, failure=failure)
    if not _is_live(healthz):
        if healthz.broke_off:  # a gateway that stops cuts the connections it has just accepted
            return unreachable(f"{to} accepts connections and closes them without an answer")
        return not_a_gateway(_what_answered(healthz, to))
    told, ready = _object(startupz), _object(readyz)
    version = told.get("version")
    version = version[:_LONGEST_VERSION] if isinstance(version, str) and version.isprintable() else None
    uptime = number(told.get("uptimeMs", ready.get("uptimeMs")), 0, 1e15)
    uptime = None if uptime is None else uptime / 1000
    doing = _starting(startupz, told.get("status")) or _unready(readyz, ready.get("failing"))
    if doing:
        return starting(f"the gateway on {to} {doing}", version=version, uptime=uptime)
    return Judgement(Verdict.HEALTHY, version, uptime=uptime)


def knows_startupz(startupz: Answer | None) -> bool:
    """Whether the answer to ``GET /startupz`` is one: older gateways answer with a web page."""
    return "status" in _object(startupz)


def judge_channel(failure: Failure) -> Judgement:
    """Judge a channel, or a connection of our own, that would not open."""
    if failure.code is Code.NOT_LISTENING:
        return Judgement(Verdict.NOT_LISTENING, failure=failure)
    if failure.code is Code.NOT_A_GATEWAY:
        return Judgement(Verdict.NOT_A_GATEWAY, failure=failure)
    if failure.code is Code.TIMEOUT:
        failure = Failure(Code.GATEWAY_UNREACHABLE, failure.message, failure.facts)
    return Judgement(Verdict.UNREACHABLE, failure=failure)


def judge_loop(status: int, body: bytes, *, to: str) -> Judgement | None:
    """The judgement where an HTTP answer is that of a tunnel whose forward leads back to its own port, else None."""
    if _told_by_tunnel(status, body).get("code") != Code.LOOP:
        return None
    message = f"{to} is the local port of a tunnel that leads back to itself"
    return Judgement(Verdict.NOT_A_GATEWAY, failure=Failure(Code.LOOP, message, {"to": to}))


def judge_hello(hello: Hello, wanted: Sequence[str], *, to: str) -> Judgement:
    """Judge what the gateway granted to a client that asked for the scopes ``wanted``."""
    if not MIN_PROTOCOL <= hello.protocol <= MAX_PROTOCOL:
        message = f"the gateway on {to} speaks protocol {hello.protocol}, which was not offered to it"
        return Judgement(Verdict.PROTOCOL_MISMATCH, hello.version, Failure(Code.PROTOCOL_MISMATCH, message))
    missing = [] if hello.scopes is None else [scope for scope in wanted if scope not in hello.scopes]
    if missing:
        return limited(missing[0], to=to, version=hello.version, uptime=hello.uptime)
    return Judgement(Verdict.HEALTHY, hello.version, uptime=hello.uptime)


def limited(scope: str, *, to: str, version: str | None = None, uptime: float | None = None) -> Judgement:
    """The gateway lets these credentials in, but not do what takes ``scope``."""
    message = f"the gateway on {to} accepts the credentials, but does not grant {scope}"
    failure = Failure(Code.LIMITED_SCOPE, message, {"scope": scope})
    return Judgement(Verdict.LIMITED_SCOPE, version, failure, uptime=uptime)


def starting(
    message: str, *, version: str | None = None, expected_in: float | None = None, uptime: float | None = None
) -> Judgement:
    """The gateway says that it will be ready soon."""
    if expected_in is not None:
        message += f", expected back in {expected_in:.1f} s"
    return Judgement(Verdict.STARTING, version, Failure(Code.GATEWAY_STARTING, message), expected_in, uptime)


def unreachable(message: str) -> Judgement:
    """Something accepts connections there, and then nothing useful happens."""
    return Judgement(Verdict.UNREACHABLE, failure=Failure(Code.GATEWAY_UNREACHABLE, message))


def not_a_gateway(message: str) -> Judgement:
    """Something else answers there."""
    return Judgement(Verdict.NOT_A_GATEWAY, failure=Failure(Code.NOT_A_GATEWAY, message))


def _starting(answer: Answer | None, status: object) -> str:
    if answer is None or answer.status != 503 or not isinstance(status, str):
        return ""
    return _DOING.get(status, "")


def _unready(answer: Answer | None, failing: object) -> str:
    if answer is None or answer.status != 503 or not isinstance(failing, list):
        return ""
    reasons = [_FAILING[reason] for reason in failing[:16] if isinstance(reason, str) and reason in _FAILING]
    return _DOING[reasons[0]] if reasons else ""


def _is_live(answer: Answer) -> bool:
    return answer.status == 200 and _object(answer).get("ok") is True and _object(answer).get("status") == "live"


def _told_by_tunnel(status: int, body: bytes) -> Mapping[str, Any]:
    """What a tunnel of this project says in its gateway's place; empty where none does. See ``relay.error_body``."""
    told = mapping(_json(body).get("error")) if status == 503 else {}
    return told if told.get("type") == UNAVAILABLE else {}


def _object(answer: Answer | None) -> dict[str, Any]:
    return {} if answer is None or answer.content_type != "application/json" else _json(answer.body)


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _what_answered(answer: Answer, to: str) -> str:
    if answer.status == 0:
        return f"what answers on {to} does not speak HTTP"
    told = _object(answer).get("error")
    if answer.status == 403 and isinstance(told, dict) and told.get("type") == "proxy_attribution_required":
        # the gateway refuses whatever a proxy on the way has marked with X-Forwarded-For and the like
        return f"an HTTP proxy stands between here and the gateway on {to}: {words(told.get('message'))}"
    return f"a web server answers on {to}, but not as an OpenClaw gateway (GET /healthz: status {answer.status})"
