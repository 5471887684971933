"""Any bytes become an answer and a verdict: no size, number or order of bytes makes parsing fail."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from openclaw_tunnel.controlui.page import told_base_path
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.gateway.answer import MAX_ANSWER, Answer, Incoming, parse
from openclaw_tunnel.gateway.frames import number
from openclaw_tunnel.gateway.verdict import judge, knows_startupz

TO = "127.0.0.1:18789"
ANY_TIME = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LIVE = b'{"ok":true,"status":"live"}'

DIGITS = st.sampled_from([1, 3, 10, 19, 30, 400, 4300, 4301, 5000]).map(lambda count: b"9" * count)
SIZES = st.builds(
    bytes.__add__,
    st.sampled_from([b"", b"-", b"+", b"0x", b" ", b"\xb2", b"1_"]),
    DIGITS | st.just(b"") | st.just(b"f"),
)
NAMES = st.sampled_from(
    [
        *(b"Content-Length", b"Transfer-Encoding", b"Content-Type", b"Connection", b"Date", b"X-A", b"", b" "),
        *(b"Content-Encoding", b"Keep-Alive", b"Content-Transfer-Encoding"),
    ]
)
VALUES = SIZES | st.sampled_from(
    [
        *(b"chunked", b"application/json", b"multipart/x; boundary*0*=%ff'%00'a; boundary*99999999999999999999=b"),
        *(b"message/rfc822", b"message/delivery-status", b"message/partial; number=" + b"9" * 5000, b"close"),
        *(b"=?utf-7?b?+//8?=", b"a\r\n b", b"gzip", b"\xff\xfe\x00"),
    ]
)
ODD_NUMBERS: st.SearchStrategy[Any] = (
    st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 10**4000, True, None, "5", [], {}])
)
JSON = st.recursive(
    ODD_NUMBERS | st.booleans() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=3,
)
TOLD = st.fixed_dictionaries(
    {},
    optional={
        "ok": st.just(True) | JSON,
        "status": st.sampled_from(["live", "started", "starting", "draining"]) | JSON,
        "version": st.text() | JSON,
        "uptimeMs": ODD_NUMBERS,
        "failing": st.lists(st.sampled_from(["startup-sidecars", "gateway-draining"]) | JSON, max_size=3) | JSON,
        "error": st.fixed_dictionaries({"type": st.just("tunnel_unavailable"), "message": JSON}) | JSON,
        "basePath": st.text() | JSON,
    },
)


def body_of(told: Any) -> bytes:
    try:
        return json.dumps(told).encode()
    except ValueError:  # an integer of more digits than may be written
        return b'{"uptimeMs":1' + b"0" * 5000 + b"}"


BODIES = st.binary(max_size=100) | TOLD.map(body_of) | st.just(LIVE)
CHUNKS = st.lists(st.tuples(SIZES, BODIES), max_size=3).map(
    lambda chunks: b"".join(b"%b\r\n%b\r\n" % chunk for chunk in chunks)
)
STATUS = st.builds(
    lambda version, code: b"HTTP/%b %b OK\r\n" % (version, code),
    st.sampled_from([b"1.1", b"1.0", b"1.", b"1.9999", b"2"]),
    st.sampled_from([b"200", b"503", b"100", b"204", b"999", b"99", b"-1", b"2_00", b"\xb2\xb3", b"9" * 5000]),
)
ANSWERS = st.builds(
    lambda status, headers, body: status + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body,
    STATUS,
    st.lists(st.tuples(NAMES, VALUES), max_size=6),
    BODIES | CHUNKS,
)


def chunked(size: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n{}"


@ANY_TIME
@given(ANSWERS | st.binary(max_size=300), ANSWERS, ANSWERS)
@example(chunked(b"9" * 60), b"", b"")
@example(chunked(b"-5"), b"", b"")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n{}", b"", b"")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}", b"", b"")
def test_any_answers_end_in_a_verdict(healthz: bytes, startupz: bytes, readyz: bytes) -> None:
    answers = [parse(healthz), parse(startupz), parse(readyz)]
    judgement = judge(answers[0], answers[1], readyz=answers[2], to=TO)
    assert judgement.verdict in Verdict
    assert judgement.version is None or judgement.version.isprintable()
    assert judgement.uptime is None or 0 <= judgement.uptime <= 1e12
    if judgement.failure is not None:
        assert judgement.failure.message.isprintable()
        assert len(judgement.failure.message) < 500
    assert isinstance(knows_startupz(answers[1]), bool)
    assert told_base_path(answers[2]) is None or isinstance(told_base_path(answers[2]), str)


@ANY_TIME
@given(st.lists(ANSWERS | st.binary(max_size=50), min_size=1, max_size=3), st.integers(1, 40))
def test_any_pieces_are_taken(parts: list[bytes], step: int) -> None:
    """Whatever the pieces, what is kept is what came first, and the end is noticed at the latest with the last one."""
    data, incoming = b"".join(parts), Incoming()
    for start in range(0, len(data), step):
        if incoming.feed(data[start : start + step]):
            break
    assert data.startswith(bytes(incoming))
    assert parse(bytes(incoming)).status in (0, *range(100, 1000))


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_an_answer_is_complete_when_its_length_says_so(step: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 27\r\n\r\n" + LIVE
    incoming = Incoming()
    ends = [incoming.feed(data[start : start + step]) for start in range(0, len(data), step)]
    assert ends == [False] * (len(ends) - 1) + [True]
    assert parse(bytes(incoming)).body == LIVE


@pytest.mark.parametrize("length", [b"9" * 5000, b"9" * 30, b"-1", b"x", b"", b"\xb2", b"1 2"])
def test_a_length_that_makes_no_sense_ends_nothing(length: bytes) -> None:
    incoming = Incoming()
    assert not incoming.feed(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + LIVE)


def test_no_more_is_kept_than_is_looked_at() -> None:
    incoming = Incoming()
    assert not incoming.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    assert incoming.feed(b"x" * (3 * MAX_ANSWER))
    assert len(bytes(incoming)) == MAX_ANSWER


def test_what_cannot_be_http_is_not_waited_for() -> None:
    incoming = Incoming()
    assert not incoming
    assert not incoming.feed(b"HT")
    assert incoming
    assert incoming.feed(b"SSH")


@pytest.mark.parametrize(
    ("size", "answer"),
    [
        (b"9" * 60, Answer(200)),  # OverflowError of the parser
        (b"f" * 5000, Answer(200)),
        (b"zz", Answer(200, broke_off=True)),
    ],
)
def test_a_chunk_size_that_makes_no_sense(size: bytes, answer: Answer) -> None:
    assert parse(chunked(size)) == answer


@given(ODD_NUMBERS, st.floats(0, 1000), st.floats(1000, 1e15))
@example(10**400, 0.0, 1e15)
@example(-(10**400), 0.0, 1e15)
@example(float("nan"), 0.0, 1e15)
@example(float("inf"), 0.0, 1e15)
def test_any_number_is_brought_within_its_limits(value: object, low: float, high: float) -> None:
    found = number(value, low, high)
    assert found is None or low <= found <= high
    assert (found is None) == (isinstance(value, bool | str | list | dict | None) or value != value)
