"""Where OpenClaw's files are, and what its variables and profiles mean."""

from pathlib import Path

import pytest

from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.openclaw.paths import (
    config_file,
    dotenv_files,
    environment_port,
    include_roots,
    profile_environment,
    profile_of,
    profile_port,
)

HOME = {"HOME": "/home/me"}
GATEWAY_ENV = "/home/me/.config/openclaw/gateway.env"

DOTENV: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["/home/me/.openclaw/.env", GATEWAY_ENV]),
    ({"OPENCLAW_STATE_DIR": "/s"}, ["/s/.env"]),
    ({"OPENCLAW_STATE_DIR": "~/.openclaw"}, ["/home/me/.openclaw/.env", GATEWAY_ENV]),
    ({"OPENCLAW_CONFIG_PATH": "/c/x.json"}, ["/c/.env", GATEWAY_ENV]),
    ({"OPENCLAW_STATE_DIR": "/s", "OPENCLAW_CONFIG_PATH": "/c/x.json"}, ["/s/.env"]),
    ({"OPENCLAW_HOME": "/oc"}, ["/oc/.openclaw/.env", "/oc/.config/openclaw/gateway.env"]),
]


@pytest.mark.parametrize(("env", "files"), DOTENV)
def test_which_env_files(env: dict[str, str], files: list[str]) -> None:
    assert [str(path) for path in dotenv_files({**HOME, **env})] == files


def test_include_roots() -> None:
    text = "/a:~/b: :relative:/a/../c:x\0y"
    assert include_roots({**HOME, "OPENCLAW_INCLUDE_ROOTS": text}) == (Path("/a"), Path("/home/me/b"), Path("/c"))
    assert include_roots(HOME) == ()


PROFILES = {
    "work": "work",
    " Work-1 ": "Work-1",
    "default": "",
    "DEFAULT": "",
    "": "",
    "a b": "",
    "-a": "",
    "a" * 65: "",
}


@pytest.mark.parametrize(("text", "name"), PROFILES.items())
def test_profiles(text: str, name: str) -> None:
    assert profile_of({"OPENCLAW_PROFILE": text}) == name


def test_ports_of_profiles() -> None:
    """Measured: what ``openclaw --profile NAME`` listens on."""
    assert (profile_port("foo"), profile_port("work")) == (47223, 41984)


def test_what_a_profile_moves() -> None:
    env = profile_environment("work", HOME)
    assert env["OPENCLAW_PROFILE"] == "work"
    assert str(config_file(env)) == "/home/me/.openclaw-work/openclaw.json"
    assert [str(p) for p in dotenv_files(env)] == ["/home/me/.openclaw-work/.env"]


def test_what_is_set_stays_under_a_profile() -> None:
    state = profile_environment("work", {**HOME, "OPENCLAW_STATE_DIR": "~/s"})
    assert str(config_file(state)) == "/home/me/s/openclaw.json"
    both = profile_environment("work", {**HOME, "OPENCLAW_CONFIG_PATH": "/c.json"})
    assert str(config_file(both)) == "/c.json"
    assert both["OPENCLAW_STATE_DIR"] == "/home/me/.openclaw-work"
    assert profile_environment("Default", HOME) == HOME


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "a" * 65])
def test_names_that_are_no_profiles(name: str) -> None:
    with pytest.raises(UsageError, match=r"^not a profile"):
        profile_environment(name, HOME)


PORTS: dict[str, int | None] = {
    "18789": 18789,
    " 1 ": 1,
    "127.0.0.1:19001": 19001,
    "host:65535": 65535,
    "[::1]:8080": 8080,
    "": None,
    "0": None,
    "65536": None,
    "9" * 30: None,
    "::1": None,
    "::1:80": None,
    ":80": None,
    "host:": None,
    "x": None,
    "+1": None,
    "1_0": None,
    "\u0661": None,
}


@pytest.mark.parametrize(("text", "port"), PORTS.items())
def test_the_port_of_the_environment(text: str, port: int | None) -> None:
    assert environment_port({"OPENCLAW_GATEWAY_PORT": text}) == port
