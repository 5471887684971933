"""Every row of the gateway's table of errors, and what is made of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.errors import ExitCode
from openclaw_tunnel.gateway.frames import ErrorReply
from openclaw_tunnel.gateway.refusal import Farewell, judge_close, judge_refusal, judge_upgrade, read_shutdown
from openclaw_tunnel.gateway.verdict import Judgement

TO = "127.0.0.1:18789"
ID = "0b9f2c1e-7d6f-4a3c-9d0e-3f6f2b1a5c77"


def told(code: str, message: str, detail: str = "", **more: Any) -> ErrorReply:
    details = {"code": detail} if detail else {}
    known = {"retryable", "retry_after"}
    rest = {name: value for name, value in more.items() if name not in known}
    return ErrorReply(code, message, {**details, **rest}, more.get("retryable", False), more.get("retry_after"))


INVALID = "INVALID_REQUEST"
TABLE = [
    (
        told(
            INVALID,
            "unauthorized: gateway token mismatch (provide gateway auth token)",
            "AUTH_TOKEN_MISMATCH",
            recommendedNextStep="update_auth_credentials",
        ),
        Verdict.AUTH_FAILED,
        Code.AUTH_FAILED,
    ),
    (
        told("NOT_PAIRED", "device identity required", "DEVICE_IDENTITY_REQUIRED"),
        Verdict.AUTH_FAILED,
        Code.AUTH_MISSING,
    ),
    (
        told(INVALID, "unauthorized: gateway token missing", "AUTH_TOKEN_MISSING"),
        Verdict.AUTH_FAILED,
        Code.AUTH_MISSING,
    ),
    (told(INVALID, "unauthorized: password missing", "AUTH_PASSWORD_MISSING"), Verdict.AUTH_FAILED, Code.AUTH_MISSING),
    (
        told(INVALID, "unauthorized: gateway password mismatch", "AUTH_PASSWORD_MISMATCH"),
        Verdict.AUTH_FAILED,
        Code.AUTH_FAILED,
    ),
    (
        told(INVALID, "unauthorized: too many", "AUTH_RATE_LIMITED", retryable=True, retry_after=19.992),
        Verdict.AUTH_FAILED,
        Code.RATE_LIMITED,
    ),
    (
        told("NOT_PAIRED", "pairing required: device is not approved yet", "PAIRING_REQUIRED", requestId=ID),
        Verdict.PAIRING_REQUIRED,
        Code.PAIRING_REQUIRED,
    ),
    (
        told(INVALID, "unauthorized: device token scope mismatch", "AUTH_SCOPE_MISMATCH"),
        Verdict.AUTH_FAILED,
        Code.AUTH_FAILED,
    ),
    (
        told(INVALID, "protocol mismatch", "PROTOCOL_MISMATCH", expectedProtocol=5),
        Verdict.PROTOCOL_MISMATCH,
        Code.PROTOCOL_MISMATCH,
    ),
    (told(INVALID, "protocol mismatch", expectedProtocol=2), Verdict.PROTOCOL_MISMATCH, Code.PROTOCOL_MISMATCH),
    (
        told(
            "UNAVAILABLE", "gateway starting; retry shortly", reason="startup-sidecars", retryable=True, retry_after=0.5
        ),
        Verdict.STARTING,
        Code.GATEWAY_STARTING,
    ),
    (
        told("UNAVAILABLE", "connect unavailable during gateway restart", retry_after=1.0),
        Verdict.STARTING,
        Code.GATEWAY_STARTING,
    ),
    (
        told(INVALID, "device signature invalid", "DEVICE_AUTH_SIGNATURE_INVALID"),
        Verdict.AUTH_FAILED,
        Code.DEVICE_REFUSED,
    ),
    (told(INVALID, "device nonce", "DEVICE_AUTH_NONCE_MISMATCH"), Verdict.AUTH_FAILED, Code.DEVICE_REFUSED),
    (told(INVALID, "expired", "DEVICE_AUTH_SIGNATURE_EXPIRED"), Verdict.AUTH_FAILED, Code.DEVICE_REFUSED),
    (told(INVALID, "missing scope: operator.read"), Verdict.LIMITED_SCOPE, Code.LIMITED_SCOPE),
    (
        told("FORBIDDEN", "missing scope", "MISSING_SCOPE", missingScope="operator.admin"),
        Verdict.LIMITED_SCOPE,
        Code.LIMITED_SCOPE,
    ),
    (told(INVALID, "unknown method: nope"), Verdict.HEALTHY, Code.CALL_REFUSED),
    (told(INVALID, "invalid connect params: at /client/id"), Verdict.HEALTHY, Code.CALL_REFUSED),
]


@pytest.mark.parametrize(("error", "verdict", "code"), TABLE)
def test_refusals(error: ErrorReply, verdict: Verdict, code: Code) -> None:
    judged = judge_refusal(error, to=TO)
    assert judged.verdict is verdict
    assert judged.failure is not None
    assert judged.failure.code is code
    assert TO in judged.failure.message
    assert not judged.failure.permanent, "what a gateway refuses does not end a tunnel"


def failure(judged: Judgement) -> tuple[str, str, int]:
    assert judged.failure is not None
    shown = judged.failure.with_facts(target="gw")
    return shown.message, shown.hint, int(shown.exit_code)


def test_a_wrong_token_in_words() -> None:
    message, hint, code = failure(judge_refusal(TABLE[0][0], to=TO))
    assert message == (
        f"the gateway on {TO} refuses the credentials: unauthorized: gateway token mismatch "
        "(provide gateway auth token); it asks for other credentials"
    )
    assert hint == (
        "set the token that the gateway on gw has in gateway.auth.token: "
        "openclaw config set gateway.remote.token VALUE, or --token-file FILE"
    )
    assert code == ExitCode.GATEWAY_REFUSED


def test_a_wrong_password_names_the_password() -> None:
    _, hint, _ = failure(judge_refusal(TABLE[4][0], to=TO, credential="token"))
    assert "gateway.remote.password" in hint


def test_rate_limited_tells_how_long() -> None:
    judged = judge_refusal(TABLE[5][0], to=TO)
    assert judged.expected_in == 19.992
    assert failure(judged)[1].startswith("wait 20 s, and find out which client")
    silent = judge_refusal(told(INVALID, "unauthorized", "AUTH_RATE_LIMITED"), to=TO)
    assert silent.expected_in == 300


def test_pairing_names_the_command_for_the_gateways_host() -> None:
    message, hint, code = failure(judge_refusal(TABLE[6][0], to=TO))
    assert message.endswith(f"on the gateway's host: openclaw devices approve {ID}")
    assert hint.endswith(f"openclaw devices approve {ID}")
    assert code == ExitCode.GATEWAY_REFUSED


@pytest.mark.parametrize("request_id", ["x; rm -rf ~", "$(id)", "", None, 7, "-f", "a" * 200, "a\nb"])
def test_an_id_that_is_none_does_not_reach_the_command(request_id: object) -> None:
    judged = judge_refusal(told("NOT_PAIRED", "pairing", "PAIRING_REQUIRED", requestId=request_id), to=TO)
    assert failure(judged)[1].endswith("openclaw devices approve REQUEST_ID")


def test_protocol_mismatch_in_words() -> None:
    message, hint, code = failure(judge_refusal(TABLE[8][0], to=TO))
    assert message == f"the gateway on {TO} speaks protocol 5, openclaw-tunnel 3 to 4"
    assert hint.startswith("update OpenClaw on gw or openclaw-tunnel here")
    assert code == ExitCode.NOT_A_GATEWAY


def test_a_refused_call_is_no() -> None:
    message, hint, code = failure(judge_refusal(TABLE[-2][0], to=TO, version="2026.9.6"))
    assert message == f"the gateway on {TO} refuses: unknown method: nope (INVALID_REQUEST)"
    assert hint.endswith("OpenClaw 2026.9.6")
    assert code == ExitCode.NO


@pytest.mark.parametrize(
    ("code", "reason", "farewell", "began", "verdict", "words"),
    [
        (1012, "service restart", None, True, Verdict.STARTING, "is restarting"),
        (
            1012,
            "service restart",
            Farewell("gateway restarting", 1.5),
            True,
            Verdict.STARTING,
            "expected back in 1.5 s",
        ),
        (1006, "", Farewell("gateway restarting", 1.5), True, Verdict.STARTING, "expected back in 1.5 s"),
        (1012, "service restart", Farewell("gateway stopping", None), True, Verdict.NOT_LISTENING, "gateway stopping"),
        (1013, "gateway starting", None, True, Verdict.STARTING, "gateway starting"),
        (4001, "gateway auth changed", None, True, Verdict.AUTH_FAILED, "gateway auth changed"),
        (1000, "", None, True, Verdict.UNREACHABLE, "code 1000"),
        (1008, "invalid request frame", None, True, Verdict.UNREACHABLE, "invalid request frame"),
        (1009, "", None, True, Verdict.UNREACHABLE, "code 1009"),
        (1006, "", None, False, Verdict.UNREACHABLE, "without a word"),
        (1000, "bye", None, False, Verdict.NOT_A_GATEWAY, "before it has said anything"),
    ],
)
def test_ends(code: int, reason: str, farewell: Farewell | None, began: bool, verdict: Verdict, words: str) -> None:
    judged = judge_close(code, reason, to=TO, farewell=farewell, began=began)
    assert judged.verdict is verdict
    assert judged.failure is not None
    assert words in judged.failure.message
    assert judged.expected_in == (farewell.expected_in if farewell else None)


@pytest.mark.parametrize(
    ("payload", "farewell"),
    [
        ({"reason": "gateway restarting", "restartExpectedMs": 1500}, Farewell("gateway restarting", 1.5)),
        ({"reason": "gateway stopping", "restartExpectedMs": None}, Farewell("gateway stopping", None)),
        ({"restartExpectedMs": -1}, Farewell("", 0.0)),
        ({"restartExpectedMs": 10**30}, Farewell("", 86_400.0)),
        ({}, Farewell("", None)),
    ],
)
def test_shutdown_events(payload: dict[str, Any], farewell: Farewell) -> None:
    assert read_shutdown(payload) == farewell


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (503, b"Gateway websocket admission closed", Verdict.STARTING),
        (403, b'{"error":{"type":"proxy_attribution_required"}}', Verdict.NOT_A_GATEWAY),
        (200, b"<html>", Verdict.NOT_A_GATEWAY),
        (404, b"", Verdict.NOT_A_GATEWAY),
    ],
)
def test_upgrades_that_were_not_granted(status: int, body: bytes, verdict: Verdict) -> None:
    assert judge_upgrade(status, body, to=TO).verdict is verdict


DETAILS = st.dictionaries(
    st.sampled_from(["code", "requestId", "missingScope", "expectedProtocol", "recommendedNextStep", "reason"]),
    st.none()
    | st.text()
    | st.integers()
    | st.floats()
    | st.sampled_from([e.detail_code for e, *_ in TABLE])
    | st.lists(st.text()),
)


@given(st.text(max_size=40), st.text(), DETAILS, st.booleans(), st.none() | st.floats(0, 86400))
def test_any_refusal_ends_in_a_verdict(
    code: str, message: str, details: dict[str, Any], retryable: bool, wait: float | None
) -> None:
    judged = judge_refusal(ErrorReply(code, message, details, retryable, wait), to=TO)
    assert judged.failure is not None
    assert judged.failure.hint


@given(st.integers(0, 70_000), st.text(), st.booleans())
def test_any_end_ends_in_a_verdict(code: int, reason: str, began: bool) -> None:
    judged = judge_close(code, reason, to=TO, began=began)
    assert judged.failure is not None
    assert judged.failure.message.isprintable()
