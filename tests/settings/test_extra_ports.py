"""Where OpenClaw's other ports are, there and here."""

from typing import Any

import pytest

from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec, parse_forward
from openclaw_tunnel.core.status import Role
from openclaw_tunnel.settings.extra_ports import is_forwarded, optional_forwards, own_obstacle

CASES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("nothing wanted", "18789:127.0.0.1:18789", {}, []),
    ("the sandbox", "18789:127.0.0.1:18789", {"sandbox": True}, ["sandbox 127.0.0.1:18790 -> 127.0.0.1:18790"]),
    (
        "widgets are looked for on the gateway's number, whatever the local one is",
        "28789:127.0.0.1:18789",
        {"sandbox": True},
        ["sandbox 127.0.0.1:18790 -> 127.0.0.1:18790"],
    ),
    (
        "browser control is looked for behind the local one",
        "28789:127.0.0.1:18789",
        {"browser": True},
        ["browser 127.0.0.1:28791 -> 127.0.0.1:18791"],
    ),
    (
        "the page's host is the sandbox's host; browser control is for this computer alone",
        "0.0.0.0:18789:127.0.0.1:18789",
        {"sandbox": True, "browser": True, "allow_remote_clients": True},
        ["sandbox 0.0.0.0:18790 -> 127.0.0.1:18790", "browser 127.0.0.1:18791 -> 127.0.0.1:18791"],
    ),
    ("no such ports", "1:127.0.0.1:65535", {"sandbox": True, "browser": True}, []),
    ("no such local port", "65534:127.0.0.1:18789", {"browser": True}, []),
    (
        "one of the two",
        "1:127.0.0.1:65534",
        {"sandbox": True, "browser": True},
        ["sandbox 127.0.0.1:65535 -> 127.0.0.1:65535"],
    ),
]


@pytest.mark.parametrize(("main", "wishes", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_forwards(main: str, wishes: dict[str, Any], wanted: list[str]) -> None:
    spec = TunnelSpec("t", "gw", (parse_forward(main),), **wishes)
    assert [f"{f.role} {f}" for f in optional_forwards(spec)] == wanted


def test_the_sandbox_listens_where_the_page_comes_from() -> None:
    main = Forward(Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2), dual=True)
    sandbox, browser = optional_forwards(TunnelSpec("t", "gw", (main,), sandbox=True, browser=True))
    assert (sandbox.role, sandbox.dual) == (Role.SANDBOX, True)
    assert (browser.role, browser.dual) == (Role.BROWSER, False)


def test_what_the_tunnel_itself_puts_in_the_way() -> None:
    def obstacle(*forwards: str) -> str:
        spec = TunnelSpec("t", "gw", tuple(map(parse_forward, forwards)), sandbox=True)
        return own_obstacle(spec, optional_forwards(spec)[0])

    assert obstacle("18789:127.0.0.1:18789", "/s:/t") == ""
    assert obstacle("18790:127.0.0.1:18789") == (
        "the gateway's own local port has that number, and widgets are looked for there: "
        "choose another one, such as -p 18789"
    )
    assert obstacle("1:127.0.0.1:18789", "18790:db:1") == "the tunnel's forward 127.0.0.1:18790 -> db:1 has that port"


def test_what_the_user_forwards_by_hand_is_left_to_the_user() -> None:
    main = parse_forward("1:127.0.0.1:18789")
    sandbox = parse_forward("18790:127.0.0.1:18790")
    assert is_forwarded(TunnelSpec("t", "gw", (main, parse_forward("18790:localhost:18790"))), sandbox)
    assert not is_forwarded(TunnelSpec("t", "gw", (main, parse_forward("18790:localhost:1"))), sandbox)
    assert not is_forwarded(TunnelSpec("t", "gw", (main,)), sandbox)
