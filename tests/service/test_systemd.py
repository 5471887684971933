"""What is asked of systemctl, and what its refusals mean. tests/real/test_systemd.py has what systemd does with it."""

from pathlib import Path

import pytest

from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.errors import ExitCode, ServiceError
from openclaw_tunnel.service.manager import ask
from openclaw_tunnel.service.spec import ServiceSpec
from openclaw_tunnel.service.systemd import Linger, Systemd
from support.faketool import Tool

UNIT = "openclaw-tunnel.service"
SOCKET = "openclaw-tunnel.socket"


@pytest.fixture
def systemctl(tmp_path: Path) -> Tool:
    return Tool(tmp_path)


def systemd(tool: Tool) -> Systemd:
    return Systemd({"HOME": str(tool.folder), "XDG_RUNTIME_DIR": "/nowhere"}, systemctl=str(tool.path))


def spec(name: str = "default", *listen: Endpoint) -> ServiceSpec:
    return ServiceSpec(name, "/bin/openclaw-tunnel", ("gw",), listen=listen)


def units(tool: Tool) -> list[str]:
    return sorted(path.name for path in (tool.folder / ".config/systemd/user").iterdir())


def test_install_and_uninstall(systemctl: Tool, tmp_path: Path) -> None:
    manager = systemd(systemctl)
    manager.install(spec(), [], tmp_path / "b")
    assert systemctl.calls() == ["daemon-reload", f"reset-failed {UNIT}", f"enable {UNIT}", f"restart {UNIT}"]
    assert units(systemctl) == [UNIT]
    assert manager.names() == ["default"]
    assert manager.uninstall("default", tmp_path / "b") == [tmp_path / ".config/systemd/user" / UNIT]
    assert units(systemctl) == []
    assert systemctl.calls()[4:6] == [f"disable --now {UNIT}", "daemon-reload"]


def test_from_on_demand_to_always_and_back(systemctl: Tool, tmp_path: Path) -> None:
    manager = systemd(systemctl)
    manager.install(spec("default", Endpoint("127.0.0.1", 18789)), [], tmp_path / "b")
    assert units(systemctl) == [UNIT, SOCKET]
    assert systemctl.calls()[-2:] == [f"enable {SOCKET}", f"restart {SOCKET}"]
    assert f"stop {UNIT}" in systemctl.calls()  # it holds the port that the socket is to have
    manager.install(spec(), [], tmp_path / "b")
    assert units(systemctl) == [UNIT]
    assert f"disable --now {SOCKET}" in systemctl.calls()
    assert systemctl.calls()[-1] == f"restart {UNIT}"


def test_socket_and_service_are_stopped_together(systemctl: Tool, tmp_path: Path) -> None:
    manager = systemd(systemctl)
    manager.install(spec("lab", Endpoint("127.0.0.1", 18789)), [], tmp_path / "b")
    manager.stop("lab")
    manager.start("lab")
    manager.restart("lab")
    names = "openclaw-tunnel@lab.socket openclaw-tunnel@lab.service"
    done = [call for call in systemctl.calls()[-5:] if not call.startswith("reset-failed")]
    assert done == [f"stop {names}", f"start {names}", "restart openclaw-tunnel@lab.service"]


def test_what_was_changed_by_hand_is_kept(systemctl: Tool, tmp_path: Path) -> None:
    manager = systemd(systemctl)
    unit, backup = tmp_path / ".config/systemd/user" / UNIT, tmp_path / "state/replaced"
    manager.install(spec(), [], backup / "1")
    manager.install(spec(), [], backup / "1")
    assert not backup.exists()
    edited = unit.read_text().replace("RestartSec=1\n", "RestartSec=7\n")
    unit.write_text(edited)
    manager.install(spec(), [], backup / "2")
    assert "RestartSec=1\n" in unit.read_text()
    unit.write_text(edited)
    manager.uninstall("default", backup / "3")
    for folder in (backup / "2", backup / "3"):
        assert (folder / UNIT).read_text() == edited
        assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_not_there(systemctl: Tool) -> None:
    manager = systemd(systemctl)
    systemctl.answer(is_active=(3, "inactive\n", ""))
    assert manager.names() == []
    assert manager.state("lab").words == "not installed"
    for act in (manager.start, manager.stop, manager.restart, lambda name: manager.uninstall(name, systemctl.folder)):
        with pytest.raises(ServiceError, match="no service for the tunnel lab") as refusal:
            act("lab")
        assert "service install" in refusal.value.hint


