"""Questions about tunnels: their objects on the wire, which another release may have written or may read."""

from typing import Any

import pytest

from openclaw_tunnel.control.messages import Look, Report, Status, Watch
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import DaemonInfo, Snapshot, report
from openclaw_tunnel.errors import ExitCode, RequestRefused

DEV = Snapshot("dev", State.UP, "2026-11-22T06:00:00Z", "me@gw:22", "gw", ())
INFO = DaemonInfo(7, "2026-11-22T06:00:00Z", "0.1.0")


@pytest.mark.parametrize(
    ("request_", "params"),
    [
        (Status(), {}),
        (Status("dev"), {"name": "dev"}),
        (Look(), {}),
        (Look("dev"), {"name": "dev"}),
        (Watch("dev"), {"name": "dev"}),
        (Watch("dev", waits=True, asks=True), {"name": "dev", "waits": True, "asks": True}),
    ],
)
def test_parameters_survive_the_way_and_their_form_is_the_contract(request_: Any, params: dict[str, Any]) -> None:
    assert request_.to_json() == params
    assert type(request_).from_json({**params, "of a newer release": 1}) == request_


def test_an_older_command_says_only_what_it_watches() -> None:
    assert Watch.from_json({"name": "dev"}) == Watch("dev")


@pytest.mark.parametrize("request_", [Status, Look, Watch])
@pytest.mark.parametrize("name", [5, ["dev"], True])
def test_what_is_no_name_names_no_tunnel(request_: Any, name: object) -> None:
    with pytest.raises(RequestRefused) as refused:
        request_.from_json({"name": name})
    assert refused.value.message == f"no tunnel named {name} is running"
    assert refused.value.exit_code is ExitCode.NOT_RUNNING


def test_a_report_keeps_what_a_newer_daemon_adds() -> None:
    data = report(INFO, [DEV])
    data["tunnels"][0]["mood"] = data["daemon"]["mood"] = "fine"
    answer = Status.answer(data)
    assert answer.tunnels == (DEV,)
    assert answer.daemon["pid"] == 7
    assert answer.data is data


def test_the_report_of_no_daemon() -> None:
    nobody = Report.of_nobody()
    assert nobody.data == {"version": 1, "daemon": None, "tunnels": []}
    assert (nobody.daemon, nobody.tunnels) == ({}, ())


def test_an_event_is_the_tunnel() -> None:
    assert Watch.as_event(DEV) == {"snapshot": DEV.to_json()}
    assert Watch.event(Watch.as_event(DEV)) == DEV
    assert Watch.answer({}) is None
