"""The SSH agent that services get, as their manager tells."""

import os
from pathlib import Path

import pytest

from openclaw_tunnel.service.agentenv import agent_of_services, to_pass_on
from support.faketool import Tool


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("said", "socket"),
    [
        ("LANG=C\nSSH_AUTH_SOCK=/run/user/1/agent\n", "/run/user/1/agent"),
        ("SSH_AUTH_SOCK=$'/run/a b'\n", "/run/a b"),
        ("LANG=C\nNOT_SSH_AUTH_SOCK=/x\n", ""),
    ],
)
def test_systemd(tmp_path: Path, env: dict[str, str], said: str, socket: str) -> None:
    tool = Tool(tmp_path)
    tool.answer(show_environment=(0, said, ""))
    assert agent_of_services("systemd", env) == socket
    tool.answer(show_environment=(1, said, "no bus"))
    assert agent_of_services("systemd", env) is None


def test_launchd(tmp_path: Path, env: dict[str, str]) -> None:
    tool = Tool(tmp_path, "launchctl")
    tool.answer(getenv=(0, "/private/tmp/com.apple.launchd.x/Listeners\n", ""))
    assert agent_of_services("launchd", env) == "/private/tmp/com.apple.launchd.x/Listeners"
    tool.answer(getenv=(0, "", ""))
    assert agent_of_services("launchd", env) == ""


def test_no_manager_at_all(tmp_path: Path) -> None:
    assert agent_of_services("launchd", {"PATH": str(tmp_path)}) is None


def test_how_to_pass_an_agent_on() -> None:
    assert to_pass_on("systemd", "/a") == "systemctl --user import-environment SSH_AUTH_SOCK"
    assert to_pass_on("launchd", "/a") == "launchctl setenv SSH_AUTH_SOCK /a"