def test_an_instance_of_a_template_that_was_put_there_by_hand(systemctl: Tool, tmp_path: Path) -> None:
    manager = systemd(systemctl)
    folder = tmp_path / ".config/systemd/user"
    wants = folder / "default.target.wants"
    wants.mkdir(parents=True)
    (folder / "openclaw-tunnel@.service").touch()
    systemctl.answer(is_active=(3, "inactive\n", ""))
    assert not manager.state("lab").installed
    unit = "openclaw-tunnel@lab.service"
    systemctl.answer(is_active=(0, "active\n", ""))
    manager.stop("lab")
    systemctl.answer(is_active=(3, "inactive\n", ""))
    (wants / unit).symlink_to(folder / "openclaw-tunnel@.service")
    assert manager.names() == ["lab"]
    assert manager.state("lab").installed
    manager.stop("lab")
    assert systemctl.calls().count(f"stop {unit}") == 2
    assert manager.uninstall("lab", tmp_path / "b") == [wants / unit]
    assert f"disable --now {unit}" in systemctl.calls()
    assert units(systemctl) == ["default.target.wants", "openclaw-tunnel@.service"]


def test_one_that_runs_can_be_stopped_when_its_file_is_gone(systemctl: Tool) -> None:
    systemd(systemctl).stop("default")
    assert systemctl.calls()[-1] == f"stop {SOCKET} {UNIT}"


def test_state_in_words(systemctl: Tool, tmp_path: Path) -> None:
    manager = systemd(systemctl)
    manager.install(spec(), [], tmp_path / "b")
    shown = "MainPID=42\nResult=success\nStatusText=default is up\nActiveState=active\nSubState=running\n"
    systemctl.answer(show=(0, f"{shown}UnitFileState=enabled\n", ""))
    state = manager.state("default")
    assert (state.running, state.pid) == (True, 42)
    assert state.words == "active (running); starts at login; default is up"
    shown = (
        "MainPID=0\nResult=exit-code\nExecMainStatus=70\nActiveState=failed\nSubState=failed\nUnitFileState=disabled\n"
    )
    systemctl.answer(show=(0, shown, ""))
    state = manager.state("default")
    assert (state.running, state.pid) == (False, None)
    assert state.words == "failed (failed); not enabled; exit-code, exit code 70"
    shown = shown.replace("ActiveState=failed\nSubState=failed", "ActiveState=activating\nSubState=auto-restart")
    systemctl.answer(show=(0, shown, ""))
    assert not manager.state("default").running


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("System has not been booted with systemd as init system (PID 1).", "systemd does not run", "up -d"),
        ("Failed to connect to bus: No medium found", "cannot be reached", "loginctl enable-linger"),
        (
            "Failed to connect to bus: $DBUS_SESSION_BUS_ADDRESS and $XDG_RUNTIME_DIR not defined",
            "reached",
            "log in as",
        ),
        ("Failed to restart unit: Access denied", "Access denied", f"sudo systemctl restart {UNIT}"),
        ("Job for openclaw-tunnel.service failed.", "Job for", f"journalctl --user -u {UNIT} -n 20"),
    ],
)
def test_refusals(systemctl: Tool, tmp_path: Path, said: str, message: str, hint: str) -> None:
    systemctl.answer(restart=(1, "", said))
    with pytest.raises(ServiceError) as refusal:
        systemd(systemctl).install(spec(), [], tmp_path / "b")
    assert refusal.value.exit_code is ExitCode.SERVICE
    assert message in refusal.value.message
    assert hint in refusal.value.hint


def test_nothing_is_written_where_systemd_does_not_answer(systemctl: Tool, tmp_path: Path) -> None:
    systemctl.answer(show=(1, "", "Failed to connect to bus: No medium found"))
    with pytest.raises(ServiceError):
        systemd(systemctl).install(spec(), [], tmp_path / "b")
    assert not (tmp_path / ".config").exists()


def test_linger(tmp_path: Path) -> None:
    tool = Tool(tmp_path, "loginctl")
    linger = Linger({}, loginctl=str(tool.path))
    for said, answer in (("yes\n", True), ("no\n", False)):
        tool.answer(show_user=(0, said, ""))
        assert linger.is_on() is answer
    tool.answer(show_user=(1, "", "User ID 1 is not logged in or lingering"))
    assert linger.is_on() in (None, True)  # the second where the account that tests lingers in truth
    linger.turn_on()
    assert tool.calls()[-1].startswith("enable-linger ")
    tool.answer(enable_linger=(1, "", "Could not enable linger: Access denied"))
    with pytest.raises(ServiceError, match="Access denied") as refusal:
        linger.turn_on()
    assert "sudo loginctl enable-linger" in refusal.value.hint
    assert Linger({}, loginctl="/nowhere/loginctl").is_on() is None


def test_a_tool_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"sleep 60 did not answer within 0\.05 s"):
        ask(["sleep", "60"], {"PATH": "/usr/bin:/bin"}, timeout=0.05)
