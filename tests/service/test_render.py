"""What a service becomes as text: the files in launchd/ and systemd/ are the whole of it, to the letter."""

import os
import plistlib
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.service import render
from openclaw_tunnel.service.spec import PlainSpec, ServiceSpec
from support.launchdkeys import mistakes
from support.process import program
from support.serviceexamples import FILES, LINUX, MAC, PLAIN, ROOT

PLISTS = [path for path in FILES if path.endswith(".plist")]
UNITS = [path for path in FILES if path.endswith((".service", ".socket"))]

DOCUMENTED = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>ai.openclaw.ssh-tunnel</string>
    <key>ProgramArguments</key>
    <array>
        <string>/usr/bin/ssh</string>
        <string>-N</string>
        <string>remote-gateway</string>
    </array>
    <key>KeepAlive</key>
    <true/>
    <key>RunAtLoad</key>
    <true/>
</dict>
</plist>
"""


@pytest.mark.parametrize("path", FILES)
def test_the_examples_are_what_is_rendered(path: str) -> None:
    """After a change of the renderer: PYTHONPATH=.:tests python -m support.serviceexamples."""
    assert (ROOT / path).read_text() == FILES[path]


def test_every_example_is_known() -> None:
    there = {
        str(path.relative_to(ROOT))
        for folder in ("launchd", "systemd")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert there == {*FILES, "launchd/README.md", "systemd/README.md"}


def test_the_documented_agent_to_the_letter() -> None:
    assert render.render_plain_plist(PLAIN) == DOCUMENTED


@pytest.mark.parametrize("path", PLISTS)
def test_launchd_understands_every_key(path: str) -> None:
    assert mistakes(FILES[path]) == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("<key>KeepAlive</key>", "<key>KeepsAlive</key>"),
        ("<integer>10</integer>", "<string>10</string>"),
        ("<string>Interactive</string>", "<string>interactive</string>"),
        ("<string>/Users/me/.local/bin/openclaw-tunnel</string>", "<string>openclaw-tunnel</string>"),
        ("<string>/Users/me/Library/Logs/", "<string>~/Library/Logs/"),
        ("<key>ExitTimeOut</key>", "<key>Label</key><string>b</string><key>ExitTimeOut</key>"),
        ("<integer>20</integer>", "<integer>0</integer>"),
    ],
)
def test_the_table_finds_mistakes(wrong: str, right: str) -> None:
    text = render.render_plist(MAC)
    assert wrong in text
    assert mistakes(text.replace(wrong, right))


def test_a_label_names_its_file_and_a_second_tunnel_has_its_own() -> None:
    for path in PLISTS:
        assert plistlib.loads(FILES[path].encode())["Label"] == Path(path).stem
    lab = replace(MAC, name="lab")
    assert plistlib.loads(render.render_plist(lab).encode())["Label"] == "ai.openclaw.ssh-tunnel.lab"


def test_nothing_is_started_again_after_a_clean_end() -> None:
    job = plistlib.loads(render.render_plist(MAC).encode())
    assert job["KeepAlive"] == {"SuccessfulExit": False}
    assert "Restart=on-failure" in render.render_service(LINUX)


def test_sockets_of_every_kind() -> None:
    listen = (Endpoint("::1", 18789), Endpoint("localhost", 80), Endpoint(path="/run/x y%.sock"))
    spec = replace(MAC, listen=listen)
    text = render.render_plist(spec)
    assert mistakes(text) == []
    assert plistlib.loads(text.encode())["Sockets"] == {
        "Listener1": {"SockNodeName": "::1", "SockServiceName": "18789", "SockType": "stream", "SockFamily": "IPv6"},
        "Listener2": {"SockNodeName": "127.0.0.1", "SockServiceName": "80", "SockType": "stream", "SockFamily": "IPv4"},
        "Listener3": {"SockPathName": "/run/x y%.sock", "SockPathMode": 0o600},
    }
    lines = render.render_socket(spec).splitlines()
    assert [line for line in lines if line.startswith("ListenStream=")] == [
        "ListenStream=[::1]:18789",
        "ListenStream=127.0.0.1:80",
        "ListenStream=/run/x y%%.sock",
    ]


def test_words_reach_the_program_as_they_are() -> None:
    """systemd expands % and $ and takes quotes away; a property list takes everything."""
    spec = ServiceSpec(
        "lab", "/opt/my tools/openclaw-tunnel", ("a$b", "100%", 'say "x" \\ y', "-L", "1:h:2"), {"A": 'x "%" y'}
    )
    text = render.render_service(spec)
    assert 'ExecStart="/opt/my tools/openclaw-tunnel" service run a$$b 100%% "say \\"x\\" \\\\ y" -L 1:h:2\n' in text
    assert 'Environment="A=x \\"%%\\" y"\n' in text
    job = plistlib.loads(render.render_plist(replace(spec, log_dir="/l")).encode())
    assert job["ProgramArguments"] == [spec.program, "service", "run", *spec.arguments]
    assert job["EnvironmentVariables"]["A"] == 'x "%" y'


def test_a_program_in_a_folder_with_an_odd_name(tmp_path: Path) -> None:
    odd = tmp_path / "me & you (5%); é" / "openclaw-tunnel"
    odd.parent.mkdir()
    odd.touch(mode=0o755)
    unit = tmp_path / "openclaw-tunnel.service"
    unit.write_text(render.render_service(ServiceSpec("default", str(odd), ("gw",))))
    done = analyze(tmp_path, "--user", "verify", f"./{unit.name}")  # it looks for the program
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with pytest.raises(UsageError, match="quotes or backslashes") as refusal:
        render.render_service(ServiceSpec("default", "/opt/o'brien/openclaw-tunnel"))
    assert "another folder" in refusal.value.hint


def test_what_no_unit_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="control characters"):
        ServiceSpec("a", "/x", ("one\ntwo",))
    with pytest.raises(UsageError, match="whole path"):
        ServiceSpec("a", "openclaw-tunnel")


def test_plain_ssh_for_systemd_starts_again_whatever_happens() -> None:
    text = render.render_plain_service(PlainSpec("default", ("-N", "-L", "1:h:2", "gw")))
    assert "ExecStart=/usr/bin/ssh -N -L 1:h:2 gw\n" in text
    assert "Restart=always" in text


def analyze(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("systemd-analyze"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )


def installed(tmp_path: Path, path: str) -> Path:
    """An example with a program that exists, beside the other units of its folder."""
    for other in UNITS:
        if Path(other).parent == Path(path).parent:
            text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", FILES[other], flags=re.MULTILINE)
            (tmp_path / Path(other).name).write_text(text)
    return tmp_path / Path(path).name


@pytest.mark.parametrize("path", UNITS)
def test_systemd_finds_nothing_to_complain_of(tmp_path: Path, path: str) -> None:
    """An unknown key costs only words on stderr, so nothing may be said."""
    scope = "--system" if "/system/" in path else "--user"
    done = analyze(tmp_path, scope, "verify", f"./{installed(tmp_path, path).name}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("path", "most"), [("systemd/openclaw-tunnel.service", 66), ("systemd/system/openclaw-tunnel.service", 15)]
)
def test_what_systemd_thinks_of_its_security(tmp_path: Path, path: str, most: int) -> None:
    """In tenths of systemd's points; of a user's unit, what needs a mount namespace or a privilege is out of reach."""
    scope = "--system" if "/system/" in path else "--user"
    unit = f"./{installed(tmp_path, path).name}"
    done = analyze(tmp_path, scope, "security", "--offline=true", f"--threshold={most}", unit)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
