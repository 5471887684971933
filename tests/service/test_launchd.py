"""LaunchAgents, installed into a launchd that runs them: its exit codes, its delays, and what runs afterwards."""

import os
import plistlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.errors import ConfigError, ServiceError
from openclaw_tunnel.service.launchd import Launchd
from openclaw_tunnel.service.manager import Rival
from openclaw_tunnel.service.render import render_plain_plist
from openclaw_tunnel.service.spec import LABEL, LEGACY_LABEL, PlainSpec, ServiceSpec
from support.fakelaunchd import FakeLaunchd
from support.waiting import free_port, wait_until


@dataclass
class Mac:
    """A home with a launchd, and our side of it."""

    home: Path
    launchd: FakeLaunchd

    @property
    def manager(self) -> Launchd:
        # an hour of patience costs the tests a minute: every pause is a twentieth
        env = {**self.launchd.env, "HOME": str(self.home)}
        return Launchd(env, launchctl=str(self.launchd.bin / "launchctl"), sleep=lambda s: time.sleep(s / 20))

    @property
    def agents(self) -> Path:
        return self.home / "Library/LaunchAgents"

    def program(self, text: str = "exec sleep 600", name: str = "openclaw-tunnel") -> str:
        path = self.home / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def spec(self, name: str = "default", listen: tuple[Endpoint, ...] = ()) -> ServiceSpec:
        return ServiceSpec(name, self.program(), ("gw",), log_dir=str(self.home / "logs"), listen=listen)

    def install(self, spec: ServiceSpec, rivals: list[Rival] | None = None) -> None:
        self.manager.install(spec, rivals or [], self.home / "backup")

    def old_agent(self, label: str = LABEL, mode: int = 0o644) -> Path:
        """The documented agent, loaded and running."""
        plist = plistlib.loads(render_plain_plist(PlainSpec("default", ("-N", "gw"), program="/bin/ssh")).encode())
        plist |= {"Label": label, "ProgramArguments": [self.program(name="ssh"), "-N", "gw"]}
        self.agents.mkdir(parents=True, exist_ok=True)
        path = self.agents / f"{label}.plist"
        path.write_bytes(plistlib.dumps(plist))
        path.chmod(mode)
        self.manager._load(f"gui/{os.getuid()}", label, path)
        wait_until(lambda: self.pid(label), 10, "the old agent")
        return path

    def pid(self, label: str = LABEL) -> int | None:
        job = self.launchd.job(label)
        return job["pid"] if job else None


@pytest.fixture
def mac(tmp_path: Path) -> Iterator[Mac]:
    launchd = FakeLaunchd(tmp_path)
    yield Mac(tmp_path, launchd)
    launchd.end()


def verbs(mac: Mac) -> list[str]:
    return [call.split()[0] for call in mac.launchd.calls() if not call.startswith("print")]


def test_install_in_the_right_order(mac: Mac) -> None:
    mac.install(mac.spec())
    path = mac.agents / f"{LABEL}.plist"
    assert path.stat().st_mode & 0o777 == 0o644
    assert verbs(mac) == ["enable", "bootout", "bootout", "bootstrap"]
    assert mac.pid()
    state = mac.manager.state("default")
    assert (state.installed, state.loaded, state.running, state.pid) == (True, True, True, mac.pid())
    assert state.words == "running"
    assert mac.manager.names() == ["default"]


def test_install_again_waits_until_the_old_job_is_gone(mac: Mac) -> None:
    mac.launchd.linger_on(0.5)
    mac.install(mac.spec())
    first = mac.pid()
    mac.install(mac.spec())
    assert mac.pid() not in (None, first)


def test_without_a_login_at_the_screen(mac: Mac) -> None:
    mac.launchd.no_screen()
    mac.install(mac.spec())
    job = mac.launchd.job(LABEL)
    assert job
    assert job["domain"] == f"user/{os.getuid()}"


@pytest.mark.parametrize("code", [5, 36, 37])
def test_bootstrap_is_tried_again_while_it_may_pass(mac: Mac, code: int) -> None:
    mac.launchd.refuse("bootstrap", code, code)
    mac.install(mac.spec())
    assert verbs(mac).count("bootstrap") == 3
    assert mac.pid()


@pytest.mark.parametrize("code", [3, 64, 78, 112, 113, 119, 125, 99])
def test_other_refusals_are_told_at_once(mac: Mac, code: int) -> None:
    mac.launchd.refuse("bootstrap", code)
    with pytest.raises(ServiceError, match=rf"launchctl bootstrap: {code}: ") as refusal:
        mac.install(mac.spec())
    assert refusal.value.hint
    assert verbs(mac).count("bootstrap") == 1


def test_a_refusal_that_does_not_pass(mac: Mac) -> None:
    mac.launchd.refuse("bootstrap", *[5] * 99)
    with pytest.raises(ServiceError, match="input/output error"):
        mac.install(mac.spec())
    assert verbs(mac).count("bootstrap") == 30


@pytest.mark.parametrize("code", [5, 37, 150])
def test_refusals_of_bootout(mac: Mac, code: int) -> None:
    mac.install(mac.spec())
    before = mac.pid()
    mac.launchd.refuse("bootout", code)
    with pytest.raises(ServiceError, match=f"launchctl bootout: {code}"):
        mac.manager.stop("default")
    assert mac.pid() == before


def test_a_job_that_does_not_go_away(mac: Mac) -> None:
    """36 says that it is on its way; that it is gone is believed only when print says so."""
    mac.install(mac.spec())
    mac.launchd.refuse("bootout", 36)
    with pytest.raises(ServiceError, match=r"still has .* after 30 s") as refusal:
        mac.manager.stop("default")
    assert "launchctl kill SIGKILL" in refusal.value.hint


