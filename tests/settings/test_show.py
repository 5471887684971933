"""What every setting comes to: URLs without what is secret in them, and every number of the policy."""

from dataclasses import fields
from pathlib import Path

import pytest

from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.show import Setting, all_settings, safe_url
from openclaw_tunnel.settings.tunnels_file import POLICY_KEYS

URLS = {
    "ws://u:p@h:1/x?token=t#f": "ws://h:1/x",
    "wss://[::1]:2": "wss://[::1]:2",
    "ws://h": "ws://h",
    "ws://u:p@h:x": "(not a URL)",
    "ws://[": "(not a URL)",
    "": "://",
}


@pytest.mark.parametrize(("text", "shown"), URLS.items())
def test_urls(text: str, shown: str) -> None:
    assert safe_url(text) == shown


def test_every_number_of_the_policy_has_a_key() -> None:
    assert set(POLICY_KEYS.values()) == {f.name for f in fields(Policy)}


def test_all_tunnels_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "tunnels.json5"
    file.write_text('{ tunnels: { a: { target: "x" }, b: { identity: "k" } }, policy: { dialGap: 2 } }')
    env = {"HOME": str(tmp_path)}
    found = {s.name: (s.value, s.source) for s in all_settings(Settings.load(env, file, tmp_path), env)}
    assert found["tunnels.a.target"] == ("x", f"{file} line 1")
    assert found["tunnels.a.identity"] == (None, "not set")
    assert found["tunnels.b.identity"] == (str(tmp_path / "k"), f"{file} line 1")
    assert found["tunnels.b.policy.dialGap"] == (2.0, f"{file} line 1")
    assert found["tunnels.b.localPort"] == (18789, "default")
    assert "tunnels.default.target" not in found


def test_what_is_forwarded_beside_the_gateway_s_port(tmp_path: Path) -> None:
    file = tmp_path / "tunnels.json5"
    file.write_text("{ tunnels: { a: { localPort: 'auto', extraPorts: false,\n browserControl: true }, b: {} } }")
    env = {"HOME": str(tmp_path)}
    found = {s.name: (s.value, s.source) for s in all_settings(Settings.load(env, file, tmp_path), env)}
    assert found["tunnels.a.localPort"] == ("auto", f"{file} line 1")
    assert found["tunnels.a.extraPorts"] == (False, f"{file} line 1")
    assert found["tunnels.a.browserControl"] == (True, f"{file} line 2")
    assert found["tunnels.b.extraPorts"] == (True, "default")
    assert found["tunnels.b.browserControl"] == (False, "default")


def test_a_switch_that_is_off_is_said_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "tunnels.json5"
    file.write_text("{ tunnels: { a: { allowRemoteClients: false,\n hold: 3, forwards: ['1:b:2'], probe: 'tcp' } },\n}")
    env = {"HOME": str(tmp_path)}
    found = {s.name: (s.value, s.source) for s in all_settings(Settings.load(env, file, tmp_path), env)}
    assert found["tunnels.a.allowRemoteClients"] == (False, f"{file} line 1")
    assert found["tunnels.a.policy.hold"] == (3.0, f"{file} line 2")
    assert found["tunnels.a.forwards"] == (["127.0.0.1:1 -> b:2"], f"{file} line 2")
    assert found["tunnels.a.probe"] == ("tcp", f"{file} line 2")
    assert "tunnels.a.hold" not in found


def test_whom_a_tunnel_tells(tmp_path: Path) -> None:
    file = tmp_path / "tunnels.json5"
    file.write_text(
        "{ tunnels: { a: { notifications: true,\n hooks: { up: ['say', 'a b'], down: false } }, b: {} },\n"
        "notifications: false, hooks: { down: ['gone'] } }"
    )
    file.chmod(0o600)
    env = {"HOME": str(tmp_path)}
    found = {s.name: (s.value, s.source) for s in all_settings(Settings.load(env, file, tmp_path), env)}
    assert found["tunnels.a.notifications"] == (True, f"{file} line 1")
    assert found["tunnels.a.hooks.up"] == ("say 'a b'", f"{file} line 2")
    assert found["tunnels.a.hooks.down"] == (None, f"{file} line 2")
    assert found["tunnels.b.notifications"] == (False, f"{file} line 3")
    assert found["tunnels.b.hooks.down"] == ("gone", f"{file} line 3")
    assert found["tunnels.b.hooks.failure"] == (None, "not set")


def test_what_openclaw_has_is_shown_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "openclaw.json"
    file.write_text(
        "{ gateway: { port: 5,\n remote: { url: 'ws://u:p@h:1',\n edgeAuth: { 'X-B': 'secret', 'X-A': 's' } } } }"
    )
    (tmp_path / "work").mkdir()
    (tmp_path / ".env").write_text("OPENCLAW_GATEWAY_URL=wss://u:p@h/?token=t\n")
    env = {"HOME": str(tmp_path), "OPENCLAW_STATE_DIR": str(tmp_path)}

    def found(**more: str) -> dict[str, Setting]:
        read = Settings.load({**env, **more}, tmp_path / "none", tmp_path / "work")
        return {setting.name: setting for setting in all_settings(read, {**env, **more})}

    plain = found()
    assert plain["gateway.port"] == Setting("gateway.port", 5, f"{file} line 1")
    assert (plain["gateway.remote.url"].value, plain["gateway.remote.url"].source) == ("ws://h:1", f"{file} line 2")
    assert (plain["gateway.remote.edgeAuth"].value, plain["gateway.remote.edgeAuth"].words) == (
        ["X-A", "X-B"],
        "X-A, X-B",
    )
    assert plain["OPENCLAW_GATEWAY_URL"].value == "wss://h/"
    assert plain["OPENCLAW_GATEWAY_URL"].source == f"env OPENCLAW_GATEWAY_URL, from {tmp_path}/.env"
    assert found(OPENCLAW_GATEWAY_PORT="7")["gateway.port"].source == "env OPENCLAW_GATEWAY_PORT"
    file.write_text("{}")
    assert found(OPENCLAW_PROFILE="foo")["gateway.port"].source == "profile foo"


WORDS = [(None, "not set"), (True, "yes"), (False, "no"), ([], "none"), (["a", "b"], "a, b"), (2.0, "2"), (5, "5")]


@pytest.mark.parametrize(("value", "words"), WORDS)
def test_a_value_in_words(value: bool | float | list[str] | None, words: str) -> None:
    assert Setting("x", value, "").words == words
