"""A tunnel that is asked for and waited for, against a daemon that only talks."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.actions.open_tunnel import open_again, open_tunnel, show_opened
from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.control.orders import Opened
from openclaw_tunnel.control.server import Emit
from openclaw_tunnel.core.spec import Endpoint, TunnelSpec, listen_on
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, Snapshot
from openclaw_tunnel.errors import ExitCode, RequestRefused, TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.resolve import NoDestination, Resolved
from openclaw_tunnel.settings.up_options import UpOptions
from support.fakedaemon import FakeDaemon, serving
from support.sshtargets import make_target

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
UP = Snapshot("default", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (FORWARD,))
CONNECTING = replace(UP, state=State.CONNECTING)
NOWHERE = NoDestination("no gateway host is given")
MAIN = listen_on("127.0.0.1", 18789, Endpoint("127.0.0.1", 18789))
RESOLVED = Resolved(TunnelSpec("default", "gw", (MAIN,), address="me@gateway.example:22"), (), make_target())


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.from_env({"OPENCLAW_TUNNEL_HOME": str(tmp_path)})


def answering(tunnel: Snapshot, **more: Any) -> FakeDaemon:
    """A daemon that has this tunnel, and shows it for ever."""

    async def watch(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        emit({"snapshot": tunnel.to_json()})
        await asyncio.Event().wait()
        return {}

    answer = {"snapshot": tunnel.to_json(), "started": False, "note": "", **more}
    return FakeDaemon([tunnel], up=lambda params, emit: answer, watch=watch)


def test_a_tunnel_that_is_up_is_not_waited_for(
    tmp_path: Path, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is shown whole, after what is to be known of it."""
    daemon = answering(UP, note="it closes with another")
    with serving(tmp_path, daemon):
        assert open_tunnel(paths, UpOptions(target="gw"), RESOLVED) is ExitCode.OK
    assert [method for method, _ in daemon.asked] == ["ping", "up"]
    said = capsys.readouterr()
    assert said.out.startswith("default  up for ")
    assert said.err == "note: it closes with another\n"


def test_one_that_was_started_is_announced(tmp_path: Path, paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path, answering(UP, started=True)):
        assert open_tunnel(paths, UpOptions(target="gw"), RESOLVED) is ExitCode.OK
    assert capsys.readouterr().out.startswith("default is up: ")


def test_how_the_attempt_ended_is_waited_for(tmp_path: Path, paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    failed = replace(UP, state=State.FAILED, failure=FailureStatus("dns", "no such name", "check it", True, 20))
    with serving(tmp_path, answering(failed)):
        code = show_opened(client_of(paths), Opened(CONNECTING, note="a note"), 5.0)
    assert code is ExitCode.UNREACHABLE
    assert capsys.readouterr().err.startswith("note: a note\nerror: no such name\n")


def test_notes_come_before_the_error_of_one_that_nothing_is_known_of(
    tmp_path: Path, paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(tmp_path, answering(CONNECTING)), pytest.raises(TunnelError) as raised:
        show_opened(client_of(paths), Opened(CONNECTING, note="a note"), 0.1)
    assert raised.value.exit_code is ExitCode.UNREACHABLE
    assert capsys.readouterr() == ("", "note: a note\n")


def test_without_a_destination_the_tunnel_that_runs_is_meant(tmp_path: Path, paths: Paths) -> None:
    daemon = answering(UP)
    with serving(tmp_path, daemon):
        assert open_again(client_of(paths), None, NOWHERE) is ExitCode.OK
    assert daemon.asked[0][1]["name"] == "default"


def test_without_a_destination_and_without_such_a_tunnel(tmp_path: Path, paths: Paths) -> None:
    with pytest.raises(NoDestination):
        open_again(client_of(paths), "dev", NOWHERE)

    def refuse(params: dict[str, Any], emit: Emit) -> None:
        raise RequestRefused("no such tunnel", exit_code=ExitCode.NOT_RUNNING)

    with serving(tmp_path, FakeDaemon([], up=refuse)), pytest.raises(NoDestination):
        open_again(client_of(paths), "dev", NOWHERE)
