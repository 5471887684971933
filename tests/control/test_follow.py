"""Following a tunnel until it is known how an attempt ended."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.follow import settle
from openclaw_tunnel.control.server import Emit
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import GatewayStatus, Snapshot, Verdict
from openclaw_tunnel.errors import ExitCode, TunnelError
from support.fakedaemon import FakeDaemon, serving

CONNECTING = Snapshot("dev", State.CONNECTING, "2026-11-22T06:00:00Z", "me@gw:22", "gw", ())
STARTING = replace(CONNECTING, state=State.DEGRADED, gateway=GatewayStatus(Verdict.STARTING))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="oct-", dir="/tmp") as path:
        yield Path(path)


def settled(folder: Path, *story: Snapshot, timeout: float = 60.0, hang: bool = False) -> Snapshot:
    async def tell(params: dict[str, Any], emit: Emit) -> dict[str, Any]:
        for snapshot in story:
            emit({"snapshot": snapshot.to_json()})
        if hang:
            await asyncio.Event().wait()
        return {}

    with serving(folder, FakeDaemon(watch=tell)) as path:
        return settle(ControlClient(path), "dev", timeout)


@pytest.mark.parametrize("state", [State.UP, State.FAILED, State.BACKOFF, State.DEGRADED])
def test_an_outcome_is_an_outcome(folder: Path, state: State) -> None:
    assert settled(folder, CONNECTING, replace(CONNECTING, state=state)).state is state


def test_a_gateway_that_is_starting_is_waited_for(folder: Path) -> None:
    assert settled(folder, CONNECTING, STARTING, replace(STARTING, state=State.UP)).state is State.UP


@pytest.mark.parametrize(("last", "code"), [(CONNECTING, ExitCode.UNREACHABLE), (STARTING, ExitCode.NOT_LISTENING)])
def test_but_not_for_ever(folder: Path, last: Snapshot, code: ExitCode) -> None:
    with pytest.raises(TunnelError, match=f"dev is still {last.state} after 3 s") as caught:
        settled(folder, last, timeout=3, hang=True)
    assert caught.value.exit_code is code


def test_closed_meanwhile(folder: Path) -> None:
    with pytest.raises(TunnelError, match="dev was closed meanwhile") as caught:
        settled(folder, CONNECTING)
    assert caught.value.exit_code is ExitCode.NOT_RUNNING
