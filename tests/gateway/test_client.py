"""A session, against gateways that follow a script and servers that do not."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.utils import accept_key

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import LinkLost
from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.client import _SHORTEST, HELLO_BUDGET, CallRefused, SessionFailed, connect
from openclaw_tunnel.gateway.device import Device
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.gateway.route import LinkRoute
from support.aio import async_test, computes, pass_time
from support.links import DirectLink
from support.scripted import CHALLENGE, Script, error, hello, page, raw, scripted

TOKEN = Credentials("tok-123")


async def refused(to: Endpoint, credentials: Credentials = TOKEN, timeout: float = 10.0) -> SessionFailed:
    """Connect, which has to fail."""
    with pytest.raises(SessionFailed) as caught:
        async with connect(LinkRoute(DirectLink(), to), credentials, timeout=timeout):
            pass
    assert caught.value.judgement.failure is not None
    return caught.value


@async_test
async def test_a_session() -> None:
    script = Script(methods={"health": [{"ok": True}]})
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        assert (session.hello.protocol, session.hello.version) == (4, "2026.9.6")
        assert await session.call("health", {"probe": True}) == {"ok": True}
    assert [frame["method"] for frame in script.seen] == ["connect", "health"]
    assert script.seen[0]["params"]["auth"] == {"token": "tok-123"}
    assert script.seen[1]["params"] == {"probe": True}
    assert script.connections == 1


@async_test
async def test_the_request_for_a_websocket() -> None:
    """An Origin header would cost the scopes; compression and a User-Agent are not needed."""
    script = Script()
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN):
        pass
    sent = script.headers[0]
    assert sent["Host"] == str(to)
    assert {name.lower() for name in sent} == {
        "host",
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
    }


@async_test
async def test_a_device_signs_and_names_itself_cli() -> None:
    script = Script()
    device = Device(Ed25519PrivateKey.generate())
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN, device=device):
        pass
    params = script.seen[0]["params"]
    assert (params["client"]["id"], params["client"]["mode"]) == ("cli", "cli")
    assert params["device"]["id"] == device.id
    assert params["device"]["nonce"] == CHALLENGE["payload"]["nonce"]


ROWS: list[tuple[dict[str, Any], tuple[int, str], Verdict, str]] = [
    (
        error("INVALID_REQUEST", "unauthorized: x", {"code": "AUTH_TOKEN_MISMATCH"}),
        (1008, "unauthorized"),
        Verdict.AUTH_FAILED,
        "credentials",
    ),
    (
        error("NOT_PAIRED", "device identity required", {"code": "DEVICE_IDENTITY_REQUIRED"}),
        (1008, ""),
        Verdict.AUTH_FAILED,
        "credentials",
    ),
    (
        error("INVALID_REQUEST", "unauthorized: x", {"code": "AUTH_RATE_LIMITED"}, retryable=True, retryAfterMs=19992),
        (1008, ""),
        Verdict.AUTH_FAILED,
        "credentials",
    ),
    (
        error("NOT_PAIRED", "pairing required", {"code": "PAIRING_REQUIRED", "requestId": "r-1"}),
        (1008, ""),
        Verdict.PAIRING_REQUIRED,
        "credentials",
    ),
    (
        error("INVALID_REQUEST", "protocol mismatch", {"code": "PROTOCOL_MISMATCH", "expectedProtocol": 5}),
        (1002, "protocol mismatch"),
        Verdict.PROTOCOL_MISMATCH,
        "handshake",
    ),
    (
        error("INVALID_REQUEST", "protocol mismatch", {"expectedProtocol": 2}),
        (1002, ""),
        Verdict.PROTOCOL_MISMATCH,
        "handshake",
    ),
    (
        error("INVALID_REQUEST", "invalid connect params: at /client/id"),
        (1008, ""),
        Verdict.PROTOCOL_MISMATCH,
        "handshake",
    ),
    (
        error(
            "UNAVAILABLE",
            "gateway starting; retry shortly",
            {"reason": "startup-sidecars"},
            retryable=True,
            retryAfterMs=500,
        ),
        (1013, "gateway starting"),
        Verdict.STARTING,
        "handshake",
    ),
    (
        error("UNAVAILABLE", "connect unavailable during gateway restart", retryAfterMs=1000),
        (1013, ""),
        Verdict.STARTING,
        "handshake",
    ),
    (
        error("INVALID_REQUEST", "device signature invalid", {"code": "DEVICE_AUTH_SIGNATURE_INVALID"}),
        (1008, ""),
        Verdict.AUTH_FAILED,
        "credentials",
    ),
]


@pytest.mark.parametrize(("answer", "close", "verdict", "stage"), ROWS)
def test_refusals(answer: dict[str, Any], close: tuple[int, str], verdict: Verdict, stage: str) -> None:
    @async_test
    async def run() -> None:
        async with scripted(Script(answer=answer, close=close)) as to:
            failed = await refused(to)
            assert (failed.judgement.verdict, failed.stage) == (verdict, stage)

    run()


@pytest.mark.parametrize(
    ("close", "verdict"),
    [
        ((1000, ""), Verdict.UNREACHABLE),
        ((1008, "invalid request frame"), Verdict.UNREACHABLE),
        ((1009, ""), Verdict.UNREACHABLE),
        ((1012, "service restart"), Verdict.STARTING),
        ((1013, "gateway starting"), Verdict.STARTING),
        ((4001, "gateway auth changed"), Verdict.AUTH_FAILED),
    ],
)
def test_closed_without_an_answer(close: tuple[int, str], verdict: Verdict) -> None:
    @async_test
    async def run() -> None:
        async with scripted(Script(answer=None, close=close)) as to:
            assert (await refused(to)).judgement.verdict is verdict

    run()


@pytest.mark.parametrize(
    ("script", "verdict", "stage"),
    [
        (Script(challenge=None), Verdict.UNREACHABLE, "handshake"),
        (Script(challenge=None, close=(1000, "")), Verdict.NOT_A_GATEWAY, "handshake"),
        (Script(challenge={"type": "event", "event": "connect.challenge"}), Verdict.NOT_A_GATEWAY, "handshake"),
        (Script(challenge={"hello": "world"}), Verdict.NOT_A_GATEWAY, "handshake"),
        (Script(answer=None), Verdict.UNREACHABLE, "handshake"),
        (Script(answer={"type": "welcome"}), Verdict.NOT_A_GATEWAY, "handshake"),
        (Script(upgrade=page()), Verdict.NOT_A_GATEWAY, "handshake"),
        (Script(upgrade=page(503, "Gateway websocket admission closed")), Verdict.STARTING, "handshake"),
    ],
)
def test_what_is_no_gateway(script: Script, verdict: Verdict, stage: str) -> None:
    @async_test
    async def run() -> None:
        async with scripted(script) as to, asyncio.TaskGroup() as group:
            if verdict is Verdict.UNREACHABLE:
                group.create_task(pass_time(30, lambda: script.connections))
            failed = await refused(to, timeout=30)
            assert (failed.judgement.verdict, failed.stage) == (verdict, stage)

    run()


@pytest.mark.parametrize(
    ("data", "stay", "verdict"),
    [
        (b"", False, Verdict.UNREACHABLE),
        (b"", True, Verdict.UNREACHABLE),
        (b"SSH-2.0-OpenSSH_9.2\r\n", True, Verdict.NOT_A_GATEWAY),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", True, Verdict.NOT_A_GATEWAY),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", True, Verdict.NOT_A_GATEWAY),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", False, Verdict.NOT_A_GATEWAY),
        (b"x" * (HELLO_BUDGET + 1), True, Verdict.NOT_A_GATEWAY),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (HELLO_BUDGET + 1), True, Verdict.NOT_A_GATEWAY),
    ],
)
def test_what_does_not_even_speak_websocket(data: bytes, stay: bool, verdict: Verdict) -> None:
    @async_test
    async def run() -> None:
        async with raw(data, stay=stay) as to:
            assert (await refused(to, timeout=0.3 if not data else 30)).judgement.verdict is verdict

    run()


@async_test
async def test_nothing_listens() -> None:
    async with raw(b"") as to:
        pass
    failed = await refused(to)
    assert (failed.judgement.verdict, failed.stage) == (Verdict.NOT_LISTENING, "channel")


@async_test
async def test_credentials_are_sent_once() -> None:
    """A gateway slows all its clients down after wrong secrets."""
    script = Script(answer=ROWS[2][0], close=(1008, ""))
    async with scripted(script) as to:
        with pytest.raises(SessionFailed):
            async with connect(LinkRoute(DirectLink(), to), TOKEN, patient=True):
                pass
    assert len(script.seen) == 1


@async_test
async def test_a_gateway_that_starts_is_waited_for_by_who_has_patience() -> None:
    script = Script(answer=ROWS[7][0], close=(1013, "gateway starting"))

    def ready() -> None:
        script.answer, script.close = hello(), None

    async with scripted(script) as to:
        asyncio.get_running_loop().call_later(0.2, ready)
        async with connect(LinkRoute(DirectLink(), to), TOKEN, patient=True) as session:
            assert session.hello.protocol == 4
    assert script.connections > 1


@async_test
async def test_a_gateway_that_wants_to_be_left_alone_longer_than_there_is_time_is() -> None:
    answer = error("UNAVAILABLE", "connect unavailable during gateway restart", retryable=True, retryAfterMs=60_000)
    script = Script(answer=answer, close=(1013, ""))
    async with scripted(script) as to:
        with pytest.raises(SessionFailed) as caught:
            async with connect(LinkRoute(DirectLink(), to), TOKEN, patient=True, timeout=20):
                pass
        assert caught.value.retry_after == 60
    assert script.connections == 1


# Calls


@async_test
async def test_a_refused_call_leaves_the_session_alive() -> None:
    script = Script(
        methods={
            "nope": [error("INVALID_REQUEST", "unknown method: nope")],
            "status": [error("FORBIDDEN", "no", {"code": "MISSING_SCOPE", "missingScope": "operator.admin"})],
            "health": [{"ok": True}],
        }
    )
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        with pytest.raises(CallRefused, match="unknown method: nope") as caught:
            await session.call("nope")
        assert caught.value.judgement.failure is not None
        assert caught.value.judgement.failure.code is Code.CALL_REFUSED
        with pytest.raises(CallRefused) as caught:
            await session.call("status")
        assert caught.value.judgement.verdict is Verdict.LIMITED_SCOPE
        assert await session.call("health") == {"ok": True}


@async_test
async def test_retry_after_is_honoured_within_the_deadline() -> None:
    busy = error("UNAVAILABLE", "busy", retryable=True, retryAfterMs=20)
    script = Script(methods={"health": [busy, busy, {"ok": True}]})
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        assert await session.call("health") == {"ok": True}
    assert [frame["method"] for frame in script.seen] == ["connect", "health", "health", "health"]
    assert len({frame["id"] for frame in script.seen}) == 4


@async_test
async def test_a_wait_ends_with_the_connection() -> None:
    async def busy(ws: ServerConnection) -> None:
        frame = json.loads(await ws.recv())
        told = error("UNAVAILABLE", "busy", retryable=True, retryAfterMs=20_000)
        await ws.send(json.dumps({"type": "res", "id": frame["id"], "ok": False, "error": told}))
        await ws.close(1012, "service restart")

    async with scripted(Script(after_hello=busy)) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        with pytest.raises(SessionFailed) as caught:
            await session.call("health", timeout=60)
        assert caught.value.judgement.verdict is Verdict.STARTING


def test_no_log_level_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """The library for WebSockets logs whole frames at DEBUG."""
    caplog.set_level(logging.DEBUG)

    @async_test
    async def run() -> None:
        script = Script(methods={"secrets.set": [{"ok": True}]})
        async with scripted(script, logger=logging.getLogger("quiet")) as to:
            logging.getLogger("quiet").disabled = True
            async with connect(LinkRoute(DirectLink(), to), TOKEN) as session:
                await session.call("secrets.set", {"value": "tok-456"})
        assert script.seen[0]["params"]["auth"] == {"token": "tok-123"}

    run()
    assert "tok-" not in caplog.text


@async_test
async def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    script = Script(methods={"health": [error("UNAVAILABLE", "busy", retryable=True, retryAfterMs=600_000)]})
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        with pytest.raises(CallRefused):
            await session.call("health", timeout=300)
    assert len(script.seen) == 2


@async_test
async def test_what_is_not_retryable_is_not_repeated() -> None:
    script = Script(methods={"send": [error("INTERNAL", "broke", retryAfterMs=1)]})
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        with pytest.raises(CallRefused):
            await session.call("send")
    assert len(script.seen) == 2


@async_test
async def test_an_answer_that_does_not_come() -> None:
    script = Script(methods={"health": [None]})
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        with pytest.raises(SessionFailed, match=r"did not answer health within 0\.05 s"):
            await session.call("health", timeout=0.05)


@async_test
async def test_calls_at_the_same_time_are_told_apart() -> None:
    async def backwards(ws: ServerConnection) -> None:
        asked = [json.loads(await ws.recv()) for _ in range(3)]
        for frame in reversed(asked):
            await ws.send(json.dumps({"type": "res", "id": frame["id"], "ok": True, "payload": frame["method"]}))
        await ws.send(json.dumps({"type": "res", "id": "99", "ok": True, "payload": "nobody asked"}))

    async with (
        scripted(Script(after_hello=backwards)) as to,
        connect(LinkRoute(DirectLink(), to), TOKEN) as session,
        asyncio.TaskGroup() as group,
    ):
        calls = [group.create_task(session.call(name)) for name in ("a", "b", "c")]
    assert [call.result() for call in calls] == ["a", "b", "c"]


# Events and ends


def event(name: str, **payload: Any) -> dict[str, Any]:
    return {"type": "event", "event": name, "payload": payload}


@pytest.mark.parametrize(
    ("events", "close", "verdict", "expected_in"),
    [
        (
            [event("shutdown", reason="gateway restarting", restartExpectedMs=1500)],
            (1012, "service restart"),
            Verdict.STARTING,
            1.5,
        ),
        ([event("shutdown", reason="gateway stopping")], (1012, "service restart"), Verdict.NOT_LISTENING, None),
        ([], (1012, "service restart"), Verdict.STARTING, None),
        ([], (4001, "gateway auth changed"), Verdict.AUTH_FAILED, None),
        ([event("tick", ts=1), event("news.of.tomorrow"), event("health")], (1000, "bye"), Verdict.UNREACHABLE, None),
    ],
)
def test_farewells(
    events: list[dict[str, Any]], close: tuple[int, str], verdict: Verdict, expected_in: float | None
) -> None:
    async def leave(ws: ServerConnection) -> None:
        await ws.close(*close)

    @async_test
    async def run() -> None:
        script = Script(events=events, after_hello=leave)
        async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
            judged = await session.wait_closed()
            assert (judged.verdict, judged.expected_in) == (verdict, expected_in)
            with pytest.raises(SessionFailed) as caught:
                await session.call("health")
            assert caught.value.judgement == judged

    run()


@async_test
async def test_a_call_that_is_waiting_ends_with_the_connection() -> None:
    async def leave(ws: ServerConnection) -> None:
        await ws.recv()
        await ws.close(1012, "service restart")

    script = Script(after_hello=leave)
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        with pytest.raises(SessionFailed) as caught:
            await session.call("health")
        assert caught.value.judgement.verdict is Verdict.STARTING


@async_test
async def test_a_lost_link_says_nothing_about_the_gateway() -> None:
    link = DirectLink()

    async def cut(_: ServerConnection) -> None:
        link.lose()

    async with scripted(Script(after_hello=cut)) as to:
        with pytest.raises(LinkLost):
            async with connect(LinkRoute(link, to), TOKEN) as session:
                await session.wait_closed()
        with pytest.raises(LinkLost):
            async with connect(LinkRoute(link, to), TOKEN):
                pass


@async_test
async def test_a_gateway_that_falls_silent_is_given_up() -> None:
    script = Script(answer=hello(policy={"tickIntervalMs": 1000}))
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        judged = await session.wait_closed()
        assert judged.verdict is Verdict.UNREACHABLE
        assert judged.failure is not None
        assert "fallen silent" in judged.failure.message


@async_test
async def test_closing_waits_for_nothing_whatever_the_far_end_does() -> None:
    async def deaf(ws: ServerConnection) -> None:
        ws.transport.pause_reading()  # our close is never read, and never answered

    async with scripted(Script(after_hello=deaf)) as to:
        link = DirectLink()
        async with connect(LinkRoute(link, to), TOKEN):
            pass
        assert not link.channels


@async_test
async def test_a_cancelled_connect_leaves_nothing_open() -> None:
    link = DirectLink()
    async with scripted(Script(challenge=None)) as to:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), connect(LinkRoute(link, to), TOKEN):
                pass
        assert not link.channels


# Sizes


@async_test
@computes
async def test_a_payload_of_25_megabytes() -> None:
    script = Script(methods={"file": [{"content": "A" * (25 << 20)}]})
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        assert len((await session.call("file", timeout=25))["content"]) == 25 << 20


# Anything at all

_NUMBERS = (
    "1" + "0" * 400,
    "-1" + "0" * 400,
    "1" + "0" * 5000,
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "0",
    "-1",
    "true",
)
_ODD = tuple(
    map(
        json.dumps,
        (
            {**CHALLENGE, "payload": {"nonce": "n", "ts": "HUGE"}},
            {"type": "event", "event": "shutdown", "payload": {"reason": "\ud800\x1b[2J", "restartExpectedMs": "HUGE"}},
            *(
                {"type": "res", "id": "1", "ok": True, "payload": hello(**odd)}
                for odd in (
                    {"protocol": "HUGE"},
                    {"snapshot": {"uptimeMs": "HUGE"}},
                    {"policy": {"maxPayload": "HUGE", "tickIntervalMs": "HUGE"}},
                    {"server": {"version": "\ud800\x1b]0;x\x07", "bootId": "HUGE"}},
                )
            ),
            *(
                {
                    "type": "res",
                    "id": number,
                    "ok": False,
                    "error": error("X", "\udfff\x9b", details, retryAfterMs="HUGE"),
                }
                for number in ("1", "2")
                for details in (
                    {"code": "AUTH_RATE_LIMITED"},
                    {"code": "PROTOCOL_MISMATCH", "expectedProtocol": "HUGE"},
                    {"code": "PAIRING_REQUIRED", "requestId": "HUGE"},
                )
            ),
            {"type": "res", "id": "2", "ok": True, "payload": "HUGE"},
        ),
    )
)

FRAGMENTS = st.sampled_from(
    [
        json.dumps(CHALLENGE),
        json.dumps({"type": "res", "id": "1", "ok": True, "payload": hello()}),
        json.dumps({"type": "res", "id": "1", "ok": True}),
        json.dumps({"type": "res", "id": "2", "ok": True, "payload": 1}),
        json.dumps({"type": "res", "id": "1", "ok": False}),
        json.dumps({"type": "event", "event": "shutdown", "payload": {"restartExpectedMs": "x"}}),
        json.dumps({"type": "event", "event": "connect.challenge", "payload": None}),
        *(odd.replace('"HUGE"', number) for odd in _ODD for number in _NUMBERS),
        "{}",
        "[" * 5000,
    ]
)


async def outcome(to: Endpoint) -> SessionFailed | CallRefused | None:
    """Connect and call, whatever comes of it; None where the call was answered."""
    try:
        async with connect(LinkRoute(DirectLink(), to), TOKEN, timeout=30) as session:
            await session.call("health", timeout=30)
    except (SessionFailed, CallRefused) as error:
        return error
    return None


def drive(frames: list[str | bytes], code: int) -> None:
    """Send ``frames`` to a client and close."""

    class Player(Script):
        async def serve(self, ws: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                for data in frames:
                    await ws.send(data)
                await ws.close(code, "end of the script")

    async def run() -> None:
        async with scripted(Player()) as to:
            error = await outcome(to)
        assert error is None or error.judgement.failure is not None
        assert error is None or str(error).isprintable()

    async_test(run)()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAGMENTS | st.text() | st.binary(), max_size=5), st.sampled_from([1000, 1008, 1012, 4001]))
def test_any_frames_end_in_a_verdict_or_an_answer(frames: list[str | bytes], code: int) -> None:
    drive(frames, code)


@asynccontextmanager
async def upgraded(data: bytes) -> AsyncIterator[Endpoint]:
    """A server that grants the WebSocket, then sends ``data``, whatever frames that is, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            (key,) = (line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n" + data
            )
            writer.write_eof()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()


