"""Names and arguments of services."""

from dataclasses import fields

from openclaw_tunnel.cli.commands.service import run
from openclaw_tunnel.service.spec import label_of, plain_arguments, tunnel_of, unit_of, up_arguments
from openclaw_tunnel.settings.up_options import UpOptions

EVERYTHING = UpOptions(
    target="me@host:2222",
    name="lab",
    local_port=1,
    remote_port=2,
    bind="0.0.0.0",
    identity="/a key",
    ssh_config="none",
    extra_forwards=("1:a:2", "3:b:4"),
    hold=2.5,
    probe="tcp",
    allow_remote_clients=True,
    no_extra_ports=True,
)


def parsed(words: tuple[str, ...]) -> UpOptions:
    """What the command of a service makes of its arguments."""
    with run.make_context("run", list(words)) as context:
        given = dict(context.params)
    return UpOptions(extra_forwards=given.pop("forwards"), **given)


def test_every_option_of_up_reaches_the_service() -> None:
    untouched = {f.name for f in fields(UpOptions) if getattr(EVERYTHING, f.name) == f.default}
    assert untouched == set()
    assert parsed(up_arguments(EVERYTHING)) == EVERYTHING
    assert parsed(up_arguments(UpOptions())) == UpOptions()
    assert up_arguments(UpOptions(target="gw", hold=10.0)) == ("gw", "--hold", "10")


def test_names_there_and_back() -> None:
    assert [label_of(n) for n in ("default", "lab")] == ["ai.openclaw.ssh-tunnel", "ai.openclaw.ssh-tunnel.lab"]
    assert [unit_of(n) for n in ("default", "lab")] == ["openclaw-tunnel.service", "openclaw-tunnel@lab.service"]
    for name in ("default", "lab", "a-b_c"):
        assert [tunnel_of(u) for u in (label_of(name), unit_of(name), unit_of(name, "socket"))] == [name] * 3
    assert [tunnel_of(u) for u in ("ssh.service", "openclaw-tunnel@.service", "ai.openclaw.gateway")] == ["", "", ""]


def test_plain_ssh_has_the_files_and_forwards_it_needs() -> None:
    words = plain_arguments(UpOptions(ssh_config="/c", identity="/k"), "gw", ("1:a:2",))
    assert words == ("-N", "-F", "/c", "-i", "/k", "-L", "1:a:2", "gw")
