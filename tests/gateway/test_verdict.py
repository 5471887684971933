"""What a gateway answers, and what is made of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot, Verdict
from openclaw_tunnel.gateway.answer import MAX_ANSWER, Answer, parse
from openclaw_tunnel.gateway.refusal import judge_upgrade
from openclaw_tunnel.gateway.verdict import judge, judge_channel
from openclaw_tunnel.relay.error_body import error_body

TO = "127.0.0.1:18789"
LIVE = Answer(200, "application/json", b'{"ok":true,"status":"live"}')
PAGE = Answer(200, "text/html", b"<!doctype html>")


def startup(code: int, **body: object) -> Answer:
    return Answer(code, "application/json", json.dumps(body).encode())


@pytest.mark.parametrize(
    ("healthz", "startupz", "verdict", "version", "message"),
    [
        (LIVE, startup(200, ok=True, status="started", version="2026.9.6"), Verdict.HEALTHY, "2026.9.6", None),
        (LIVE, PAGE, Verdict.HEALTHY, None, None),  # before 2026.9 there is no /startupz
        (LIVE, None, Verdict.HEALTHY, None, None),
        (LIVE, startup(200, version=7), Verdict.HEALTHY, None, None),
        (LIVE, startup(200, version="\x1b[31m"), Verdict.HEALTHY, None, None),
        (
            LIVE,
            startup(503, ok=False, status="starting", version="2026.9.6"),
            Verdict.STARTING,
            "2026.9.6",
            f"the gateway on {TO} is starting",
        ),
        (
            LIVE,
            startup(503, status="draining", version="2026.9.6"),
            Verdict.STARTING,
            "2026.9.6",
            f"the gateway on {TO} is shutting down",
        ),
        (
            PAGE,
            None,
            Verdict.NOT_A_GATEWAY,
            None,
            f"a web server answers on {TO}, but not as an OpenClaw gateway (GET /healthz: status 200)",
        ),
        (
            startup(
                403, error={"message": "Proxy client attribution is required", "type": "proxy_attribution_required"}
            ),
            None,
            Verdict.NOT_A_GATEWAY,
            None,
            f"an HTTP proxy stands between here and the gateway on {TO}: Proxy client attribution is required",
        ),
        (Answer(0, "", b"SSH-2.0-x"), None, Verdict.NOT_A_GATEWAY, None, f"what answers on {TO} does not speak HTTP"),
        (None, None, Verdict.UNREACHABLE, None, f"{TO} accepts connections but does not answer"),
        (
            Answer(0, "", b"", broke_off=True),
            None,
            Verdict.UNREACHABLE,
            None,
            f"{TO} accepts connections and closes them without an answer",
        ),
    ],
)
def test_judge(
    healthz: Answer | None, startupz: Answer | None, verdict: Verdict, version: str | None, message: str | None
) -> None:
    judgement = judge(healthz, startupz, to=TO)
    assert judgement.verdict is verdict
    assert judgement.version == version
    assert (judgement.failure.message if judgement.failure else None) == message


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, "text/html", LIVE.body),
        Answer(503, "application/json", LIVE.body),
        Answer(200, "application/json", b'{"ok":true}'),
        Answer(200, "application/json", b'{"ok":1,"status":"live"}'),
        Answer(200, "application/json", b"[1]"),
        Answer(200, "application/json", b"\xff"),
        Answer(200, "application/json", b"[" * 50_000),
    ],
)
def test_almost_healthy_is_not_healthy(answer: Answer) -> None:
    assert judge(answer, None, to=TO).verdict is Verdict.NOT_A_GATEWAY


def test_a_tunnel_that_answers_in_its_gateways_place() -> None:
    """Asked over the local port, or through a tunnel that ends at another one."""
    body = json.dumps({"error": {"type": "tunnel_unavailable", "message": "gw:22 refused the connection"}}).encode()
    found = judge(Answer(503, "application/json", body), None, to=TO)
    assert found.verdict is Verdict.UNREACHABLE
    assert found.failure is not None
    assert found.failure.code is Code.TUNNEL_DOWN
    assert (
        found.failure.message
        == f"the tunnel behind {TO} has no connection to its gateway: gw:22 refused the connection"
    )
    assert "openclaw-tunnel status" in found.failure.hint
    assert judge(Answer(200, "application/json", body), None, to=TO).verdict is Verdict.NOT_A_GATEWAY


def test_a_tunnel_that_leads_back_to_itself() -> None:
    """Whose probe is one of its own clients: it gets what they get."""
    failure = Failure(Code.LOOP, "it leads back", {"to": TO})
    forward = ForwardStatus(TO, TO, True)
    tunnel = Snapshot("dev", State.DEGRADED, "2026-11-22T06:00:01Z", "me@h:22", "gw", (forward,))
    for host in ("127.0.0.1", "any.example"):
        body = json.dumps(error_body(tunnel, failure, host).to_json()).encode()
        for found in (judge(Answer(503, "application/json", body), None, to=TO), judge_upgrade(503, body, to=TO)):
            assert found.verdict is Verdict.NOT_A_GATEWAY
            assert found.failure is not None
            assert found.failure.code is Code.LOOP
            assert found.failure.message == f"{TO} is the local port of a tunnel that leads back to itself"
            assert "-r PORT" in found.failure.hint
    assert judge(Answer(200, "application/json", body), None, to=TO).failure != found.failure


def test_channels_that_do_not_open() -> None:
    refused = judge_channel(Failure(Code.NOT_LISTENING, "nothing listens"))
    assert (refused.verdict, refused.failure and refused.failure.code) == (Verdict.NOT_LISTENING, Code.NOT_LISTENING)
    slow = judge_channel(Failure(Code.TIMEOUT, "no answer"))
    assert (slow.verdict, slow.failure and slow.failure.code) == (Verdict.UNREACHABLE, Code.GATEWAY_UNREACHABLE)
    forbidden = judge_channel(Failure(Code.FORWARDING_FORBIDDEN, "no"))
    assert forbidden.failure is not None
    assert forbidden.failure.permanent


def test_parse_an_answer() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}more"
    assert parse(raw) == Answer(200, "application/json", b"{}")
    date = "Sun, 22 Nov 2026 06:00:00 GMT"
    assert parse(raw.replace(b"\r\n\r\n", f"\r\nDate: {date}\r\n\r\n".encode())).date == date


def test_parse_chunks() -> None:
    raw = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert parse(raw) == Answer(503, "", b"abcde")


def test_parse_a_cut_body() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
    assert parse(raw) == Answer(200, "", b"abc", broke_off=True)


@pytest.mark.parametrize("raw", [b"", b"HT", b"HTTP/1.1 200 OK\r\nContent-Ty"])
def test_parse_an_answer_that_broke_off(raw: bytes) -> None:
    """As a gateway's does that stops meanwhile: no sign of another server."""
    assert parse(raw).broke_off


def test_a_page_that_is_too_long_did_not_break_off() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    assert not parse(raw.ljust(MAX_ANSWER, b"x")).broke_off


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 70_000])
def test_parse_what_is_no_answer(raw: bytes) -> None:
    assert parse(raw).status == 0
    assert not parse(raw).broke_off or not raw


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda b: b"HTTP/1.1 200 OK\r\n" + b))
def test_any_bytes_end_in_a_verdict(raw: bytes) -> None:
    assert judge(parse(raw), parse(raw), to=TO).verdict in Verdict
