"""openclaw.json with all that goes into it: which variable wins, and any bytes as any of the files."""

import contextlib
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.openclaw.layers import Loaded, read_openclaw
from openclaw_tunnel.openclaw.settings import load_openclaw
from openclaw_tunnel.settings.resolve import UpOptions, resolve
from support.aio import async_test


def read(home: Path, config: Any = None, cwd: Path | None = None, **env: str) -> Loaded:
    if config is not None:
        folder = home / ".openclaw"
        folder.mkdir(exist_ok=True)
        (folder / "openclaw.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return read_openclaw({"HOME": str(home), **env}, cwd)


def dotenv(path: Path, **values: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return path


def test_who_wins(tmp_path: Path) -> None:
    """The process, .env here, .env of the state folder, gateway.env, env.vars: in this order."""
    cwd = dotenv(tmp_path / "work" / ".env", P="cwd", A="cwd").parent
    state = dotenv(tmp_path / ".openclaw" / ".env", P="state", A="state", B="state")
    gateway = dotenv(tmp_path / ".config/openclaw/gateway.env", P="gw", A="gw", B="gw", C="gw")
    config = {"env": {"vars": {name: "vars" for name in "PABCD"}}}
    loaded = read(tmp_path, config, cwd, P="process")
    assert {name: loaded.env[name] for name in "PABCD"} == {
        "P": "process",
        "A": "cwd",
        "B": "state",
        "C": "gw",
        "D": "vars",
    }
    assert loaded.sources["A"] == str(cwd / ".env")
    assert loaded.sources["B"] == str(state)
    assert loaded.sources["C"] == str(gateway)
    assert loaded.sources["D"] == f"{tmp_path / '.openclaw/openclaw.json'} line 1"
    assert "P" not in loaded.sources


def test_a_working_folder_gives_nothing_of_openclaw_s(tmp_path: Path) -> None:
    cwd = dotenv(
        tmp_path / "work" / ".env", OPENCLAW_GATEWAY_TOKEN="x", openclaw_x="x", LD_PRELOAD="x", PATH="x", OK="x"
    ).parent
    assert set(read(tmp_path, {}, cwd).sources) == {"OK"}


def test_the_state_folder_gives_openclaw_s_variables(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"gateway": {"port": 4}}')
    dotenv(tmp_path / ".openclaw" / ".env", OPENCLAW_CONFIG_PATH=str(other), OPENCLAW_GATEWAY_TOKEN="t")
    loaded = read(tmp_path)
    assert (loaded.path, loaded.env["OPENCLAW_GATEWAY_TOKEN"]) == (other, "t")


def test_what_env_vars_may_set(tmp_path: Path) -> None:
    variables = {
        "OPENCLAW_GATEWAY_TOKEN": "t",
        "BLANK": "v",
        "REFERS": "a-${X}",
        "ESCAPED": "$${X}",
        "EMPTY": " ",
        "OPENCLAW_INCLUDE_ROOTS": "/",
        "PATH": "/evil",
        "DYLD_INSERT_LIBRARIES": "/evil",
        "no-name": "x",
    }
    loaded = read(tmp_path, {"env": {"vars": variables, "OLD": "o", "shellEnv": {"enabled": False}}}, BLANK=" ")
    assert set(loaded.sources) == {"OPENCLAW_GATEWAY_TOKEN", "BLANK", "ESCAPED", "OLD"}


def test_variables_reach_the_settings(tmp_path: Path) -> None:
    config = {
        "env": {"vars": {"PORT_HOST": "gw"}},
        "gateway": {"remote": {"url": "ws://${PORT_HOST}:1", "token": "${NONE}"}},
    }
    found = read(tmp_path, config)
    assert found.document is not None
    assert found.document.value["gateway"]["remote"] == {"url": "ws://gw:1", "token": "${NONE}"}
    assert found.missing == {"NONE": ["gateway.remote.token"]}


@pytest.mark.parametrize(
    ("config", "env", "asks"),
    [
        ({}, {}, False),
        ({"env": {"shellEnv": {"enabled": True}}}, {}, True),
        ({"env": {"shellEnv": {"enabled": False}}}, {}, False),
        ({}, {"OPENCLAW_LOAD_SHELL_ENV": "1"}, True),
        ({}, {"OPENCLAW_LOAD_SHELL_ENV": "0"}, False),
    ],
)
def test_whether_openclaw_would_ask_the_shell(tmp_path: Path, config: Any, env: dict[str, str], asks: bool) -> None:
    assert read(tmp_path, config, None, **env).asks_shell is asks


MISTAKES: list[tuple[Any, str]] = [
    ({"env": 5}, "env must be an object, not a number"),
    ({"env": {"vars": []}}, "env.vars must be an object, not an array"),
    ({"env": {"vars": {"A": 1}}}, "env.vars.A must be a string, not a number"),
    ({"env": {"shellEnv": {"enabled": 1}}}, "env.shellEnv.enabled must be true or false, not a number"),
]


@pytest.mark.parametrize(("config", "words"), MISTAKES)
def test_mistakes(tmp_path: Path, config: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, config)
    assert caught.value.message == f"{tmp_path / '.openclaw/openclaw.json'} line 1: {words}"


def test_the_port(tmp_path: Path) -> None:
    """OPENCLAW_GATEWAY_PORT, gateway.port, the profile's, none: in this order."""
    read(tmp_path, {"gateway": {"port": 5}})
    env = {"HOME": str(tmp_path), "OPENCLAW_PROFILE": "work"}
    assert load_openclaw({**env, "OPENCLAW_GATEWAY_PORT": "x:7"}, tmp_path).gateway_port == 7
    assert load_openclaw({**env, "OPENCLAW_GATEWAY_PORT": "x"}, tmp_path).gateway_port == 5
    read(tmp_path, {})
    assert load_openclaw(env, tmp_path).gateway_port == 41984
    assert load_openclaw({"HOME": str(tmp_path)}, tmp_path).gateway_port is None


@async_test
async def test_up_goes_by_the_same_rules(tmp_path: Path) -> None:
    """Includes, variables and the profile's port count for a tunnel as well."""
    (tmp_path / "ssh_config").touch()
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / ".openclaw" / "r.json").write_text('{"sshTarget": "me@${GW}:2222"}')
    read(tmp_path, {"gateway": {"remote": {"$include": "r.json"}}, "env": {"vars": {"GW": "gateway.example"}}})
    env = {
        "HOME": str(tmp_path),
        "PATH": os.defpath,
        "OPENCLAW_PROFILE": "work",
        "OPENCLAW_TUNNEL_HOME": str(tmp_path / "t"),
        "OPENCLAW_TUNNEL_SSH_CONFIG": str(tmp_path / "ssh_config"),
    }
    spec = (await resolve(UpOptions(), env=env, paths=Paths.from_env(env))).spec
    assert (spec.name, spec.address) == ("work", "me@gateway.example:2222")
    assert str(spec.main) == "127.0.0.1:41984 -> 127.0.0.1:41984"


def test_nothing_secret_shows_in_a_repr(tmp_path: Path) -> None:
    read(tmp_path, {"gateway": {"remote": {"token": "geheim", "url": "ws://u:geheim@h:1"}}})
    found = load_openclaw({"HOME": str(tmp_path), "OPENCLAW_GATEWAY_TOKEN": "geheim"}, tmp_path)
    assert "geheim" not in f"{found!r} {found.loaded!r}"
    assert found.config["gateway"]["remote"]["token"] == "geheim"


NAMES = ("openclaw.json", "a.json", ".env")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["${A}", "$${B}", "a.json", "x", "ws://["]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$include", "gateway", "remote", "env", "vars", "A", "token", "url", "edgeAuth", "port"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
CONTENT = st.binary(max_size=60) | JSON.map(lambda v: json.dumps(v).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.tuples(CONTENT, CONTENT, CONTENT))
def test_any_bytes_end_in_settings_or_config_error(tmp_path: Path, contents: tuple[bytes, ...]) -> None:
    for name, content in zip(NAMES, contents, strict=True):
        (tmp_path / name).write_bytes(content)
    env = {"HOME": str(tmp_path), "OPENCLAW_STATE_DIR": str(tmp_path)}
    with contextlib.suppress(ConfigError):
        assert load_openclaw(env, tmp_path).path == tmp_path / "openclaw.json"


MANY = 100_000
WORST: dict[str, list[bytes]] = {
    "keys of remote": [b'{"gateway":{"remote":{' + b",".join(b'"%06d":0' % n for n in range(MANY)) + b"}}}"],
    "wide text": [b'{"gateway":{"a":"' + "\U0001f600".encode() * 500_000 + b'"}}'],
    "deep": [b'{"gateway":' + b"[" * 149_000],
    "includes": [
        b'{"gateway":{"$include":["a.json"],' + b",".join(b'"k%06d":0' % n for n in range(MANY // 2)) + b"}}",
        b"{" + b",".join(b'"%06d":0' % n for n in range(MANY // 2)) + b"}",
    ],
    "an include in each": [
        b'{"gateway":[' + b",".join([b'{"$include":"a.json"}'] * 2000) + b"]}",
        b"[" + b",".join([b"{}"] * 2000) + b"]",
    ],
    "substitutions": [b'{"gateway":["' + b"${A}" * 140_000 + b'"]}', b"{}", b"A=" + b"x" * 1_000_000],
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_files_take_less_than_64_megabytes(tmp_path: Path, name: str) -> None:
    for file, content in zip(NAMES, WORST[name], strict=False):
        (tmp_path / file).write_bytes(content)
    tracemalloc.start()
    try:
        with contextlib.suppress(ConfigError):
            load_openclaw({"HOME": str(tmp_path), "OPENCLAW_STATE_DIR": str(tmp_path)}, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024 * 1024
