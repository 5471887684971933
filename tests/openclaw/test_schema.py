"""The strict schema of gateway.remote, and all that is wrong with a file at once."""

import json
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import parse_document
from openclaw_tunnel.openclaw.settings import pick_settings
from openclaw_tunnel.settings.check import MOST, openclaw_problems, parts, tunnels_problems


def check(remote: Any, auth: Any = None) -> None:
    text = json.dumps({"gateway": {"remote": remote, "auth": auth or {}}}).encode()
    pick_settings(parse_document("/f", text, "hint"), Path("/f"))


REF = {"source": "env", "provider": "default", "id": "TOKEN"}
VALID: list[dict[str, Any]] = [
    {},
    {"url": "", "token": "", "password": "p"},
    {"token": REF, "password": {"source": "file", "provider": "f_1-a", "id": "/a/~0~1"}},
    {"token": {"source": "file", "provider": "f", "id": "value"}},
    {"token": {"source": "exec", "provider": "x", "id": "vault/openai#key"}},
    {"token": {"source": "store", "provider": "default", "id": "TOKEN"}},
    {"transport": "direct", "remotePort": 65535, "sshHostKeyPolicy": "openssh", "sshIdentity": "~/k"},
    {"tlsFingerprint": "sha256:" + "ab" * 32, "edgeAuth": {"CF-Access-Client-Id": "x", "X": REF}},
]


@pytest.mark.parametrize("remote", VALID)
def test_valid(remote: dict[str, Any]) -> None:
    check(remote)


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"tokn": "t"}, "tokn is not a known key", "did you mean token? "),
    ({"ssh_target": "a"}, "ssh_target is not a known key", "did you mean sshTarget? "),
    ({"foo": 1}, "foo is not a known key", "known keys: url, transport, remotePort, token"),
    ({"token": 12345}, "token must be a string or a SecretRef, not a number", "put it in quotes"),
    ({"password": None}, "password must be a string or a SecretRef, not null", ""),
    ({"token": {"source": "env", "id": "A"}}, "token is a SecretRef without provider", "a SecretRef has source"),
    ({"token": {}}, "token is a SecretRef without source", ""),
    ({"token": {**REF, "what": 1}}, "token.what is not a known key", "known keys: source, provider, id"),
    ({"token": {**REF, "source": "vault"}}, "token.source must be one of env, file, exec, store", ""),
    ({"token": {**REF, "source": 1}}, "token.source must be a string, not a number", ""),
    ({"token": {**REF, "provider": "Big"}}, "token.provider must be small letters", ""),
    ({"token": {**REF, "id": "small"}}, "token.id is not of the form that a provider of source env takes", ""),
    ({"token": {**REF, "source": "exec", "id": "a/../b"}}, "token.id is not of the form", ""),
    ({"token": {**REF, "source": "file", "id": "a"}}, "token.id is not of the form", ""),
    ({"edgeAuth": []}, "edgeAuth must be an object, not an array", ""),
    ({"edgeAuth": {}}, "edgeAuth must name at least one header", ""),
    ({"edgeAuth": {"a b": "x"}}, 'edgeAuth."a b" is not the name of a header', ""),
    ({"edgeAuth": {"Host": "x"}}, "edgeAuth.Host is a header that the connection itself sets", ""),
    ({"edgeAuth": {"Sec-WebSocket-Key": "x"}}, "edgeAuth.Sec-WebSocket-Key is a header that", ""),
    ({"edgeAuth": {"X-A": "x", "x-a": "y"}}, "edgeAuth.x-a is there twice", ""),
    ({"edgeAuth": {"X": 1}}, "edgeAuth.X must be a string or a SecretRef, not a number", ""),
    ({"remotePort": 0}, "remotePort must be a port from 1 to 65535, not 0", ""),
    ({"sshHostKeyPolicy": "off"}, 'sshHostKeyPolicy must be one of "strict", "openssh", not "off"', ""),
    ({"tlsFingerprint": 1}, "tlsFingerprint must be a string, not a number", ""),
]


