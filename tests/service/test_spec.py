"""Names and arguments of services."""

from openclaw_tunnel.service.spec import label_of, plain_arguments, tunnel_of, unit_of
from openclaw_tunnel.settings.up_options import UpOptions


def test_names_there_and_back() -> None:
    assert [label_of(n) for n in ("default", "lab")] == ["ai.openclaw.ssh-tunnel", "ai.openclaw.ssh-tunnel.lab"]
    assert [unit_of(n) for n in ("default", "lab")] == ["openclaw-tunnel.service", "openclaw-tunnel@lab.service"]
    for name in ("default", "lab", "a-b_c"):
        assert [tunnel_of(u) for u in (label_of(name), unit_of(name), unit_of(name, "socket"))] == [name] * 3
    assert [tunnel_of(u) for u in ("ssh.service", "openclaw-tunnel@.service", "ai.openclaw.gateway")] == ["", "", ""]


def test_plain_ssh_has_the_files_and_forwards_it_needs() -> None:
    words = plain_arguments(UpOptions(ssh_config="/c", identity="/k"), "gw", ("1:a:2",))
    assert words == ("-N", "-F", "/c", "-i", "/k", "-L", "1:a:2", "gw")
