"""openclaw/remote_host.py: what the settings of another computer say of the gateway there."""

import json
from typing import Any

import pytest

from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.openclaw.remote_host import (
    RemoteFile,
    RemoteGateway,
    RemoteSettings,
    absolute_variables,
    candidates,
    read_remote_gateway,
)

HOME = {"HOME": "/home/me"}
PATH = "/home/me/.openclaw/openclaw.json"


def far(config: Any = None, *, env: dict[str, str] | None = None, path: str = PATH, **files: str) -> RemoteGateway:
    """The gateway of a home with this openclaw.json; ``files`` are other files, by what follows the state folder."""
    there = {} if config is None else {path: config if isinstance(config, str) else json.dumps(config)}
    there |= {f"/home/me/.openclaw/{name}": text for name, text in files.items()}
    found = {name: RemoteFile(name, text.encode()) for name, text in there.items()}
    folders = frozenset({"/home/me/.openclaw"}) if found else frozenset[str]()
    return read_remote_gateway(RemoteSettings("/home/me", {**HOME, **(env or {})}, found, folders))


def auth(**values: Any) -> dict[str, Any]:
    return {"gateway": {"auth": values}}


def test_nothing_there_says_nothing() -> None:
    assert far() == RemoteGateway()
    assert far({}) == RemoteGateway(path=PATH)


def test_what_a_client_needs() -> None:
    text = """{ // mine
      gateway: { port: 4321, mode: 'local', bind: 'loopback', tls: {enabled: true},
                 auth: { mode: 'token', token: ' geheim ' } } }"""
    found = far(text)
    assert found == RemoteGateway(
        path=PATH,
        port=4321,
        auth_mode="token",
        token=Secret("geheim"),
        token_source="gateway.auth.token",
        mode="local",
        tls=True,
    )
    assert "geheim" not in repr(found)


def test_secrets_do_not_show_in_what_was_read() -> None:
    settings = RemoteSettings("/h", {"OPENCLAW_GATEWAY_TOKEN": "geheim"}, {"/f": RemoteFile("/f", b"geheim")})
    assert "geheim" not in repr(settings)


@pytest.mark.parametrize(
    ("config", "env", "files", "port"),
    [
        ({"gateway": {"port": 1}}, {"OPENCLAW_GATEWAY_PORT": "0.0.0.0:2"}, {}, 2),
        ({"gateway": {"port": 1}}, {}, {".env": "OPENCLAW_GATEWAY_PORT=3"}, 3),
        ({"env": {"vars": {"OPENCLAW_GATEWAY_PORT": "4"}}}, {}, {}, 4),
        ({"gateway": {"port": 1}}, {"OPENCLAW_PROFILE": "foo"}, {}, 1),
        (None, {"OPENCLAW_PROFILE": "foo"}, {}, 47223),
    ],
)
def test_the_port(config: Any, env: dict[str, str], files: dict[str, str], port: int) -> None:
    found = far(config, env=env, **files)
    assert (found.port, found.problem) == (port, "")


def credential(found: RemoteGateway) -> tuple[str, str, str, str]:
    return (found.auth_mode, found.token.reveal() if found.token else "", found.token_source, found.token_problem)


@pytest.mark.parametrize(
    ("config", "env", "files", "expected"),
    [
        (auth(token="a"), {"OPENCLAW_GATEWAY_TOKEN": "e"}, {}, ("token", "a", "gateway.auth.token", "")),
        ({}, {"OPENCLAW_GATEWAY_TOKEN": "e"}, {}, ("token", "e", "OPENCLAW_GATEWAY_TOKEN", "")),
        (
            None,
            {},
            {".env": "OPENCLAW_GATEWAY_TOKEN='d'"},
            ("token", "d", "OPENCLAW_GATEWAY_TOKEN of /home/me/.openclaw/.env", ""),
        ),
        (
            None,
            {"OPENCLAW_GATEWAY_TOKEN": "e"},
            {".env": "OPENCLAW_GATEWAY_TOKEN=d"},
            ("token", "e", "OPENCLAW_GATEWAY_TOKEN", ""),
        ),
        (
            auth(token="${OPENCLAW_T}"),
            {},
            {".env": "OPENCLAW_T=d"},
            ("token", "d", "gateway.auth.token", ""),
        ),
        (
            {**auth(token={"source": "env", "provider": "default", "id": "TOK"}), "env": {"vars": {"TOK": "v"}}},
            {},
            {},
            ("token", "v", f"TOK of {PATH} line 1", ""),
        ),
        (auth(token="$${OPENCLAW_T}"), {}, {}, ("token", "${OPENCLAW_T}", "gateway.auth.token", "")),
        (
            auth(token="${MY_TOKEN}"),
            {"OPENCLAW_GATEWAY_TOKEN": "e"},
            {},
            ("token", "", "", "is kept in the variable MY_TOKEN, which cannot be read from here"),
        ),
        (
            auth(token={"source": "file", "provider": "vault", "id": "/t"}),
            {},
            {},
            ("token", "", "", "is kept in a reference (file:vault:/t), which cannot be read from here"),
        ),
        (
            auth(token="__OPENCLAW_REDACTED__"),
            {},
            {},
            ("token", "", "", "holds the placeholder that OpenClaw shows in place of a secret"),
        ),
        (auth(mode="none"), {}, {}, ("none", "", "", "")),
    ],
)
def test_the_token(
    config: Any, env: dict[str, str], files: dict[str, str], expected: tuple[str, str, str, str]
) -> None:
    found = far(config, env=env, **files)
    assert credential(found) == expected
    assert found.problem == ""


