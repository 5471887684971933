"""``service`` without a service manager: what is printed, asked and refused. Also actions/install_service.py,
daemon/service_main.py."""

import os
import pty
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

import openclaw_tunnel
from openclaw_tunnel.actions.install_service import service_spec
from openclaw_tunnel.actions.service_manager import find_program, manager_of, stop_services
from openclaw_tunnel.errors import ServiceError
from openclaw_tunnel.service.launchd import Launchd
from openclaw_tunnel.service.systemd import Systemd
from openclaw_tunnel.settings.up_options import UpOptions
from support.cli import Cli, command, environment
from support.faketool import Tool
from support.launchdkeys import mistakes
from support.process import Child
from support.serviceexamples import FILES
from support.waiting import free_port, wait_until

PROGRAM = find_program()


@pytest.fixture
def systemctl(cli: Cli) -> Tool:
    """A systemctl and a loginctl that only answer."""
    bin_folder = cli.home / "bin"
    bin_folder.mkdir()
    cli.env["PATH"] = f"{bin_folder}:{os.environ['PATH']}"
    Tool(bin_folder, "loginctl").answer(show_user=(0, "no\n", ""))
    return Tool(bin_folder)


def example(cli: Cli, path: str) -> str:
    """The example, with the program and the environment of this user."""
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={PROGRAM}", FILES[path], flags=re.MULTILINE)
    where = f'Environment="OPENCLAW_TUNNEL_HOME={cli.tunnel_home}"\n'
    where += f'Environment="OPENCLAW_TUNNEL_SSH_CONFIG={cli.home}/ssh_config"\n'
    return text.replace("ExecStart=", f"{where}ExecStart=", 1)


def test_print_is_what_the_examples_show(cli: Cli) -> None:
    answer = cli("service", "print", "--systemd", "gateway-host")
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == example(cli, "systemd/openclaw-tunnel.service")
    assert not (cli.home / ".config").exists()


def test_print_on_demand_names_each_file(cli: Cli) -> None:
    answer = cli("service", "print", "--systemd", "gateway-host", "--on-demand")
    folder = f"# {cli.home}/.config/systemd/user/"
    further = "ListenStream=[::1]:18789\n"  # where there is IPv6; the example has to start everywhere
    assert answer.stdout.replace(further, "") == (
        f"{folder}openclaw-tunnel.service\n{example(cli, 'systemd/on-demand/openclaw-tunnel.service')}\n"
        f"{folder}openclaw-tunnel.socket\n{FILES['systemd/on-demand/openclaw-tunnel.socket']}"
    )
    nowhere = cli("service", "print", "--systemd", "--on-demand")
    assert nowhere.exit_code == 2
    assert "give TARGET" in nowhere.stderr


def test_print_for_the_other_system(cli: Cli) -> None:
    answer = cli("service", "print", "--launchd", "me@host", "-n", "lab", "-p", "28789")
    assert mistakes(answer.stdout) == []
    assert "<string>ai.openclaw.ssh-tunnel.lab</string>" in answer.stdout
    assert f"<string>{PROGRAM}</string>" in answer.stdout
    system = cli("service", "print", "--system", "me@host")
    assert "User=openclaw-tunnel" in system.stdout
    assert "OPENCLAW_TUNNEL_HOME" not in system.stdout
    assert cli("service", "print", "--system", "--launchd", "me@host").exit_code == 2
    assert cli("service", "print", "--system").exit_code == 2


@pytest.mark.parametrize(
    "options",
    [UpOptions(target="me@host", identity="/home/me/file"), UpOptions(target="me@host", ssh_config="/home/me/file")],
)
def test_a_service_of_the_whole_computer_sees_no_home(options: UpOptions) -> None:
    assert service_spec(options, None, "systemd", on_demand=False, system=False).arguments[-1] == "/home/me/file"
    with pytest.raises(ServiceError, match=r"/home/me/file .* lies in a home") as refusal:
        service_spec(options, None, "systemd", on_demand=False, system=True)
    assert "/var/lib/openclaw-tunnel/.ssh" in refusal.value.hint


