"""What was rendered is read back; what others wrote is not taken for ours."""

import pytest

from openclaw_tunnel.service.installed import Installed, read_plist, read_unit
from openclaw_tunnel.service.render import render_plist, render_service
from openclaw_tunnel.service.spec import ServiceSpec

HOME = "/home/me"
WORDS = ("me@gw", "--identity", "/my keys/id", "-L", "8080:127.0.0.1:80", "--ssh-config", '/odd/100%/"$HOME"')


def test_what_was_rendered_is_read_back() -> None:
    spec = ServiceSpec("lab", "/home/me/.local/bin/openclaw-tunnel", WORDS, home=HOME, log_dir="/log")
    expected = Installed(spec.program, WORDS)
    assert read_unit(render_service(spec), "lab", HOME) == expected
    assert read_plist(render_plist(spec).encode()) == expected


def test_a_template_gets_the_name() -> None:
    spec = ServiceSpec("", "/usr/bin/openclaw-tunnel", ("--hold", "3"))
    found = read_unit(render_service(spec), "lab", HOME)
    assert found == Installed("/usr/bin/openclaw-tunnel", ("--hold", "3", "--name", "lab"))


@pytest.mark.parametrize(
    "text",
    ["", "[Service]\n", "ExecStart=/usr/bin/ssh -N gw\n", "ExecStart=openclaw-tunnel service\n", "ExecStart='a\n"],
)
def test_units_of_others(text: str) -> None:
    assert read_unit(text, "lab", HOME) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<plist><dict>",
        b'<plist version="1.0"><array/></plist>',
        b'<plist version="1.0"><dict><key>ProgramArguments</key><array><string>ssh</string></array></dict></plist>',
        b'<plist version="1.0"><dict><key>ProgramArguments</key><array><true/></array></dict></plist>',
    ],
)
def test_agents_of_others(data: bytes) -> None:
    assert read_plist(data) is None
