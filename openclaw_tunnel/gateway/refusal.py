"""What a gateway's refusal, farewell or silence means. Pure.

The codes are those of OpenClaw 2026.3 to 2026.9: ``details.code`` of the error is precise where it is there, the
close code of the WebSocket says the rest.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.frames import ErrorReply, mapping, number, words
from openclaw_tunnel.gateway.hello import MAX_PROTOCOL, MIN_PROTOCOL
from openclaw_tunnel.gateway.verdict import Judgement, judge_loop, limited, not_a_gateway, starting, unreachable

# WebSocket close codes that gateways use with a meaning of their own.
CLOSE_RESTART, CLOSE_TRY_LATER, CLOSE_AUTH_CHANGED = 1012, 1013, 4001
CLOSE_NONE = 1006

_LOCKOUT = 300.0
"""Seconds for which a gateway that does not tell locks out who gave wrong secrets: the default of its settings."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SCOPE = re.compile(r"[a-z][a-z0-9._-]{0,63}")

_CREDENTIAL_CODES: Mapping[str, Code] = {
    "AUTH_TOKEN_MISSING": Code.AUTH_MISSING,
    "AUTH_PASSWORD_MISSING": Code.AUTH_MISSING,
    "AUTH_REQUIRED": Code.AUTH_MISSING,
    "DEVICE_IDENTITY_REQUIRED": Code.AUTH_MISSING,
    "AUTH_RATE_LIMITED": Code.RATE_LIMITED,
}
_NEXT_STEPS: Mapping[str, str] = {
    "update_auth_credentials": "it asks for other credentials",
    "update_auth_configuration": "it asks for credentials of its auth mode",
    "review_auth_configuration": "it asks to review what these credentials may do",
    "retry_with_device_token": "it asks for the token of this device",
    "wait_then_retry": "it asks to wait",
}


@dataclass(frozen=True, slots=True)
class Farewell:
    """The ``shutdown`` event: the gateway's reason, and seconds until it expects to be back, where it does."""

    reason: str
    expected_in: float | None


def read_shutdown(payload: Mapping[str, Any]) -> Farewell:
    """Read the payload of a ``shutdown`` event."""
    milliseconds = number(payload.get("restartExpectedMs"), 0, 86_400_000)
    return Farewell(words(payload.get("reason"), 120), None if milliseconds is None else milliseconds / 1000)


def judge_refusal(error: ErrorReply, *, to: str, credential: str = "token", version: str | None = None) -> Judgement:
    """Judge the error with which a gateway answers ``connect``, or a request that it will not carry out.

    Args:
        to: the gateway as ``host:port``, for the message.
        credential: ``token`` or ``password``, whichever was sent, for the hint.
        version: the gateway's, where it is known.
    """
    code = error.detail_code
    if code == "PROTOCOL_MISMATCH" or error.message == "protocol mismatch":
        return _mismatch(error, to, version)
    if code == "PAIRING_REQUIRED":
        return _pairing(error, to, version)
    scope = _missing_scope(error)
    if scope:
        return limited(scope, to=to, version=version)
    if error.code == "UNAVAILABLE" or (error.retryable and not code.startswith("AUTH_")):
        return starting(f"the gateway on {to} is not ready: {error.message}", version=version)
    if code.startswith(("AUTH_", "DEVICE_")) or error.message.startswith("unauthorized") or error.code == "NOT_PAIRED":
        return _unauthorized(error, to, credential, version)
    failure = Failure(
        Code.CALL_REFUSED,
        f"the gateway on {to} refuses: {error.message} ({code or error.code})",
        {"version": version or "of the gateway"},
    )
    return Judgement(Verdict.HEALTHY, version, failure)