def test_print_plain_ssh(cli: Cli) -> None:
    for kind, path in (
        ("--launchd", "launchd/plain-ssh/ai.openclaw.ssh-tunnel.plist"),
        ("--systemd", "systemd/plain-ssh/openclaw-tunnel.service"),
    ):
        assert cli("service", "print", kind, "--plain-ssh").stdout == FILES[path]
        assert cli("service", "print", kind, "--plain-ssh", "remote-gateway").stdout == FILES[path]
    config = cli.home / "ssh_config"
    config.write_text("Host remote-gateway\n  LocalForward 18789 127.0.0.1:18789\n")
    alias = cli("service", "print", "--systemd", "--plain-ssh", "remote-gateway")
    assert (alias.stdout, alias.stderr) == (FILES["systemd/plain-ssh/openclaw-tunnel.service"], "")
    without = cli("service", "print", "--systemd", "--plain-ssh", "another")
    assert "LocalForward 127.0.0.1:18789 127.0.0.1:18789\n" in without.stderr
    key = cli.home / "key"
    key.touch()
    host = cli("service", "print", "--systemd", "--plain-ssh", "me@host", "-i", key, "-L", "80:a:80").stdout
    assert (
        f"ExecStart=/usr/bin/ssh -N -i {key} -L localhost:18789:127.0.0.1:18789 -L 127.0.0.1:80:a:80 me@host\n" in host
    )


def test_a_secret_is_in_no_file_and_said_to_be_missing(cli: Cli, systemctl: Tool) -> None:
    secret = {"OPENCLAW_GATEWAY_TOKEN": "hunter2hunter2", "SSH_AUTH_SOCK": "/tmp/agent.1"}
    answer = cli("service", "install", "me@host", "-p", str(free_port()), "--on-demand", env=secret)
    assert answer.exit_code == 0, answer.stderr
    assert "does not see OPENCLAW_GATEWAY_TOKEN" in answer.stderr
    written = "".join(path.read_text() for path in (cli.home / ".config/systemd/user").iterdir())
    assert "hunter2" not in written + answer.stdout + answer.stderr
    assert "agent.1" not in written


def test_linger_is_told_of_and_turned_on_where_wanted(cli: Cli, systemctl: Tool) -> None:
    loginctl = systemctl.folder / "loginctl.calls"
    target = ("service", "install", "me@host", "-p", str(free_port()), "--on-demand")
    answer = cli(*target)
    assert "to run it from boot on" in answer.stderr
    assert "enable-linger" not in loginctl.read_text()
    assert "linger is on" in cli(*target, "--yes").stdout
    assert "enable-linger" in loginctl.read_text()


@pytest.mark.parametrize(("word", "code"), [("n", 1), ("y", 0)])
def test_a_question_on_a_terminal(cli: Cli, systemctl: Tool, word: str, code: int) -> None:
    unit = cli.home / ".config/systemd/user/openclaw-tunnel.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/bin/ssh -N x\n")
    target = command("service", "install", "me@host", "-p", str(free_port()), "--on-demand")
    ours, theirs = pty.openpty()
    child = Child(target, cli.home / "log", environment(cli.home, cli.env), terminal=theirs)
    os.close(theirs)
    try:
        seen = ""
        while "[y/N]" not in seen:
            seen += os.read(ours, 1000).decode()
        assert "which runs: /usr/bin/ssh -N x" in seen
        os.write(ours, f"{word}\nn\n".encode())
        assert child.wait(20) == code
    finally:
        child.kill()
        os.close(ours)
    assert ("/usr/bin/ssh" in unit.read_text()) == bool(code)
    assert bool(list((cli.tunnel_home / "replaced").rglob(unit.name))) == (not code)


def test_one_on_demand_only(cli: Cli, systemctl: Tool) -> None:
    """One process is the daemon, and only the one that was given the port can open its tunnel."""
    first = ("service", "install", "me@host", "-p", str(free_port()))
    assert cli(*first, "--on-demand").exit_code == 0
    systemctl.answer(show=(0, "ActiveState=active\n", ""))
    second = cli("service", "install", "me@host", "-n", "lab", "-p", str(free_port()))
    assert second.exit_code == 2
    assert "there is one for default" in second.stderr


