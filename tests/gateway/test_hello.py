"""The handshake as values: what is sent, and what any gateway may answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.gateway.frames import FrameError
from openclaw_tunnel.gateway.hello import (
    Challenge,
    Credentials,
    Hello,
    Who,
    connect_params,
    read_challenge,
    read_hello,
)
from support.scripted import hello

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def test_only_what_protocol_3_knows_is_sent() -> None:
    """The schema of connect is closed: one property more, and an older gateway refuses."""
    params = connect_params(Credentials("t"), who=Who.BACKEND, scopes=("operator.read",), platform="linux")
    assert set(params) == {"minProtocol", "maxProtocol", "client", "role", "scopes", "caps", "auth"}
    assert set(params["client"]) == {"id", "version", "platform", "mode"}
    assert (params["minProtocol"], params["maxProtocol"]) == (3, 4)
    assert (params["client"]["id"], params["client"]["mode"]) == ("gateway-client", "backend")
    assert params["auth"] == {"token": "t"}


def test_without_credentials_there_is_no_auth() -> None:
    params = connect_params(Credentials(), who=Who.BACKEND, scopes=(), platform="linux")
    assert "auth" not in params


def test_credentials_are_not_shown() -> None:
    secret = Credentials("tok-123", "pw-456")
    assert secret.to_json() == {"token": "tok-123", "password": "pw-456"}
    assert "123" not in repr(secret)
    assert "456" not in repr(secret)
    assert (Credentials("t").kind, Credentials(password="p").kind, Credentials().kind) == ("token", "password", "token")
    assert not Credentials("", "")


def test_a_hello_of_2026_9() -> None:
    read = read_hello(hello())
    assert read == Hello(
        protocol=4,
        version="2026.9.6",
        boot_id="b-1",
        scopes=("operator.read",),
        methods=("health", "status"),
        tick=30.0,
        uptime=44.576,
        auth_method="token",
    )


def test_a_hello_of_protocol_3() -> None:
    told = {"type": "hello-ok", "protocol": 3, "server": {"version": "2026.3.24", "connId": "x"}, "policy": {}}
    assert read_hello(told) == Hello(protocol=3, version="2026.3.24", scopes=None)


@pytest.mark.parametrize("told", [None, [], {}, {"type": "hello-ok"}, hello(protocol="4"), hello(protocol=True)])
def test_what_is_no_hello(told: object) -> None:
    with pytest.raises(FrameError):
        read_hello(told)


@pytest.mark.parametrize(
    ("interval", "tick"), [(1, 1.0), (10**9, 600.0), ("30000", 30.0), (None, 30.0), (-5, 1.0), (15000, 15.0)]
)
def test_a_tick_that_makes_no_sense_is_bounded(interval: object, tick: float) -> None:
    assert read_hello(hello(policy={"tickIntervalMs": interval})).tick == tick


def test_a_challenge() -> None:
    assert read_challenge({"nonce": "n", "ts": 5}) == Challenge("n", 5)
    assert read_challenge({"nonce": "n", "ts": "x"}) == Challenge("n", 0)


@pytest.mark.parametrize("payload", [{}, {"nonce": 1}, {"nonce": ""}, {"nonce": "n" * 300}])
def test_what_is_no_challenge(payload: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        read_challenge(payload)


@given(st.dictionaries(st.sampled_from(sorted(hello())), ANYTHING))
def test_any_hello_ends_in_a_value_or_an_error_of_ours(changes: dict[str, Any]) -> None:
    told = json.loads(json.dumps({**hello(), **changes}))
    try:
        read = read_hello(told)
    except FrameError:
        return
    assert 1.0 <= read.tick <= 600.0
    assert all(name.isprintable() for name in (*read.methods, *(read.scopes or ()), read.version or "x"))


@given(st.dictionaries(st.sampled_from(["nonce", "ts"]), ANYTHING))
def test_any_challenge_ends_in_a_value_or_an_error_of_ours(payload: dict[str, Any]) -> None:
    try:
        assert read_challenge(payload).ts >= 0
    except FrameError:
        pass
