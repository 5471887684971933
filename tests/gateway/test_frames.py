"""Any bytes end in a frame or in an error of ours, and neither takes much memory."""

import json
import tracemalloc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.gateway.frames import (
    MAX_DEPTH,
    MAX_MEMORY,
    ErrorReply,
    Event,
    Frame,
    FrameError,
    Other,
    Response,
    memory,
    parse,
    request,
    text_of,
    words,
)


def decode(data: bytes) -> Frame:
    """One WebSocket message, read as ``WebSocket`` and ``Session`` do."""
    return parse(text_of([bytearray(data)]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
FRAMES = st.fixed_dictionaries(
    {"type": st.sampled_from(["event", "res", "req", "x"]) | JSON},
    optional={
        name: JSON
        for name in ("event", "payload", "id", "ok", "error", "code", "message", "details", "retryable", "retryAfterMs")
    },
)


def frame(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_a_request() -> None:
    assert json.loads(request("7", "health", {"probe": True})) == {
        "type": "req",
        "id": "7",
        "method": "health",
        "params": {"probe": True},
    }


@pytest.mark.parametrize("params", [{"x": float("nan")}, {"x": object()}, {"x": {1, 2}}])
def test_parameters_that_are_no_json(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not JSON|compliant"):
        request("1", "health", params)


def test_an_event() -> None:
    assert decode(frame(type="event", event="tick", payload={"ts": 1}, seq=3)) == Event("tick", {"ts": 1})
    assert decode(frame(type="event", event="tick")) == Event("tick", {})


def test_a_response() -> None:
    assert decode(frame(type="res", id="1", ok=True, payload=[1])) == Response("1", [1])


def test_an_error() -> None:
    told = {
        "code": "INVALID_REQUEST",
        "message": "unauthorized: \x1b[31mtoo many\nfailed",
        "details": {"code": "AUTH_RATE_LIMITED"},
        "retryable": True,
        "retryAfterMs": 19992,
    }
    read = decode(frame(type="res", id="1", ok=False, error=told))
    assert isinstance(read, Response)
    assert read.error == ErrorReply(
        "INVALID_REQUEST", "unauthorized: [31mtoo many failed", {"code": "AUTH_RATE_LIMITED"}, True, 19.992
    )
    assert read.error.detail_code == "AUTH_RATE_LIMITED"


@pytest.mark.parametrize("wait", [-5, True, "9", None, float(10**300), 1e308])
def test_a_wait_that_makes_no_sense(wait: object) -> None:
    read = decode(frame(type="res", id="1", ok=False, error={"code": "X", "message": "m", "retryAfterMs": wait}))
    assert isinstance(read, Response)
    assert read.error is not None
    assert read.error.retry_after is None or 0 <= read.error.retry_after <= 86_400


def test_an_error_without_anything() -> None:
    assert decode(frame(type="res", id="1")) == Response("1", error=ErrorReply("UNKNOWN", "no reason given"))


def test_a_frame_of_a_newer_gateway() -> None:
    assert decode(frame(type="stream", id=9)) == Other("stream")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"[]", "no frame"),
        (b"{}", "no frame"),
        (b'{"type":1}', "no frame"),
        (b'{"type":"res","ok":true}', "does not say to which request"),
        (b'{"type":"res","id":1}', "does not say to which request"),
        (b'{"type":"event","payload":NaN}', "not JSON"),
        (b'{"type":"event","payload":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"type":"event","payload":' + b"[" * 100_000, "not JSON"),
        (b'{"type":"event","payload":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "nested deeper than 100"),
        (b'{"type":"event","payload":' + b"[" * 1_000_000, "would take"),
    ],
)
def test_what_is_no_frame(data: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        decode(data)


def test_as_deep_as_allowed() -> None:
    deep = MAX_DEPTH - 1
    assert isinstance(decode(b'{"type":"event","payload":' + b"[" * deep + b"]" * deep + b"}"), Event)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | FRAMES.map(lambda f: json.dumps(f).encode()))
def test_any_bytes_end_in_a_frame_or_an_error_of_ours(data: bytes) -> None:
    try:
        read = decode(data)
    except FrameError:
        return
    if isinstance(read, Response) and read.error is not None:
        assert (read.error.message + read.error.code + read.error.detail_code).isprintable()
        assert len(read.error.message) <= 300
    elif isinstance(read, Event):
        assert read.name.isprintable()


@given(st.text(), st.integers(4, 50))
def test_foreign_words_are_one_short_printable_line(text: str, longest: int) -> None:
    shown = words(text, longest)
    assert len(shown) <= longest
    assert shown.isprintable()


_DENSE = [
    b"[]",
    b"{}",
    b'{"":0}',
    b'{"a":0}',
    b"0",
    b"1000",
    b"1e9",
    b'"ab"',
    b"[[]]",
    b'{"":[0]}',
    b'"\\u20ac"',
    b"null",
]
_LONG: list[Callable[[], bytes]] = [
    lambda: b'"' + b"a" * (1 << 20) + b'"',
    lambda: b'"' + b"a" * (1 << 20) + "\U0001f600".encode() + b'"',
    lambda: b'"' + b"a" * (1 << 20) + b'\\ud83d\\ude00"',
    lambda: b'"' + b"\\n" * (1 << 19) + b'"',
    lambda: b'"' + "é".encode() * (1 << 19) + b'"',
    lambda: b'"' + "€".encode() * (1 << 18) + b'"',
    lambda: b"{" + b",".join(b'"k%d":1' % i for i in range(80_000)) + b"}",
    lambda: b"[" + b",".join(b'{"k%d":"v%d"}' % (i, i) for i in range(50_000)) + b"]",
]


def _dense(item: bytes) -> bytes:
    return b"[" + b",".join([item] * ((1 << 20) // (len(item) + 1))) + b"]"


@pytest.mark.parametrize("made", [*(partial(_dense, item) for item in _DENSE), *_LONG])
def test_the_estimate_is_not_below_what_parsing_takes(made: Callable[[], bytes]) -> None:
    data = made()
    tracemalloc.start()
    try:
        json.loads(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert memory(data) * 1.05 + 20_000 >= peak


def test_the_gateways_biggest_payload_is_taken() -> None:
    data = b'{"type":"res","id":"1","ok":true,"payload":{"content":"' + b"A" * (25 << 20) + b'"}}'
    assert memory(data) <= MAX_MEMORY
    read = decode(data)
    assert isinstance(read, Response)
    assert len(read.payload["content"]) == 25 << 20