def test_where_there_is_no_service(cli: Cli, systemctl: Tool) -> None:
    systemctl.answer(is_active=(3, "inactive\n", ""))
    for verb in ("start", "stop", "restart", "uninstall"):
        answer = cli("service", verb)
        assert answer.exit_code == 40
        assert "no service is installed" in answer.stderr
        assert cli("service", verb, "lab").exit_code == 40
    assert cli("service", "status").exit_code == 3
    assert cli("service", "status", "lab").exit_code == 3


def test_systemd_refuses(cli: Cli, systemctl: Tool) -> None:
    systemctl.answer(daemon_reload=(1, "", "Failed to connect to bus: No medium found"))
    answer = cli("service", "install", "me@host", "-p", str(free_port()))
    assert answer.exit_code == 40
    assert answer.stderr.startswith("error: the systemd of this user cannot be reached")
    assert "\n\nhint: " in answer.stderr


def test_a_tunnel_stays_open_where_no_service_can_take_it_over(cli: Cli, systemctl: Tool) -> None:
    port, target = free_port(), f"me@127.0.0.1:{free_port()}"
    assert cli("up", "-d", target, "-p", str(port)).exit_code == 20
    systemctl.answer(show=(1, "", "System has not been booted with systemd as init system (PID 1)."))
    answer = cli("service", "install", target, "-p", str(port))
    assert answer.exit_code == 40
    assert answer.stderr.startswith("error: systemd does not run on this computer")
    assert cli("status").exit_code == 1


def test_the_version_that_is_installed(cli: Cli, tmp_path: Path) -> None:
    """The daemon goes on with the old one, and `status` says what to do about it."""
    shutil.copytree(Path(openclaw_tunnel.__file__).parent, tmp_path / "openclaw_tunnel")
    cli.env["PYTHONPATH"] = str(tmp_path)
    assert cli("up", "-d", f"me@127.0.0.1:{free_port()}", "-p", str(free_port())).exit_code == 20
    assert "is installed" not in cli("status").stderr
    init = tmp_path / "openclaw_tunnel/__init__.py"
    init.write_text(re.sub(r'__version__ = ".*"', '__version__ = "99.1"', init.read_text()))
    assert "note: version 99.1 is installed, and " in cli("status").stderr
    daemon = cli("status", "--json").json()["daemon"]
    assert (daemon["installed"], daemon["version"]) == ("99.1", openclaw_tunnel.__version__)


def test_which_manager(tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    assert isinstance(manager_of(env), Systemd)
    Tool(tmp_path, "launchctl")
    assert isinstance(manager_of(env), Launchd)
    with pytest.raises(ServiceError, match="--system is for systemd"):
        manager_of(env, system=True)
    assert stop_services({}, ["default"]) == []


def test_which_program(tmp_path: Path) -> None:
    mine = tmp_path / "openclaw-tunnel"
    mine.touch(mode=0o755)
    assert find_program([str(mine)], {}) == str(mine)
    beside = str(Path(sys.executable).parent / "openclaw-tunnel")
    assert find_program(["/x/__main__.py"], {}) == beside
    assert find_program(["/gone/openclaw-tunnel"], {}) == beside


def test_down_asks_the_manager(cli: Cli, systemctl: Tool) -> None:
    """The unit is stopped, not the tunnel under it; a tunnel beside it is closed as ever."""
    folder = cli.home / ".config/systemd/user"
    folder.mkdir(parents=True)
    (folder / "openclaw-tunnel.service").write_text("[Service]\n")
    child = cli.start(
        "service", "run", f"me@127.0.0.1:{free_port()}", "-p", str(free_port()), env={"NOTIFY_SOCKET": "/nowhere"}
    )
    wait_until(lambda: cli("status").exit_code == 1, 15, "the service")
    assert cli("up", "-d", f"me@127.0.0.1:{free_port()}", "-n", "x", "-p", str(free_port())).exit_code == 20
    assert cli("down", "x").stdout == "closed: x\n"
    assert systemctl.calls() == []
    assert cli("down").stdout == "closed: default\n"
    assert systemctl.calls() == ["stop openclaw-tunnel.service"]
    assert cli("status").exit_code == 1  # this systemctl only says that it did
    systemctl.answer(stop=(1, "", "Access denied"))
    assert cli("down").exit_code == 40
    assert child.end_with(signal.SIGTERM) == 0
