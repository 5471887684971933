"""What may be ordered: the objects on the wire, which another release may have written or may read."""

from dataclasses import asdict
from typing import Any

import pytest

from openclaw_tunnel.control.orders import (
    Ask,
    Down,
    Opened,
    Ping,
    Pong,
    Reload,
    Restart,
    Retry,
    Up,
    UpAgain,
)
from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ExitCode, RequestRefused
from openclaw_tunnel.settings.up_options import UpOptions

DEV = Snapshot("dev", State.UP, "2026-11-22T06:00:00Z", "me@gw:22", "gw", ())
SPEC = TunnelSpec("dev", "gw", (Forward(Endpoint("127.0.0.1", 18789), Endpoint("127.0.0.1", 18789)),))
SERVICE = {"manager": "systemd", "unit": "openclaw-tunnel.service", "system": False}
OPTIONS = UpOptions(target="gw", extra_forwards=("1:h:2",))


@pytest.mark.parametrize(
    ("request_", "params"),
    [
        (Ping(), {}),
        (Down("dev"), {"name": "dev"}),
        (Down(None), {"all": True}),
        (Up(SPEC), {"spec": asdict(SPEC)}),
        (
            Up(SPEC, OPTIONS, {"HOME": "/h"}, "/agent", SERVICE),
            {
                "spec": asdict(SPEC),
                "options": OPTIONS.to_json(),
                "env": {"HOME": "/h"},
                "agent": "/agent",
                "service": SERVICE,
            },
        ),
        (UpAgain("dev"), {"name": "dev"}),
        (UpAgain("dev", "/agent"), {"name": "dev", "agent": "/agent"}),
        (Restart("dev", "/agent"), {"name": "dev", "agent": "/agent"}),
        (Retry(), {}),
        (Reload(), {}),
        (Ask("dev", {"kind": "health"}), {"name": "dev", "question": {"kind": "health"}}),
    ],
)
def test_parameters_survive_the_way_and_their_form_is_the_contract(request_: Any, params: dict[str, Any]) -> None:
    assert request_.to_json() == params
    assert type(request_).from_json({**params, "of a newer release": 1}) == request_


@pytest.mark.parametrize("request_", [Down, UpAgain, Restart, Ask])
@pytest.mark.parametrize("name", [None, 5, ["dev"]])
def test_what_is_no_name_names_no_tunnel(request_: Any, name: object) -> None:
    with pytest.raises(RequestRefused) as refused:
        request_.from_json({"name": name})
    assert refused.value.message == f"no tunnel named {name} is running"
    assert refused.value.exit_code is ExitCode.NOT_RUNNING


def test_what_is_no_tunnel_is_refused() -> None:
    with pytest.raises(RequestRefused, match="not a tunnel: KeyError") as refused:
        Up.from_json({"spec": {"name": "x"}})
    assert refused.value.exit_code is ExitCode.USAGE
    with pytest.raises(RequestRefused, match="not a tunnel: TypeError"):
        Up.from_json({"spec": asdict(SPEC), "options": {"wrong": 1}})


@pytest.mark.parametrize("wrong", [{"agent": 5}, {"service": "systemd"}, {"env": ["TOKEN=s3cret"]}, {"env": {"T": 17}}])
def test_what_is_no_agent_service_or_environment_is_refused_without_a_word_of_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestRefused, match="not a tunnel: TypeError") as refused:
        Up.from_json({"spec": asdict(SPEC), **wrong})
    assert "s3cret" not in refused.value.message
    assert "17" not in refused.value.message


def test_what_only_a_newer_command_knows_of_a_tunnel_is_passed_over() -> None:
    spec = asdict(SPEC)
    spec["policy"]["of a newer release"] = spec["forwards"][0]["to"]["of a newer release"] = 1
    assert Up.from_json({"spec": spec}) == Up(SPEC)


def test_no_secret_is_shown() -> None:
    up, ask = Up(SPEC, env={"TOKEN": "s3cret"}), Ask("dev", {"token": "s3cret"})
    assert "s3cret" not in f"{up!r} {ask!r}"


def test_answers_survive_the_way() -> None:
    pong = Pong(7, "0.1.0", True, {"dev": SERVICE})
    assert asdict(pong) == {"pid": 7, "version": "0.1.0", "ending": True, "services": {"dev": SERVICE}}
    assert Ping.answer(asdict(pong)) == pong
    assert Down.answer({"closed": ["a", "b"]}) == ("a", "b")
    opened = Opened(DEV, True, "a note")
    assert asdict(opened) == {"started": True, "note": "a note", "snapshot": DEV.to_json()}
    assert Up.answer(asdict(opened)) == UpAgain.answer(asdict(opened)) == opened
    assert Ask.answer({"ok": True}) == {"ok": True}


def test_a_daemon_of_any_version_is_heard() -> None:
    assert Ping.answer({}) == Pong(None)
    assert Ping.answer({"pid": "x", "services": None}) == Pong(None)
    assert Down.answer({}) == ()
    assert Up.answer({"snapshot": DEV.to_json()}) == Opened(DEV)