def test_a_password_and_which_of_both_is_asked_for() -> None:
    found = far(auth(password="p"))
    assert (found.auth_mode, found.password, found.password_source) == (
        "password",
        Secret("p"),
        "gateway.auth.password",
    )
    both = far(auth(password="p", token="t"))
    assert (both.auth_mode, both.token, both.password) == ("", Secret("t"), Secret("p"))
    assert far(auth(mode="password", password="p", token="t")).auth_mode == "password"


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"$include": "./gateway.json"}, "a part of it"),
        ({"gateway": {"$include": "./gateway.json"}}, "gateway"),
        (auth(**{"$include": "./auth.json"}), "gateway.auth"),
    ],
)
def test_an_include_is_not_followed_and_that_is_said(config: Any, what: str) -> None:
    found = far(config)
    assert found.problem == f"{PATH}: {what} is in another file ($include), which is not read from here"
    assert found.token_problem == ("" if what != "gateway.auth" else found.problem.partition("gateway.auth ")[2])


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ("{", f"{PATH} line 1, column 2: "),
        ('{"gateway": {"port": "x"}}', f"{PATH} line 1: gateway.port must be a port"),
        ('{"gateway": 7}', f"{PATH} line 1: gateway must be an object"),
        ('{"gateway": {"auth": {"mode": 7}}}', f"{PATH} line 1: gateway.auth.mode must be a string"),
        ('{"env": {"vars": {"A": 7}}}', f"{PATH} line 1: env.vars.A must be a string"),
        ("x" * (2 * 1024 * 1024 + 1), f"{PATH} is larger than 2 MiB"),
        ('{"gateway":' + '{"a":' * 900 + "1" + "}" * 901, f"{PATH} "),
    ],
)
def test_what_cannot_be_used_is_said_and_the_environment_still_counts(config: str, what: str) -> None:
    found = far(config, env={"OPENCLAW_GATEWAY_TOKEN": "e"})
    assert found.path == PATH
    assert found.problem.startswith(what)
    assert (found.token, found.token_source) == (Secret("e"), "OPENCLAW_GATEWAY_TOKEN")


def test_a_file_that_may_not_be_read() -> None:
    shut = RemoteFile(PATH, problem="cannot be read by this account")
    found = read_remote_gateway(RemoteSettings("/home/me", HOME, {PATH: shut}))
    assert found == RemoteGateway(path=PATH, problem=f"{PATH} cannot be read by this account")
    assert read_remote_gateway(RemoteSettings(problem="gw runs no commands")) == RemoteGateway(
        problem="gw runs no commands"
    )


@pytest.mark.parametrize(
    ("env", "path"),
    [
        ({}, "/home/me/.clawdbot/clawdbot.json"),
        ({"OPENCLAW_STATE_DIR": "/srv/oc"}, "/srv/oc/openclaw.json"),
        ({"OPENCLAW_STATE_DIR": "/srv/oc"}, "/srv/oc/clawdbot.json"),
        ({"OPENCLAW_CONFIG_PATH": "~/my.json5", "OPENCLAW_STATE_DIR": "/srv/oc"}, "/home/me/my.json5"),
        ({"OPENCLAW_HOME": "/opt/x"}, "/opt/x/.openclaw/openclaw.json"),
    ],
)
def test_every_file_openclaw_would_read_is_looked_for_and_found(env: dict[str, str], path: str) -> None:
    folders, files = candidates({**HOME, **env})
    assert path in files
    content = {path: RemoteFile(path, b'{"gateway": {"port": 9}}')}
    there = frozenset({path.rpartition("/")[0]} & set(folders))
    assert read_remote_gateway(RemoteSettings("/home/me", {**HOME, **env}, content, there)).port == 9


def test_the_env_files_are_looked_for() -> None:
    assert candidates(HOME)[1][-2:] == ("/home/me/.openclaw/.env", "/home/me/.config/openclaw/gateway.env")


def test_a_relative_path_starts_over_there() -> None:
    env = {"OPENCLAW_STATE_DIR": "oc", "OPENCLAW_CONFIG_PATH": "/a", "OPENCLAW_HOME": "~/x", "OPENCLAW_X": "oc"}
    assert absolute_variables(env) == {**env, "OPENCLAW_STATE_DIR": "~/oc"}
