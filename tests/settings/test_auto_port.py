"""Which local ports come into question for ``-p auto``."""

from typing import Any

import pytest

from openclaw_tunnel.core.spec import Endpoint, Forward, PortChoice, TunnelSpec
from openclaw_tunnel.settings.auto_port import MOST, candidates, on_port


def spec(local: int = 18789, remote: int = 18789, *more: int, **fields: Any) -> TunnelSpec:
    loopback = "127.0.0.1"
    main = Forward(Endpoint(loopback, local), Endpoint(loopback, remote), dual=True)
    others = (Forward(Endpoint(loopback, port), Endpoint("b", 1)) for port in more)
    return TunnelSpec("t", "gw", (main, *others), port_choice=PortChoice.AUTO, **fields)


CASES: list[tuple[str, TunnelSpec, set[int], tuple[int, ...]]] = [
    ("the usual one first, then past the companions of who has it", spec(), set(), (18789, 18792, 18795)),
    ("not those of other tunnels", spec(), {18789, 18795}, (18792, 18798, 18801)),
    ("not that of another forward", spec(18789, 18789, 18792), set(), (18789, 18795, 18798)),
    ("not that on which widgets are looked for", spec(18789, 18791, sandbox=True), set(), (18789, 18795, 18798)),
    ("that one where nobody looks for widgets", spec(18789, 18791), set(), (18789, 18792, 18795)),
]


@pytest.mark.parametrize(("tunnel", "taken", "first"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_candidates(tunnel: TunnelSpec, taken: set[int], first: tuple[int, ...]) -> None:
    assert candidates(tunnel, taken)[:3] == first


def test_they_are_not_many_and_all_are_ports() -> None:
    assert len(candidates(spec(), ())) == MOST
    assert candidates(spec(65530), ()) == (65530, 65533)


def test_ports_that_many_tunnels_keep_leave_as_many_to_look_at() -> None:
    kept = candidates(spec(), ())
    assert len(candidates(spec(), kept)) == MOST


def test_the_choice_is_part_of_the_tunnel() -> None:
    tunnel = on_port(spec(18789, 18789, 8080), 18792)
    assert [str(f) for f in tunnel.forwards] == ["127.0.0.1:18792 -> 127.0.0.1:18789", "127.0.0.1:8080 -> b:1"]
    assert tunnel.main.dual
    assert tunnel.port_choice is PortChoice.AUTO
