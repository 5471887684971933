"""daemon/answers.py: every method of the wire is a request of ours, and nothing else is."""

from typing import Any

import pytest

from openclaw_tunnel.control.messages import Look, Request, Status, Watch
from openclaw_tunnel.control.orders import Ask, Down, Ping, Reload, Restart, Retry, UpAgain
from openclaw_tunnel.daemon.answers import read
from openclaw_tunnel.errors import RequestRefused


@pytest.mark.parametrize(
    "request_",
    [
        Ping(),
        Status("dev"),
        Look(),
        Watch("dev"),
        UpAgain("dev"),
        Down("dev"),
        Restart("dev"),
        Retry(),
        Reload(),
        Ask("dev", {"kind": "health"}),
    ],
)
def test_each_request_is_read_by_its_method(request_: Request[Any]) -> None:
    assert read(request_.METHOD, request_.to_json()) == request_


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(RequestRefused, match="the running daemon does not know 'fly'"):
        read("fly", {})


def test_a_tunnel_without_destination_is_one_that_runs() -> None:
    assert read("up", {"name": "dev", "agent": "/a"}) == UpAgain("dev", "/a")
    with pytest.raises(RequestRefused, match="not a tunnel"):
        read("up", {"name": "dev", "spec": None})
