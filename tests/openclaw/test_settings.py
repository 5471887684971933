"""openclaw.json: which file it is, and what is taken from it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import parse_document
from openclaw_tunnel.openclaw.paths import config_file, openclaw_home
from openclaw_tunnel.openclaw.settings import OpenClawSettings, load_openclaw, pick_settings
from openclaw_tunnel.ssh_config.tokens import home_of

FILE = Path("/f")


def pick(text: str) -> OpenClawSettings:
    return pick_settings(parse_document(str(FILE), text.encode(), "hint"), FILE)


def remote(**keys: Any) -> str:
    return json.dumps({"gateway": {"remote": keys}}, indent=2)


WHERE: list[tuple[dict[str, str], set[str], str]] = [
    ({}, set(), "/home/me/.openclaw/openclaw.json"),
    ({"OPENCLAW_HOME": "/srv/oc"}, set(), "/srv/oc/.openclaw/openclaw.json"),
    ({"OPENCLAW_HOME": "~/oc"}, set(), "/home/me/oc/.openclaw/openclaw.json"),
    ({"OPENCLAW_HOME": " undefined "}, set(), "/home/me/.openclaw/openclaw.json"),
    ({"OPENCLAW_STATE_DIR": " ~/state "}, set(), "/home/me/state/openclaw.json"),
    ({"OPENCLAW_STATE_DIR": "~/s", "OPENCLAW_HOME": "/oc"}, set(), "/oc/s/openclaw.json"),
    ({"OPENCLAW_CONFIG_PATH": "~/c.json", "OPENCLAW_STATE_DIR": "/s"}, set(), "/home/me/c.json"),
    ({"OPENCLAW_CONFIG_PATH": "~"}, set(), "/home/me"),
    ({"OPENCLAW_CONFIG_PATH": "null", "OPENCLAW_STATE_DIR": "/s"}, set(), "/s/openclaw.json"),
    ({"OPENCLAW_PROFILE": "work"}, set(), "/home/me/.openclaw/openclaw.json"),
    ({}, {"/home/me/.clawdbot"}, "/home/me/.clawdbot/openclaw.json"),
    ({}, {"/home/me/.clawdbot", "/home/me/.clawdbot/clawdbot.json"}, "/home/me/.clawdbot/clawdbot.json"),
    ({}, {"/home/me/.clawdbot", "/home/me/.openclaw"}, "/home/me/.openclaw/openclaw.json"),
    ({"OPENCLAW_STATE_DIR": "/s"}, {"/s/clawdbot.json"}, "/s/clawdbot.json"),
    ({"OPENCLAW_STATE_DIR": "/s"}, {"/s/clawdbot.json", "/s/openclaw.json"}, "/s/openclaw.json"),
]


@pytest.mark.parametrize(("env", "existing", "wanted"), WHERE)
def test_which_file(env: dict[str, str], existing: set[str], wanted: str) -> None:
    found = config_file({"HOME": "/home/me", **env}, lambda path: str(path) in existing)
    assert str(found) == wanted


def test_home_without_variables() -> None:
    assert openclaw_home({"HOME": ""}) == Path(home_of())


def test_no_file_is_no_settings(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    assert load_openclaw(env) == OpenClawSettings(tmp_path / ".openclaw" / "openclaw.json")
    assert load_openclaw(env).loaded.document is None


def test_all_settings(tmp_path: Path) -> None:
    file = tmp_path / "c.json5"
    file.write_text(
        """{ // everything a tunnel needs
          gateway: { mode: "remote", port: 19001, auth: { token: "t" }, remote: {
            url: "ws://127.0.0.1:28789/path", sshTarget: " ssh me@gw:2222 ", sshIdentity: "~/.ssh/k",
            remotePort: 18790, transport: "ssh", token: { source: "env", provider: "default", id: "T" } } },
          agents: [],
        }"""
    )
    assert load_openclaw({"OPENCLAW_CONFIG_PATH": str(file)}) == OpenClawSettings(
        path=file,
        gateway_port=19001,
        remote_url="ws://127.0.0.1:28789/path",
        remote_ssh_target="me@gw:2222",
        remote_ssh_identity="~/.ssh/k",
        remote_port=18790,
        transport="ssh",
        mode="remote",
    )


def test_empty_strings_count_as_absent() -> None:
    assert pick(remote(url="", sshTarget=" ", sshIdentity="")) == OpenClawSettings(FILE)


URLS = {
    "ws://127.0.0.1:18789": 18789,
    "wss://gw.example": None,
    "ws://[::1]:9/": 9,
    "http://gw:80": 80,
    "WS://GW:1": 1,
}


@pytest.mark.parametrize(("url", "port"), URLS.items())
def test_port_of_the_url(url: str, port: int | None) -> None:
    assert pick(remote(url=url)).remote_url_port == port


def test_no_url_has_no_port() -> None:
    assert pick("{}").remote_url_port is None


@pytest.mark.parametrize(
    "url", ["gw:1", "127.0.0.1", "ftp://gw", "ws://", "ws://gw:0", "ws://gw:99999", "ws://gw:x", "ws://["]
)
def test_a_url_that_leads_nowhere(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pick(remote(url=url))
    assert caught.value.message == "/f line 4: gateway.remote.url is not the URL of a gateway"
    assert "openclaw config set gateway.remote.url" in caught.value.hint


def test_a_url_s_credentials_stay_out_of_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        pick(remote(url="ws://me:geheim@gw:x"))
    assert "geheim" not in caught.value.message + caught.value.hint


MISTAKES: list[tuple[str, str]] = [
    ('{"gateway": 1}', "line 1: gateway must be an object, not a number"),
    ('{"gateway": {\n"remote": []}}', "line 2: gateway.remote must be an object, not an array"),
    ('{"gateway":\n {"port":\n 0}}', "line 2: gateway.port must be a port from 1 to 65535, not 0"),
    ('{"gateway": {"mode": "far"}}', 'line 1: gateway.mode must be one of "local", "remote", not "far"'),
    (remote(remotePort="1"), 'line 4: gateway.remote.remotePort must be a port from 1 to 65535, not "1"'),
    (remote(transport="tls"), 'line 4: gateway.remote.transport must be one of "ssh", "direct", not "tls"'),
    (remote(url=[]), "line 4: gateway.remote.url must be a string, not an array"),
    (remote(sshTarget=None), "line 4: gateway.remote.sshTarget must be a string, not null"),
    (remote(url="ws://a", sshIdentity={}), "line 5: gateway.remote.sshIdentity must be a string, not an object"),
]


@pytest.mark.parametrize(("text", "words"), MISTAKES)
def test_mistakes(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pick(text)
    assert caught.value.message == f"/f {words}"
    assert caught.value.hint == "hint"


@pytest.mark.parametrize(
    "target", ["-oProxyCommand=id", "ssh -oProxyCommand=id", "me@", "a b", "me@gw:0", "ssh://a:b@c"]
)
def test_a_target_that_is_none(target: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pick(remote(sshTarget=target))
    assert caught.value.message.startswith("/f line 4: gateway.remote.sshTarget cannot be used: ")
    assert "openclaw config set gateway.remote.sshTarget" in caught.value.hint


def test_a_broken_file_names_itself(tmp_path: Path) -> None:
    file = tmp_path / "openclaw.json"
    file.write_text('{\n  "gateway": {\n')
    with pytest.raises(ConfigError) as caught:
        load_openclaw({"OPENCLAW_STATE_DIR": str(tmp_path)})
    assert caught.value.message == f"{file} line 3, column 1: Unexpected end of input"
    assert caught.value.hint == "check the file with: openclaw config validate"


KEYS = st.sampled_from(
    ["gateway", "remote", "port", "url", "sshTarget", "sshIdentity", "remotePort", "transport", "mode"]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["ws://[::1", "ssh a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)


@given(st.binary(max_size=100) | JSON.map(lambda v: json.dumps({"gateway": v}).encode()))
def test_any_content_ends_in_settings_or_config_error(data: bytes) -> None:
    try:
        settings = pick_settings(parse_document("/f", data, "hint"), FILE)
    except ConfigError:
        return
    assert settings.path == FILE
    assert settings.remote_url_port is None or 0 < settings.remote_url_port < 65536
