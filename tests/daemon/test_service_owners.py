"""Which services keep tunnels, as others are told."""

from openclaw_tunnel import __version__
from openclaw_tunnel.core.status import DaemonInfo
from openclaw_tunnel.daemon.service_owners import ServiceOwners

SERVICE = {"manager": "systemd", "unit": "openclaw-tunnel.service", "system": False}


def test_what_others_are_told() -> None:
    owners = ServiceOwners()
    owners.keep("default", SERVICE)
    owners.keep("lab", {})  # `up` brings no service along
    assert owners.services == {"default": SERVICE}
    info = owners.complete(DaemonInfo(1, "2026-11-22T06:00:00Z", "0.0.9"))
    assert (info.services, info.version, info.installed) == ({"default": SERVICE}, "0.0.9", __version__)
    del owners.services["default"]
    assert info.services == {"default": SERVICE}


def test_whoever_opens_a_tunnel_in_the_foreground_of_another_is_told() -> None:
    owners = ServiceOwners()
    assert owners.warning("lab", 7) == ""
    owners.in_foreground = True
    assert owners.warning("lab", 7).startswith("lab closes with the openclaw-tunnel up ")
    assert "(pid 7)" in owners.warning("lab", 7)


def test_before_the_service_of_a_whole_system_nobody_sits() -> None:
    owners = ServiceOwners()
    owners.keep("own", SERVICE)
    owners.keep("system", {**SERVICE, "system": True})
    assert [owners.has_desktop(name) for name in ("own", "system", "by hand")] == [True, False, True]