LENGTHS = st.sampled_from(
    [
        *(b"\x00", b"\x01", b"\x7d", b"\x7e\x00\x01", b"\x7e\xff\xff", b"\x7f" + b"\xff" * 8),
        *(b"\x7f\x7f" + b"\xff" * 7, b"\x7f" + b"\x00" * 8, b"\x7f\x00\x00\x00\x01" + b"\x00" * 4, b"\x80", b"\xff"),
    ]
)
RAW_FRAMES = st.builds(
    lambda first, length, payload: bytes([first]) + length + payload,
    st.integers(0, 255),
    LENGTHS,
    st.binary(max_size=130),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(RAW_FRAMES, max_size=4).map(b"".join))
def test_any_frame_header_ends_in_a_verdict(data: bytes) -> None:
    async def run() -> None:
        async with upgraded(data) as to:
            failed = await refused(to, timeout=5)
        assert str(failed).isprintable()

    async_test(run)()


@async_test
async def test_a_gateway_that_wants_to_be_asked_again_at_once_is_not_asked_without_pause() -> None:
    again = error("UNAVAILABLE", "again", retryable=True, retryAfterMs=0)
    script = Script(methods={"health": [again]})
    async with scripted(script) as to, connect(LinkRoute(DirectLink(), to), TOKEN) as session:
        with pytest.raises(CallRefused):
            await session.call("health", timeout=0.5)
    assert len(script.seen) <= 1 + 0.5 / _SHORTEST + 1


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda b: b"HTTP/1.1 101 Switching Protocols\r\n" + b))
def test_any_bytes_end_in_a_verdict(data: bytes) -> None:
    async def run() -> None:
        async with raw(data) as to:
            await refused(to, timeout=30)

    async_test(run)()
