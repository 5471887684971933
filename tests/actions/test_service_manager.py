"""What ends with a service; the managers themselves: tests/service, tests/cli/commands/test_service.py."""

from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_tunnel.actions.service_manager import closes_too, pick_service
from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from openclaw_tunnel.errors import ServiceError, UsageError
from openclaw_tunnel.service.systemd import Systemd
from support.fakedaemon import FakeDaemon, serving

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
UP = Snapshot("default", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (FORWARD,))
KEPT = {"default": {"manager": "systemd", "unit": "openclaw-tunnel.service", "system": False}}


def test_tunnels_that_up_opened_in_its_process_are_noted(tmp_path: Path) -> None:
    daemon = FakeDaemon([UP, replace(UP, name="b"), replace(UP, name="a")])
    daemon.methods = {"ping": lambda params, emit: {"pid": 1, "version": "0.1.0", "services": KEPT}}
    with serving(tmp_path, daemon) as path, closes_too(ControlClient(path)) as notes:
        daemon.tunnels.clear()
        assert notes == []
    assert notes == ["closed with it, as its process held it too: a, b; open it again: openclaw-tunnel up -d"]


def test_nothing_is_noted_where_only_its_own_tunnel_ended_or_none_runs(tmp_path: Path) -> None:
    daemon = FakeDaemon([UP])
    daemon.methods = {"ping": lambda params, emit: {"pid": 1, "version": "0.1.0", "services": KEPT}}
    with serving(tmp_path, daemon) as path, closes_too(ControlClient(path)) as notes:
        daemon.tunnels.clear()
    with closes_too(ControlClient(tmp_path / "none")) as none:
        pass
    assert notes == none == []


def test_which_service_is_meant(tmp_path: Path) -> None:
    manager = Systemd({"HOME": str(tmp_path)})
    folder = tmp_path / ".config/systemd/user"
    folder.mkdir(parents=True)
    assert pick_service(manager, "lab") == "lab"
    with pytest.raises(ServiceError, match="no service is installed"):
        pick_service(manager, None)
    (folder / "openclaw-tunnel@lab.service").touch()
    assert pick_service(manager, None) == "lab"
    (folder / "openclaw-tunnel@dev.service").touch()
    with pytest.raises(UsageError, match="which service is meant"):
        pick_service(manager, None)
    (folder / "openclaw-tunnel.service").touch()
    assert pick_service(manager, None) == "default"