@pytest.mark.parametrize(("remote", "words", "hint"), MISTAKES)
def test_mistakes(remote: dict[str, Any], words: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(remote)
    assert caught.value.message.startswith(f"/f line 1: gateway.remote.{words}")
    assert caught.value.hint.startswith(hint)


def test_the_gateway_s_own_credentials() -> None:
    check({}, {"token": REF, "mode": "trusted-proxy"})
    with pytest.raises(ConfigError, match=r"gateway\.auth\.token must be a string or a SecretRef, not a number"):
        check({}, {"token": 5})
    with pytest.raises(ConfigError, match=r'gateway\.auth\.mode must be one of "none"'):
        check({}, {"mode": "both"})


def test_no_message_holds_a_credential() -> None:
    for auth in ({"token": ["geheim"]}, {"password": {"geheim": "geheim"}}, {"token": {"source": "env"}}):
        with pytest.raises(ConfigError) as caught:
            check({}, auth)
        assert '"geheim' not in caught.value.message


def test_each_value_alone() -> None:
    assert list(parts({"a": {"b": {"c": 1, "d": 2}}, "e": {}, "f": 3}, 2)) == [
        {"a": {"b": {"c": 1, "d": 2}}},
        {"e": {}},
        {"f": 3},
    ]
    assert list(parts({"a": {"b": 1, "c": 2}}, 9)) == [{"a": {"b": 1}}, {"a": {"c": 2}}]


def test_every_error_of_openclaw_json(tmp_path: Path) -> None:
    file = tmp_path / "openclaw.json"
    env = {"OPENCLAW_CONFIG_PATH": str(file), "HOME": str(tmp_path)}
    assert openclaw_problems(env, None) == []
    file.write_text('{gateway: {\nmode: "far",\nport: 0,\nremote: {\ntokn: 1,\nurl: "x",\ntoken: {source: "env"}}}}')
    found = [error.message.removeprefix(f"{file} ") for error in openclaw_problems(env, None)]
    assert [words.partition(": ")[0] for words in found] == ["line 2", "line 3", "line 5", "line 6", "line 7"]
    file.write_text('{gateway: {remote: {token: "t", sshTarget: "me@gw"}}, agents: {x: 1}}')
    assert openclaw_problems(env, None) == []
    file.write_text("{gateway: {")
    assert len(openclaw_problems(env, None)) == 1


def test_every_error_of_tunnels_json5(tmp_path: Path) -> None:
    file = tmp_path / "tunnels.json5"
    assert tunnels_problems(file) == []
    file.write_text('{tunnels: {\na: {localPort: 0,\nbind: "x"},\n"b c": {},\nd: {policy: {\nhold: -1}}},\nmore: 1}')
    found = [error.message.removeprefix(f"{file} ") for error in tunnels_problems(file)]
    assert [words.partition(": ")[0] for words in found] == ["line 2", "line 3", "line 4", "line 6", "line 7"]
    file.write_text("{policy: {backoffFirst: 50, backoffMax: 5}}")
    assert "backoffFirst larger than backoffMax" in "".join(e.message for e in tunnels_problems(file))
    file.write_text("{policy: {backoffFirst: 5}}")
    assert tunnels_problems(file) == []
    file.write_text("[")
    assert len(tunnels_problems(file)) == 1


def test_what_only_goes_wrong_together(tmp_path: Path) -> None:
    file = tmp_path / "tunnels.json5"
    file.write_text("{policy: {backoffFirst: 50, backoffMax: 40}, tunnels: {}}")
    assert [e.message for e in tunnels_problems(file)] == [
        f"{file} line 1: policy.backoffFirst leaves backoffFirst larger than backoffMax"
    ]


def test_there_is_an_end_to_it(tmp_path: Path) -> None:
    file = tmp_path / "tunnels.json5"
    file.write_text(json.dumps({f"k{n}": 1 for n in range(MOST + 20)}))
    assert len(tunnels_problems(file)) == MOST