def test_one_that_was_switched_off_is_switched_on(mac: Mac) -> None:
    mac.manager._ask("disable", f"gui/{os.getuid()}/{LABEL}")
    mac.install(mac.spec())
    assert mac.pid()


@pytest.mark.parametrize("label", [LABEL, LEGACY_LABEL, "ai.openclaw.tunnel", "com.example.mine"])
def test_the_documented_agent_is_found_and_replaced(mac: Mac, label: str) -> None:
    path = mac.old_agent(label)
    text = path.read_bytes()
    rivals = mac.manager.rivals("default", "gw")
    assert [(r.unit, r.path) for r in rivals] == [(label, path)]
    assert rivals[0].about.endswith("ssh -N gw")
    mac.install(mac.spec(), rivals)
    assert (mac.home / "backup" / path.name).read_bytes() == text
    assert sorted(p.name for p in mac.agents.iterdir()) == [f"{LABEL}.plist"]
    assert mac.pid()
    if label != LABEL:
        assert mac.launchd.job(label) is None
    assert mac.manager.rivals("default", "gw") == []


def test_agents_of_others_are_left_alone(mac: Mac) -> None:
    mac.old_agent("com.example.mine")
    (mac.agents / "broken.plist").write_text("<plist")
    (mac.agents / "odd.plist").write_bytes(plistlib.dumps({"Label": "odd", "ProgramArguments": 1}))
    assert mac.manager.rivals("default", "another-host") == []


@pytest.mark.parametrize("code", [5, 119])
def test_what_ran_before_runs_again_where_the_new_one_is_not_taken(mac: Mac, code: int) -> None:
    path = mac.old_agent()
    text = path.read_bytes()
    mac.launchd.refuse("bootstrap", *([5] * 30 if code == 5 else [code]))
    with pytest.raises(ServiceError, match="what ran before runs again"):
        mac.install(mac.spec(), mac.manager.rivals("default", "gw"))
    assert path.read_bytes() == text
    wait_until(mac.pid, 10, "the old agent")


def test_what_ran_before_runs_again_after_ctrl_c(mac: Mac) -> None:
    path = mac.old_agent()
    text = path.read_bytes()
    presses = iter([KeyboardInterrupt])

    def sleep(seconds: float) -> None:
        if "bootstrap" in verbs(mac)[1:]:  # the first was that of the old agent
            for press in presses:
                raise press
        time.sleep(seconds / 20)

    mac.launchd.refuse("bootstrap", 5)
    manager = Launchd(
        {"HOME": str(mac.home), **mac.launchd.env}, launchctl=str(mac.launchd.bin / "launchctl"), sleep=sleep
    )
    with pytest.raises(KeyboardInterrupt):
        manager.install(mac.spec(), manager.rivals("default", "gw"), mac.home / "backup")
    assert path.read_bytes() == text
    wait_until(mac.pid, 10, "the old agent")


def test_what_ran_before_runs_again_where_the_new_one_cannot_run(mac: Mac) -> None:
    mac.install(mac.spec())
    old = (mac.agents / f"{LABEL}.plist").read_bytes()
    spec = ServiceSpec("default", mac.program(name="gone"), ("gw",), log_dir=str(mac.home / "logs"))
    os.truncate(spec.program, 0)  # an executable that the kernel refuses
    with pytest.raises(ServiceError, match=r"does not run.*78: EX_CONFIG.*what ran before runs again") as refusal:
        mac.install(spec)
    assert "Login Items" in refusal.value.hint
    assert (mac.agents / f"{LABEL}.plist").read_bytes() == old
    wait_until(mac.pid, 10, "the old service")


def test_what_can_be_known_before_is_said_before(mac: Mac) -> None:
    mac.old_agent()
    with pytest.raises(ServiceError, match="cannot be run"):
        mac.install(ServiceSpec("default", "/nowhere/openclaw-tunnel", log_dir=str(mac.home / "logs")))
    (mac.home / "file").touch()
    with pytest.raises(ConfigError):
        mac.install(ServiceSpec("default", mac.program(), log_dir=str(mac.home / "file")))
    assert mac.pid()
    assert "bootout" not in verbs(mac)[3:]


def test_stop_start_restart_uninstall(mac: Mac) -> None:
    mac.install(mac.spec())
    first = mac.pid()
    mac.manager.stop("default")
    assert mac.launchd.job(LABEL) is None
    assert mac.manager.state("default").words == "not loaded"
    mac.manager.start("default")
    second = mac.pid()
    assert second not in (None, first)
    mac.manager.start("default")  # it runs already: no error
    assert mac.pid() == second
    assert mac.manager.uninstall("default", mac.home / "backup") == [mac.agents / f"{LABEL}.plist"]
    assert mac.launchd.job(LABEL) is None
    assert list(mac.agents.iterdir()) == []
    assert "<key>RunAtLoad</key>" in (mac.home / f"backup/{LABEL}.plist").read_text()
    for act in (lambda name: mac.manager.uninstall(name, mac.home), mac.manager.start, mac.manager.stop):
        with pytest.raises(ServiceError, match="no service for the tunnel default"):
            act("default")
    assert mac.manager.state("default").words == "not installed"


def test_on_demand_is_loaded_and_waits(mac: Mac) -> None:
    listen = (Endpoint("127.0.0.1", free_port()),)
    mac.install(mac.spec(listen=listen))
    assert mac.pid() is None
    state = mac.manager.state("default")
    assert state.waits
    assert state.words == "not running"


def test_there_is_no_launchctl(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be run") as refusal:
        Launchd({"HOME": str(tmp_path)}, launchctl="/nowhere/launchctl").state("default")
    assert "up -d" in refusal.value.hint
