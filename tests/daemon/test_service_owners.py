"""Which services keep tunnels, as others are told."""

from openclaw_tunnel import __version__
from openclaw_tunnel.core.status import DaemonInfo
from openclaw_tunnel.daemon.service_owners import Keepers

SERVICE = {"manager": "systemd", "unit": "openclaw-tunnel.service", "system": False}


def test_kept_and_forgotten() -> None:
    keepers = Keepers()
    keepers.keep("default", SERVICE)
    keepers.keep("lab", None)  # `up` brings no service along
    assert keepers.told() == {"services": {"default": SERVICE}}
    assert (keepers.keeps("default"), keepers.keeps("lab")) == (True, False)
    info = keepers.complete(DaemonInfo(1, "2026-11-22T06:00:00Z", "0.0.9"))
    assert (info.services, info.version, info.installed) == ({"default": SERVICE}, "0.0.9", __version__)
    keepers.forget(["default", "other"])
    assert keepers.told() == {"services": {}}
    assert info.services == {"default": SERVICE}


def test_whoever_opens_a_tunnel_in_the_foreground_of_another_is_told() -> None:
    keepers = Keepers()
    assert keepers.warning("lab", 7) == ""
    keepers.in_foreground = True
    assert keepers.warning("lab", 7).startswith("lab closes with the openclaw-tunnel up ")
    assert "(pid 7)" in keepers.warning("lab", 7)


def test_before_the_service_of_a_whole_system_nobody_sits() -> None:
    keepers = Keepers()
    keepers.keep("own", SERVICE)
    keepers.keep("system", {**SERVICE, "system": True})
    assert [keepers.has_desktop(name) for name in ("own", "system", "by hand")] == [True, False, True]
