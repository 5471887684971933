"""Whom a tunnel tells, as a value, and on its way to the daemon."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from openclaw_tunnel.core.codec import read
from openclaw_tunnel.core.notify.hook_events import HookEvent
from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec

TELLS = Announce(notifications=False, up=("mount", "--quiet"), failure=("say", "no\nno"))


def spec(announce: Announce) -> TunnelSpec:
    return TunnelSpec("a", "gw", (Forward(Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)),), announce=announce)


def test_commands_by_event() -> None:
    assert [TELLS.command(event) for event in HookEvent] == [("mount", "--quiet"), (), ("say", "no\nno")]
    assert Announce() == Announce(True, (), (), ())


def test_it_travels_with_the_tunnel() -> None:
    told = json.loads(json.dumps(asdict(spec(TELLS))))
    assert read(TunnelSpec, told).announce == TELLS
    del told["announce"]  # a command line of an earlier release
    assert read(TunnelSpec, told).announce == Announce()


def test_a_tunnel_that_tells_somebody_else_is_the_same_tunnel() -> None:
    assert spec(TELLS) == spec(Announce())
    assert hash(spec(TELLS)) == hash(spec(Announce()))


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"notifications": 1},
        {"notifications": True, "up": [1], "down": [], "failure": []},
        {"notifications": True, "up": 1, "down": [], "failure": []},
    ],
)
def test_what_is_none(data: Any) -> None:
    with pytest.raises(TypeError):
        read(Announce, data)
