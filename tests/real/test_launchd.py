"""The service under a launchd that runs it for real, with a real SSH server: what systemd's tests ask, asked again."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.errors import TunnelError
from support.cli import Answer, Cli
from support.fakelaunchd import FakeLaunchd
from support.launchdkeys import mistakes
from support.servers import Sshd
from support.waiting import accepts, free_port, wait_until

LABEL = "ai.openclaw.ssh-tunnel"


@pytest.fixture
def mac(cli: Cli) -> Iterator[FakeLaunchd]:
    """launchd for the user of ``cli``."""
    launchd = FakeLaunchd(cli.home)
    cli.env.update(launchd.env)
    yield launchd
    launchd.end()


def agents(cli: Cli) -> Path:
    return cli.home / "Library/LaunchAgents"


def install(cli: Cli, sshd: Sshd, *more: str, known: bool = True) -> tuple[Answer, int]:
    cli.use_ssh_config(sshd.ssh_config("gw", known=known))
    port = free_port()
    remote = ("-r", str(sshd.port), "--probe", "tcp")
    return cli("service", "install", "gw", "-p", str(port), *remote, *more), port


def pid(mac: FakeLaunchd, label: str = LABEL) -> int:
    job = mac.job(label)
    return int(job["pid"] or 0) if job else 0


def is_hung(cli: Cli) -> bool:
    try:
        ControlClient(cli.tunnel_home / "control.sock").call(Status(), timeout=5)
    except TunnelError:
        return True
    return False


def banner(port: int, timeout: float = 30.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        return client.recv(7)


def test_from_install_to_uninstall(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    answer, port = install(cli, sshd)
    assert answer.exit_code == 0, answer.stderr
    path = agents(cli) / f"{LABEL}.plist"
    assert answer.stdout.splitlines()[0] == f"installed: {path}"
    assert mistakes(path.read_text()) == []
    assert banner(port) == b"SSH-2.0"
    kept = cli("status", "--json").json()["daemon"]["services"]
    assert kept == {"default": {"manager": "launchd", "unit": LABEL, "system": False}}
    assert "service   running, pid " in cli("service", "status").stdout
    first = pid(mac)
    assert cli("up", "-d", "gw", "-p", str(port), "-r", str(sshd.port), "--probe", "tcp").exit_code == 0
    assert pid(mac) == first

    assert cli("down").stdout == "closed: default\n"
    assert mac.job(LABEL) is None
    assert not accepts(port)
    assert cli("service", "start").exit_code == 0
    assert cli("wait").exit_code == 0
    assert cli("service", "uninstall").stdout == f"removed: {path}\n"
    assert list(agents(cli).iterdir()) == []
    assert mac.job(LABEL) is None
    assert cli("service", "uninstall").exit_code == 40


def test_killed_it_is_started_again(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    _, port = install(cli, sshd)
    first = pid(mac)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pid(mac) not in (0, first) and cli("wait").exit_code == 0, 20, "up again")
    assert banner(port) == b"SSH-2.0"


def test_a_hang_is_noticed_and_ended(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    """launchd has no watchdog, so the service has one. The event loop is hung up by a log that nobody reads."""
    log = cli.tunnel_home / "openclaw-tunnel.log"
    cli.tunnel_home.mkdir(mode=0o700)
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(log, os.O_WRONLY | os.O_NONBLOCK)
    try:
        _, port = install(cli, sshd)
        first = pid(mac)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x")
        cli.start("restart")
        wait_until(lambda: is_hung(cli), 20, "the loop to hang")
        log.unlink()
        assert pid(mac) == first
        wait_until(lambda: pid(mac) not in (0, first) and cli("wait").exit_code == 0, 60, "the end of the hang")
    finally:
        os.close(reader)
        os.close(writer)
    assert banner(port) == b"SSH-2.0"
    words = (cli.tunnel_home / "launchd.log").read_text()
    assert "no sign of life from the event loop" in words
    assert "logging/__init__.py" in words  # where it hung


def test_a_wrong_host_key_is_one_failed_tunnel_and_no_loop(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    answer, _ = install(cli, sshd, known=False)
    assert answer.exit_code == 22, answer.stdout
    job = mac.job(LABEL)
    assert job
    assert job["runs"] == 1
    first = pid(mac)
    assert cli("trust", "gw", "--fingerprint", sshd.fingerprint()).exit_code == 0
    assert cli("wait").exit_code == 0
    assert pid(mac) == first


def test_over_a_running_documented_agent(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    """Refused without --replace, and the old agent runs on; with it the new one runs, and the old one is kept."""
    cli.use_ssh_config(sshd.ssh_config("remote-gateway"))
    printed = cli("service", "print", "--launchd", "--plain-ssh", "remote-gateway").stdout
    assert mistakes(printed) == []
    config = cli.env["OPENCLAW_TUNNEL_SSH_CONFIG"]
    text = printed.replace("<string>-N</string>", f"<string>-N</string><string>-F</string><string>{config}</string>")
    path = agents(cli) / f"{LABEL}.plist"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    os.system(f"HOME={cli.home} FAKE_LAUNCHD={mac.folder} {mac.bin}/launchctl bootstrap gui/{os.getuid()} {path}")
    wait_until(lambda: sshd.connections(), 10, "ssh -N")
    old = pid(mac)

    target = ("remote-gateway", "-p", str(free_port()), "-r", str(sshd.port), "--probe", "tcp")
    refused = cli("service", "install", *target)
    assert refused.exit_code == 2
    assert "/usr/bin/ssh -N" in refused.stdout
    assert "--replace" in refused.stderr
    assert pid(mac) == old

    mac.refuse("bootstrap", 119)
    failed = cli("service", "install", *target, "--replace")
    assert failed.exit_code == 40
    assert "what ran before runs again" in failed.stderr
    assert path.read_text() == text
    wait_until(lambda: pid(mac) not in (0, old), 20, "the old agent")

    answer = cli("service", "install", *target, "--replace")
    assert answer.exit_code == 0, answer.stderr
    assert banner(int(target[2])) == b"SSH-2.0"
    copies = list((cli.tunnel_home / "replaced").rglob("*.plist"))
    assert copies
    assert all(copy.read_text() == text for copy in copies)
    assert cli("service", "uninstall").exit_code == 0


def test_on_demand(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    mac.sockets_library()
    answer, port = install(cli, sshd, "--on-demand")
    assert answer.exit_code == 0, answer.stderr
    assert pid(mac) == 0
    assert cli("service", "status").stdout.startswith("default  waits for its first client\n")
    assert cli("service", "status").exit_code == 0
    assert banner(port) == b"SSH-2.0"
    first = pid(mac)
    assert first
    with socket.create_connection(("127.0.0.1", port)):
        assert cli("service", "restart", timeout=60).exit_code == 0  # launchd's throttle included
        assert accepts(port)
    assert pid(mac) not in (0, first)
    assert banner(port) == b"SSH-2.0"
    assert cli("down").exit_code == 0
    assert not accepts(port)


def test_two_tunnels(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    _, port = install(cli, sshd)
    second, lab = install(cli, sshd, "-n", "lab")
    assert second.exit_code == 0, second.stderr
    assert [banner(port), banner(lab)] == [b"SSH-2.0"] * 2
    assert pid(mac, f"{LABEL}.lab")
    assert cli("service", "uninstall", "default").exit_code == 0
    wait_until(lambda: cli("wait", "lab").exit_code == 0, 20, "lab in a process of its own")
    assert banner(lab) == b"SSH-2.0"
    assert cli("service", "uninstall").exit_code == 0
    assert list(agents(cli).iterdir()) == []


def test_where_nobody_is_logged_in_at_the_screen(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    mac.no_screen()
    answer, port = install(cli, sshd)
    assert answer.exit_code == 0, answer.stderr
    job = mac.job(LABEL)
    assert job
    assert job["domain"] == f"user/{os.getuid()}"
    assert banner(port) == b"SSH-2.0"
    assert cli("service", "uninstall").exit_code == 0


def test_the_manual_steps(cli: Cli, mac: FakeLaunchd, sshd: Sshd) -> None:
    """launchd/README.md, followed to the letter in a checkout; of its commands only the alias is filled in."""
    config = sshd.ssh_config("gw", extra=[f"LocalForward {free_port()} 127.0.0.1:{sshd.port}"])
    settings = cli.home / ".config/openclaw-tunnel/tunnels.json5"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'{{ tunnels: {{ gw: {{ target: "gw", sshConfig: "{config}", probe: "tcp" }} }} }}')
    plutil = mac.bin / "plutil"  # of macOS alone
    plutil.write_text(f"#!{sys.executable}\nimport plistlib, sys\nplistlib.load(open(sys.argv[2], 'rb'))\n")
    plutil.chmod(0o755)
    # no OPENCLAW_TUNNEL_HOME: launchd would not hand it down
    path = f"{mac.env['PATH']}:{Path(sys.executable).parent}"
    env = {"HOME": str(cli.home), "FAKE_LAUNCHD": str(mac.folder), "PATH": path}
    checkout = Path(__file__).parents[2]
    manual = (checkout / "launchd/README.md").read_text()
    steps = re.findall(r"^ {3}```\n(.*?)^ {3}```", manual, re.MULTILINE | re.DOTALL)
    assert len(steps) == 6
    for step in (*steps, "openclaw-tunnel service uninstall\n"):
        script = step.replace("YOUR-ALIAS", "gw").replace("gateway-host &&", "gw &&")
        strict = "-uxc" if "while" in script else "-euxc"  # there is no older agent
        done = subprocess.run(
            ["bash", strict, script], env=env, cwd=checkout, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done
        if "bootstrap" in script:
            assert pid(mac)
    assert list(agents(cli).iterdir()) == []
