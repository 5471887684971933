"""LaunchAgents as a stand-in for launchctl and real property lists tell of them."""

import plistlib
import textwrap
from pathlib import Path

import pytest

from openclaw_tunnel.host.ports.launchagents import LaunchAgent, read_arguments, ssh_agents

SSH = ["/usr/bin/ssh", "-N", "remote-gateway"]


def launchctl(folder: Path, known: str, printed: str) -> dict[str, str]:
    """The environment of a user whose launchctl knows the one job ``known``."""
    program = folder / "launchctl"
    text = textwrap.indent(printed, "    ")
    program.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "print {known}" ] || exit 113\ncat <<"END"\n{textwrap.dedent(text)}\nEND\n'
    )
    program.chmod(0o755)
    return {"HOME": str(folder), "PATH": f"{folder}:/usr/bin:/bin"}


def plist(folder: Path, label: str, arguments: object = SSH) -> Path:
    file = folder / f"Library/LaunchAgents/{label}.plist"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(plistlib.dumps({"Label": label, "ProgramArguments": arguments}))
    return file


PRINTED = "gui/501/ai.openclaw.ssh-tunnel = {\n\tstate = running\n\targuments = {\n\t\tpid = 7\n\t}\n\tpid = 4242\n}"


def test_a_job_that_runs(tmp_path: Path) -> None:
    env = launchctl(tmp_path, "gui/501/ai.openclaw.ssh-tunnel", PRINTED)
    label = "ai.openclaw.ssh-tunnel"
    file = plist(tmp_path, label)
    assert ssh_agents(env, 501) == (LaunchAgent(label, "gui/501", tuple(SSH), str(file), 4242),)
    file.unlink()
    assert ssh_agents(env, 501) == (LaunchAgent(label, "gui/501", pid=4242),)


def test_a_job_of_the_old_name_in_the_other_domain(tmp_path: Path) -> None:
    env = launchctl(tmp_path, "user/501/com.openclaw.ssh-tunnel", "\tstate = not running")
    assert ssh_agents(env, 501) == (LaunchAgent("com.openclaw.ssh-tunnel", "user/501"),)


def test_a_file_that_launchd_does_not_know(tmp_path: Path) -> None:
    env = launchctl(tmp_path, "gui/501/other", "")
    file = plist(tmp_path, "com.openclaw.ssh-tunnel")
    assert ssh_agents(env, 501) == (LaunchAgent("com.openclaw.ssh-tunnel", "gui/501", tuple(SSH), str(file)),)


def test_without_launchctl_there_are_none(tmp_path: Path) -> None:
    plist(tmp_path, "ai.openclaw.ssh-tunnel")
    assert ssh_agents({"HOME": str(tmp_path), "PATH": str(tmp_path)}, 501) == ()


@pytest.mark.parametrize(
    "data", [b"", b"<plist", b"bplist00garbage", plistlib.dumps([1]), plistlib.dumps({"ProgramArguments": [1]})]
)
def test_a_broken_file_has_no_arguments(data: bytes) -> None:
    assert read_arguments(data) == ()
