"""A service and its tunnel in one view."""

from dataclasses import replace

import pytest

from openclaw_tunnel.actions.service_status import ServiceView
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from openclaw_tunnel.service.manager import ManagerState
from openclaw_tunnel.ui.tunnelrows import plain

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
UP = Snapshot("dev", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (FORWARD,))
RUNS = ManagerState(True, True, True, 42, "active")
ENDED = replace(RUNS, running=False, pid=None, words="inactive")
WAITS = replace(ENDED, holds_ports=True)


@pytest.mark.parametrize(
    ("view", "well"),
    [
        (ServiceView("dev", RUNS, UP, system=False), True),
        (ServiceView("dev", RUNS, replace(UP, state=State.BACKOFF), system=False), False),
        (ServiceView("dev", RUNS, None, system=False), False),
        (ServiceView("dev", RUNS, None, system=True), True),
        (ServiceView("dev", ENDED, None, system=True), False),
        (ServiceView("dev", WAITS, None, system=False), True),
    ],
)
def test_it_is_well_where_its_tunnel_is_or_will_be(view: ServiceView, well: bool) -> None:
    assert view.is_well is well


def test_its_rows() -> None:
    assert plain([ServiceView("dev", RUNS, UP, system=False).rows()]).endswith("\n  service   active, pid 42")
    assert plain([ServiceView("dev", RUNS, None, system=True).rows()]) == "dev  runs\n  service   active, pid 42"
    assert plain([ServiceView("dev", ENDED, None, system=True).rows()]) == "dev  does not run\n  service   inactive"
    assert plain([ServiceView("dev", WAITS, None, system=True).rows()]).startswith("dev  waits for its first client\n")
