"""The control protocol: every byte string is a message or a clear error."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.ask.options import LARGEST_PARAMS
from openclaw_tunnel.control import wire as m
from openclaw_tunnel.errors import ExitCode, RequestRefused, TunnelError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=8), json_values, max_size=4)
START_ANEW = "end the running daemon and start it anew: openclaw-tunnel down --all, then openclaw-tunnel up -d"


@given(st.integers(), st.text(), objects)
def test_a_request_survives_the_way(number: int, method: str, params: dict[str, Any]) -> None:
    request = m.Request(number, method, params)
    line = m.encode_request(request)
    assert line.count(b"\n") == 1
    assert m.decode_request(line) == request


@given(st.integers(), objects)
def test_events_and_results_survive_the_way(number: int, body: dict[str, Any]) -> None:
    assert m.decode_reply(m.encode_event(number, body)) == m.Event(number, body)
    assert m.decode_reply(m.encode_result(number, body)) == m.Answer(number, body)


@given(st.integers(), st.text(max_size=4096), st.text(max_size=4096), st.sampled_from(ExitCode))
def test_an_error_arrives_with_message_hint_and_exit_code(number: int, message: str, hint: str, code: ExitCode) -> None:
    reply = m.decode_reply(m.encode_error(number, TunnelError(message, hint=hint, exit_code=code)))
    assert isinstance(reply, m.Answer)
    assert isinstance(reply.error, RequestRefused)
    assert (reply.id, reply.error.message, reply.error.hint, reply.error.exit_code) == (number, message, hint, code)


def test_the_words_on_the_wire() -> None:
    """Another release may be at the other end: the form itself is the contract."""
    assert m.encode_request(m.Request(1, "status", {"name": "dev"})) == (
        b'{"v":1,"id":1,"method":"status","params":{"name":"dev"}}\n'
    )
    assert m.encode_event(1, {"a": 1}) == b'{"v":1,"id":1,"event":{"a":1}}\n'
    assert m.encode_result(1, {"a": 1}) == b'{"v":1,"id":1,"ok":true,"result":{"a":1}}\n'
    refused = RequestRefused("no", hint="why", exit_code=ExitCode.CONFIG)
    assert m.encode_error(1, refused) == (
        b'{"v":1,"id":1,"ok":false,"error":{"message":"no","hint":"why","exit_code":10}}\n'
    )


@given(st.binary() | objects.map(lambda o: json.dumps(o).encode()) | json_values.map(lambda o: json.dumps(o).encode()))
def test_any_bytes_are_a_message_or_a_clear_error(line: bytes) -> None:
    refusal = refused_by(m.decode_request, line)
    if refusal is not None:
        assert isinstance(refusal, m.BadRequest)
        assert refusal.message
        assert m.decode_reply(m.encode_error(refusal.id, refusal))
    refusal = refused_by(m.decode_reply, line)
    if refusal is not None:
        assert refusal.message.startswith("the running daemon's answer cannot be read")
        assert refusal.hint == START_ANEW


def refused_by(read: Callable[[bytes], object], line: bytes) -> TunnelError | None:
    try:
        read(line)
    except TunnelError as refusal:
        return refusal
    return None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\xff\xfe", "not a request: not UTF-8"),
        (b"GET / HTTP/1.1", "not a request: not JSON"),
        (b"[1]", "not a request: not an object"),
        (b"[" * 100_000, "not a request: nested too deep"),
        (b"1" * 5000, "not a request: not JSON"),
        (b"{}", "a request needs a whole number as its id"),
        (b'{"v":1,"id":true,"method":"x"}', "a request needs a whole number as its id"),
        (b'{"v":1,"id":7}', "a request needs the name of a method"),
        (b'{"v":1,"id":7,"method":"x","params":[]}', "the params of a request are an object"),
    ],
)
def test_what_is_no_request_is_told_why(line: bytes, message: str) -> None:
    with pytest.raises(m.BadRequest) as raised:
        m.decode_request(line)
    assert raised.value.message == message
    assert raised.value.id == (7 if b'"id":7' in line else 0)


def test_a_request_that_is_too_long_is_told_so() -> None:
    with pytest.raises(m.BadRequest) as raised:
        m.decode_request(b" " * (m.MAX_REQUEST + 1))
    assert raised.value.message == "not a request: longer than 83886080 bytes"
    assert raised.value.id == 0


@pytest.mark.parametrize(("v", "shown"), [(2, "2"), (0, "0"), ("x" * 50, "'" + "x" * 36 + "..."), ([], "list")])
def test_another_version_is_told_to_start_anew(v: Any, shown: str) -> None:
    with pytest.raises(m.BadRequest) as raised:
        m.decode_request(json.dumps({"v": v, "id": 3, "method": "status"}).encode())
    assert raised.value.message == (
        f"the command speaks version {shown} of the control protocol, the running daemon version 1"
    )
    assert raised.value.hint == START_ANEW
    assert raised.value.id == 3


@pytest.mark.parametrize("method", ["ping", "down"])
def test_ping_and_down_work_across_versions(method: str) -> None:
    line = json.dumps({"v": 99, "id": 3, "method": method, "params": {"all": True}}).encode()
    assert m.decode_request(line) == m.Request(3, method, {"all": True})


def test_an_unknown_method_is_told_to_start_anew() -> None:
    assert m.unknown_method("fly").message == "the running daemon does not know 'fly'"
    assert m.unknown_method("fly").hint == START_ANEW


def test_a_good_answer_may_be_long() -> None:
    result = {"a": "x" * (2 * m.MAX_LINE)}
    assert m.decode_reply(m.encode_result(1, result)) == m.Answer(1, result)


def test_a_request_may_hold_the_parameters_of_the_biggest_call() -> None:
    request = m.Request(1, "ask", {"params": "\u00e9" * (LARGEST_PARAMS // 2)})
    assert m.decode_request(m.encode_request(request)) == request


def test_a_message_that_is_too_long_is_refused_before_it_is_sent() -> None:
    with pytest.raises(RequestRefused, match="longer than 1048576"):
        m.encode_event(1, {"a": "x" * m.MAX_LINE})


@pytest.mark.parametrize(
    "error", [{}, {"message": 1, "hint": [], "exit_code": "x"}, {"exit_code": True}, {"exit_code": 12345}]
)
def test_an_error_without_its_parts_is_still_an_error(error: dict[str, Any]) -> None:
    reply = m.decode_reply(json.dumps({"v": 1, "id": 1, "ok": False, "error": error}).encode())
    assert isinstance(reply, m.Answer)
    assert reply.error is not None
    assert reply.error.message == "the daemon refused without a reason"
    assert reply.error.hint == ""
    assert reply.error.exit_code is ExitCode.NO
