"""``config`` (settings/show_credentials.py): as a user runs it. No secret is ever shown, nor how long it is."""

import json
from typing import Any

import pytest

from support.cli import Cli

SECRET = "geheim-4711-lang"


def write(cli: Cli, openclaw: Any = None, tunnels: str | None = None, **files: str) -> None:
    folder = cli.home / ".openclaw"
    folder.mkdir(exist_ok=True)
    if openclaw is not None:
        text = openclaw if isinstance(openclaw, str) else json.dumps(openclaw, indent=1)
        (folder / "openclaw.json").write_text(text)
    if tunnels is not None:
        cli.tunnel_home.mkdir(exist_ok=True)
        (cli.tunnel_home / "tunnels.json5").write_text(tunnels)
    for name, content in files.items():
        (folder / name).write_text(content)


def shown(cli: Cli, *args: str, **env: str) -> dict[str, Any]:
    answer = cli("config", "show", "--json", *args, env=env)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert SECRET not in answer.stdout
    found: dict[str, Any] = answer.json()
    return found


def setting(found: dict[str, Any], name: str) -> tuple[Any, str]:
    (one,) = (s for s in found["settings"] if s["name"] == name)
    return one["value"], one["source"]


REMOTE = {
    "meta": {"lastTouchedVersion": "2026.9.6"},
    "gateway": {
        "mode": "remote",
        "remote": {
            "$include": "./more.json5",
            "url": f"ws://user:{SECRET}@127.0.0.1:28789/x?token={SECRET}",
            "edgeAuth": {"X-Edge": SECRET},
            "token": SECRET,
        },
    },
}


def test_every_setting_with_its_source(cli: Cli) -> None:
    write(cli, REMOTE, "{ tunnels: {\n default: { localPort: 1234,\n policy: { hold: 3 } } } }")
    (cli.home / ".openclaw" / "more.json5").write_text('{\n sshTarget: "me@gw" }')
    (cli.home / ".openclaw" / ".env").write_text("OPENCLAW_GATEWAY_PORT=19005\n")
    found = shown(cli)
    openclaw, tunnels = cli.home / ".openclaw" / "openclaw.json", cli.tunnel_home / "tunnels.json5"
    assert found["version"] == 1
    assert setting(found, "gateway.mode") == ("remote", f"{openclaw} line 6")
    assert setting(found, "gateway.remote.url") == ("ws://127.0.0.1:28789/x", f"{openclaw} line 9")
    assert setting(found, "gateway.remote.edgeAuth") == (["X-Edge"], f"{openclaw} line 10")
    assert setting(found, "gateway.remote.sshIdentity") == (None, "not set")
    assert setting(found, "gateway.remote.sshTarget") == ("me@gw", f"{openclaw.with_name('more.json5')} line 2")
    assert setting(found, "gateway.port") == (
        19005,
        f"env OPENCLAW_GATEWAY_PORT, from {openclaw.with_name('.env')}",
    )
    assert setting(found, "openclawContract") == ("2026.9", "auto: openclaw.json was last written by 2026.9.6")
    assert setting(found, "tunnels.default.target") == ("me@gw", "gateway.remote.sshTarget")
    assert setting(found, "tunnels.default.localPort") == (1234, f"{tunnels} line 2")
    assert setting(found, "tunnels.default.remotePort") == (28789, "gateway.remote.url")
    assert setting(found, "tunnels.default.bind") == ("127.0.0.1", "default")
    assert setting(found, "tunnels.default.policy.hold") == (3.0, f"{tunnels} line 3")
    assert setting(found, "tunnels.default.policy.keepaliveCount") == (3, "default")
    assert setting(found, "tunnels.default.sshConfig")[1] == "env OPENCLAW_TUNNEL_SSH_CONFIG"
    token = found["credentials"]["token"]
    assert token == {"set": True, "source": f"gateway.remote.token, {openclaw} line 13", "why": None}


def test_without_any_file(cli: Cli) -> None:
    found = shown(cli)
    assert setting(found, "gateway.port") == (18789, "default")
    assert setting(found, "tunnels.default.target") == (None, "not set")
    assert setting(found, "openclawContract") == ("2026.5", "auto: no release wrote the file")
    assert found["credentials"]["token"] == {
        "set": False,
        "source": None,
        "why": "env OPENCLAW_GATEWAY_TOKEN is not set; gateway.auth.token is not set; gateway.remote.token is not set",
    }


