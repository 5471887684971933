"""The local port that `setup` picks: setup/plan_local.py."""

import pytest

from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.setup.plan_local import local_ports, pick_port
from openclaw_tunnel.setup.steps import Mark, Step


def test_ports_in_their_order() -> None:
    assert local_ports((None, 5, None), 10)[:4] == [5, 10, 13, 16]
    assert local_ports((), 65534) == [65534]


def test_the_first_free_port_and_why_not_the_others() -> None:
    taken = ((10, "pid 7 (ssh)"), (13, "pid 8"))
    why = " (10 is used by pid 7 (ssh))"
    assert pick_port((*taken, (16, "")), None) == (Step("port", Mark.OK, f"http://127.0.0.1:16{why}"), 16)
    assert pick_port(((10, ""),), 10) == (Step("port", Mark.KEPT, "http://127.0.0.1:10"), 10)
    with pytest.raises(TunnelError, match="no local port is free: 10 is used by pid 7") as caught:
        pick_port(taken, None)
    assert caught.value.exit_code is ExitCode.LOCAL_PORT