def judge_close(code: int, reason: str, *, to: str, farewell: Farewell | None = None, began: bool = True) -> Judgement:
    """Judge the end of a connection on which no error was told.

    Args:
        code: the WebSocket close code; 1005 or 1006 where there was none.
        reason: the far end's words.
        farewell: the ``shutdown`` event that came before, if one did.
        began: whether anything that only a gateway says had arrived.
    """
    reason = words(reason, 120)
    if farewell is not None and farewell.expected_in is None:
        message = f"the gateway on {to} says: {farewell.reason or 'shutting down'}"
        return Judgement(Verdict.NOT_LISTENING, failure=Failure(Code.NOT_LISTENING, message))
    if farewell is not None:
        return starting(f"the gateway on {to} is restarting", expected_in=farewell.expected_in)
    if code == CLOSE_RESTART:
        return starting(f"the gateway on {to} is restarting")
    if code == CLOSE_TRY_LATER:
        return starting(f"the gateway on {to} is not ready: {reason or 'try again later'}")
    if code == CLOSE_AUTH_CHANGED:
        message = f"the gateway on {to} has new credentials: {reason or 'gateway auth changed'}"
        return Judgement(Verdict.AUTH_FAILED, failure=Failure(Code.AUTH_FAILED, message, {"credential": "token"}))
    told = f"code {code}" + (f", {reason}" if reason else "")
    if not began and code == CLOSE_NONE:
        return unreachable(f"{to} accepts connections and closes them without a word")
    if not began:
        return not_a_gateway(f"what answers on {to} closes the WebSocket before it has said anything ({told})")
    return unreachable(f"the gateway on {to} closed the connection ({told})")


def judge_upgrade(status: int, body: bytes, *, to: str) -> Judgement:
    """Judge an HTTP answer other than 101 to the request for a WebSocket."""
    loop = judge_loop(status, body, to=to)
    if loop is not None:
        return loop
    if status == 503:
        return starting(f"the gateway on {to} takes no WebSocket right now (HTTP status 503)")
    if status == 403 and b"proxy_attribution_required" in body:
        return not_a_gateway(f"an HTTP proxy stands between here and the gateway on {to}, which refuses that")
    return not_a_gateway(f"what answers on {to} does not speak WebSocket (HTTP status {status})")


def _mismatch(error: ErrorReply, to: str, version: str | None) -> Judgement:
    expected = number(error.details.get("expectedProtocol"), 0, 999)
    theirs = f"protocol {expected:.0f}" if expected else "another protocol"
    message = f"the gateway on {to} speaks {theirs}, openclaw-tunnel {MIN_PROTOCOL} to {MAX_PROTOCOL}"
    return Judgement(Verdict.PROTOCOL_MISMATCH, version, Failure(Code.PROTOCOL_MISMATCH, message))


def _pairing(error: ErrorReply, to: str, version: str | None) -> Judgement:
    # What the far end calls an id ends up in a line that people paste into a shell.
    told = error.details.get("requestId")
    request = told if isinstance(told, str) and _ID.fullmatch(told) else "REQUEST_ID"
    message = (
        f"the gateway on {to} wants this device approved first; on the gateway's host: "
        f"openclaw devices approve {request}"
    )
    return Judgement(Verdict.PAIRING_REQUIRED, version, Failure(Code.PAIRING_REQUIRED, message, {"request": request}))


def _missing_scope(error: ErrorReply) -> str:
    told = error.details.get("missingScope")
    if not isinstance(told, str):
        told = error.message.removeprefix("missing scope: ") if error.message.startswith("missing scope: ") else ""
    return told if _SCOPE.fullmatch(told) else ""


def _unauthorized(error: ErrorReply, to: str, credential: str, version: str | None) -> Judgement:
    detail = error.detail_code
    code = _CREDENTIAL_CODES.get(detail)
    if code is None:
        code = Code.DEVICE_REFUSED if detail.startswith("DEVICE_") else Code.AUTH_FAILED
    kind = "password" if "PASSWORD" in detail else "token" if "TOKEN" in detail else credential
    wait = error.retry_after
    if wait is None and code is Code.RATE_LIMITED:
        wait = _LOCKOUT
    facts = {"credential": kind, "wait": f"{max(1, round(wait or 0))} s"}
    step = _NEXT_STEPS.get(str(mapping(error.details).get("recommendedNextStep")), "")
    message = f"the gateway on {to} refuses the credentials: {error.message}" + (f"; {step}" if step else "")
    if code is Code.AUTH_MISSING:
        wants = f"a {kind}" if detail.startswith("AUTH_") else "a token or password"
        message = f"the gateway on {to} wants {wants}, and none was given: {error.message}"
    return Judgement(Verdict.AUTH_FAILED, version, Failure(code, message, facts), expected_in=wait)