def test_in_words(cli: Cli) -> None:
    write(cli, {"gateway": {"remote": {"token": SECRET}}}, '{ openclawContract: "2026.9" }')
    answer = cli("config", "show", env={"OPENCLAW_GATEWAY_TOKEN": "another", "OPENCLAW_PROFILE": "work"})
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert SECRET not in answer.stdout
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in answer.stdout.splitlines()}
    assert lines["token"] == f"set (from gateway.remote.token, {cli.home}/.openclaw/openclaw.json line 4)"
    assert lines["password"].startswith("not set (env OPENCLAW_GATEWAY_PASSWORD is not set; ")
    assert lines["gateway.port"] == "41984 (profile work)"
    assert lines["gateway.auth.mode"] == "not set"
    assert lines["tunnels.work.allowRemoteClients"] == "no (default)"
    assert lines["openclawContract"] == f"2026.9 ({cli.tunnel_home}/tunnels.json5 line 1)"


def test_a_reference_that_leads_nowhere(cli: Cli) -> None:
    write(cli, {"gateway": {"auth": {"token": "${NOT_THERE}"}}})
    token = shown(cli)["credentials"]["token"]
    assert not token["set"]
    assert "NOT_THERE is not set" in token["why"]


def test_another_profile(cli: Cli) -> None:
    folder = cli.home / ".openclaw-work"
    folder.mkdir()
    (folder / "openclaw.json").write_text('{"gateway": {"port": 7}}')
    assert setting(shown(cli, "--profile", "work"), "gateway.port") == (7, f"{folder}/openclaw.json line 1")
    assert cli("config", "show", "--profile", "a b").exit_code == 2


def test_path(cli: Cli) -> None:
    write(cli, {"gateway": {"$include": "g.json"}}, "{}")
    (cli.home / ".openclaw" / "g.json").write_text("{}")
    answer = cli("config", "path")
    rows = [line.split() for line in answer.stdout.splitlines()]
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert [" ".join(row[:-1]) for row in rows] == [
        "tunnels.json5 read",
        "openclaw.json read",
        "included read",
        "variables not there",
        "variables not there",
        "variables not there",
    ]
    assert rows[1][-1] == f"{cli.home}/.openclaw/openclaw.json"
    write(cli, "{")
    answer = cli("config", "path")
    assert answer.exit_code == 0
    assert "note: " in answer.stderr


def test_check(cli: Cli) -> None:
    write(cli, {"gateway": {"remote": {"url": "ws://${NO_HOST}:1"}}}, "{}")
    answer = cli("config", "check")
    assert (answer.exit_code, answer.stdout) == (0, "the settings are valid\n")
    assert answer.stderr == "note: gateway.remote.url of openclaw.json: ${NO_HOST} is not set\n"


def test_check_tells_every_error(cli: Cli) -> None:
    write(cli, {"gateway": {"mode": "far", "remote": {"tokn": SECRET, "token": 5}}}, "{ x: 1, tunnels: { a: 1 } }")
    answer = cli("config", "check")
    assert (answer.exit_code, answer.stdout) == (10, "")
    assert [line.partition(": ")[2] for line in answer.stderr.splitlines() if line.startswith("error: ")] == [
        f"{cli.tunnel_home}/tunnels.json5 line 1: x is not a known key",
        f"{cli.tunnel_home}/tunnels.json5 line 1: tunnels.a must be an object, not a number",
        f'{cli.home}/.openclaw/openclaw.json line 3: gateway.mode must be one of "local", "remote", not "far"',
        f"{cli.home}/.openclaw/openclaw.json line 5: gateway.remote.tokn is not a known key",
        f"{cli.home}/.openclaw/openclaw.json line 6: "
        "gateway.remote.token must be a string or a SecretRef, not a number",
    ]
    assert SECRET not in answer.stderr


@pytest.mark.parametrize(("command", "code"), [("show", 10), ("path", 0), ("check", 10)])
def test_a_broken_file_is_no_bug(cli: Cli, command: str, code: int) -> None:
    write(cli, "\x00", "\x00")
    assert cli("config", command).exit_code == code
