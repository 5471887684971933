"""``health``, ``probe``, ``call`` (cli/commands/health.py, cli/commands/probe.py, cli/commands/call.py,
cli/questions.py, cli/jsoncommand.py, ask/gateway.py, ask/options.py), against a daemon that only talks."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.ask.options import LARGEST_PARAMS, read_params
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot
from openclaw_tunnel.errors import ConfigError, CredentialError, UsageError
from support.cli import Cli, command, environment
from support.fakedaemon import FakeDaemon, serving
from support.waiting import wait_until

FORWARD = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", True)
UP = Snapshot("default", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (FORWARD,))
FAILURE = {
    "code": "auth_failed",
    "message": "the gateway refuses",
    "hint": "set the token",
    "permanent": False,
    "exit_code": 31,
    "at": None,
}
WELL = {"ok": True, "verdict": "healthy", "version": "2026.9.6", "ms": 21.4, "failure": None, "via": "tunnel default"}
ILL = {**WELL, "ok": False, "verdict": "auth_failed", "failure": FAILURE}
LAYERS = [
    {"name": "ssh", "outcome": "ok", "ms": 2.5, "text": "connected"},
    {"name": "channel", "outcome": "failed", "ms": 1.0, "text": "\x1b[31mnobody\x1b[0m"},
    {"name": "http", "outcome": "skipped", "ms": None, "text": "not asked"},
]
COMMANDS = [["health"], ["probe"], ["call", "status"]]


@pytest.fixture
def daemon(cli: Cli) -> FakeDaemon:
    """A daemon with one tunnel; ``methods["ask"]`` is the test's."""
    cli.tunnel_home.mkdir(mode=0o700)
    return FakeDaemon([UP])


def answering(cli: Cli, daemon: FakeDaemon, answer: dict[str, Any]) -> AbstractContextManager[Path]:
    """Let ``daemon`` answer every question with ``answer``."""
    daemon.methods["ask"] = lambda params, emit: answer
    return serving(cli.tunnel_home, daemon)


def test_all_is_well(cli: Cli, daemon: FakeDaemon) -> None:
    with answering(cli, daemon, {**WELL, "layers": LAYERS[:1], "result": {"ä": 1}}):
        health, probe, call = (cli(*arguments) for arguments in COMMANDS)
    assert [found.exit_code for found in (health, probe, call)] == [0, 0, 0]
    assert health.stdout == "healthy: OpenClaw 2026.9.6, 21 ms, tunnel default\n"
    assert probe.stdout.splitlines() == [
        "ssh          ok          2.5 ms  connected",
        "verdict      healthy",
    ]
    assert json.loads(call.stdout) == {"ä": 1}
    assert health.stderr == probe.stderr == call.stderr == ""
    kinds = [params["question"]["kind"] for method, params in daemon.asked if method == "ask"]
    assert kinds == ["health", "probe", "call"]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_failure(cli: Cli, daemon: FakeDaemon, arguments: list[str]) -> None:
    with answering(cli, daemon, {**ILL, "layers": LAYERS}):
        plain, as_json = cli(*arguments), cli(*arguments, "--json")
    assert plain.exit_code == as_json.exit_code == 31
    assert plain.stderr == "error: the gateway refuses\n\nhint: set the token\n"
    assert "\x1b" not in plain.stdout
    assert as_json.json()["failure"] == FAILURE
    assert as_json.stderr == ""


def test_a_layer_that_failed_stands_out(cli: Cli, daemon: FakeDaemon) -> None:
    with answering(cli, daemon, {**ILL, "layers": LAYERS}):
        lines = cli("probe").stdout.splitlines()
    assert lines[1] == "channel      FAILED      1.0 ms  ?[31mnobody?[0m"
    assert lines[2] == "http         -                   not asked"
    assert lines[3] == "verdict      auth_failed"


@pytest.mark.parametrize("error", [ConfigError("x.json: bad"), CredentialError("no token", hint="give one")])
@pytest.mark.parametrize("arguments", COMMANDS)
def test_errors_before_there_is_an_answer(
    cli: Cli, daemon: FakeDaemon, arguments: list[str], error: ConfigError
) -> None:
    def refuse(params: dict[str, Any], emit: object) -> None:
        raise error

    daemon.methods["ask"] = refuse
    with serving(cli.tunnel_home, daemon):
        plain, as_json = cli(*arguments), cli(*arguments, "--json")
    assert plain.exit_code == as_json.exit_code == error.exit_code
    assert plain.stderr.startswith(f"error: {error.message}\n")
    found = as_json.json()
    assert (found["ok"], found["verdict"]) == (False, "unknown")
    assert found["failure"]["exit_code"] == error.exit_code
    assert found["failure"]["message"] == error.message
    assert as_json.stderr == ""


USAGE = [
    ["health", "--timeout", "soon"],
    ["health", "--timeout", "nan"],
    ["health", "--timeout", "inf"],
    ["health", "--timeout", "0"],
    ["probe", "--nonsense"],
    ["probe", "surplus"],
    ["probe", "--url", ""],
    ["call"],
    ["call", "m", "--params", "{"],
    ["call", "m", "--params", "[]"],
    ["call", "m", "--params", '{"a": NaN}'],
    ["health", "--token", "a", "--token-file", "b"],
    ["health", "-n", "default", "--direct"],
    ["health", "-n", "default", "--url", "ws://127.0.0.1:1"],
    ["health", "--token-file", "-", "--password-file", "-"],
]


@pytest.mark.parametrize("arguments", USAGE)
def test_wrong_usage(cli: Cli, daemon: FakeDaemon, arguments: list[str]) -> None:
    with answering(cli, daemon, WELL):
        plain, as_json = cli(*arguments), cli(*arguments, "--json")
    assert plain.exit_code == as_json.exit_code == 2, plain.stderr
    assert plain.stdout == ""
    assert plain.stderr.startswith("error: ")
    assert as_json.json()["failure"]["code"] == "usage"
    assert as_json.stderr == ""


def test_secrets_come_from_files(cli: Cli, daemon: FakeDaemon) -> None:
    (cli.home / "token").write_text("\ufeff  tok-1 \r\n")
    (cli.home / "token").chmod(0o600)
    with answering(cli, daemon, WELL):
        assert cli("health", "--token-file", "token", "--password-file", "-", stdin="pass-1\n").exit_code == 0
        warned = cli("health", "--token", "tok-2", "--json")
    questions = [params["question"] for method, params in daemon.asked if method == "ask"]
    assert [(found["token"], found["password"]) for found in questions] == [("tok-1", "pass-1"), ("tok-2", "")]
    assert "--token is visible to others" in warned.stderr
    assert "tok-2" not in warned.stderr + warned.stdout
    assert warned.json() == WELL


@pytest.mark.parametrize("content", [b"", b" \n", b"a\nb\n", b"\xff\xfe\x00", b"a\x00b", b"x" * 20000, None])
def test_files_that_hold_no_secret(cli: Cli, daemon: FakeDaemon, content: bytes | None) -> None:
    if content is not None:
        (cli.home / "token").write_bytes(content)
    with answering(cli, daemon, WELL):
        answer = cli("health", "--json", "--token-file", "token")
    assert answer.exit_code == 10
    assert answer.json()["failure"]["message"].startswith("--token-file token ")
    assert [method for method, _ in daemon.asked if method == "ask"] == []


def test_the_daemon_gets_absolute_paths_and_the_working_folder(cli: Cli, daemon: FakeDaemon) -> None:
    with answering(cli, daemon, WELL):
        cli("health", env={"OPENCLAW_CONFIG_PATH": "conf/openclaw.json", "OPENCLAW_STATE_DIR": "~/state"})
    question = daemon.asked[-1][1]["question"]
    assert question["env"]["OPENCLAW_CONFIG_PATH"] == f"{cli.home}/conf/openclaw.json"
    assert question["env"]["OPENCLAW_STATE_DIR"] == "~/state"
    assert question["cwd"] == str(cli.home)


def test_a_daemon_that_does_not_know_the_question(cli: Cli, daemon: FakeDaemon) -> None:
    with serving(cli.tunnel_home, daemon):
        plain, as_json = cli("health"), cli("health", "--json")
    assert plain.exit_code == as_json.exit_code == 1
    assert "the running daemon does not know 'ask'" in plain.stderr
    assert "openclaw-tunnel down --all" in as_json.json()["failure"]["hint"]


def test_several_tunnels(cli: Cli, daemon: FakeDaemon) -> None:
    daemon.tunnels = [Snapshot(name, State.UP, UP.since, UP.target, "gw", (FORWARD,)) for name in ("a", "b")]
    with answering(cli, daemon, WELL):
        assert cli("health").exit_code == 2
        assert cli("health", "-n", "b").exit_code == 0
        unknown = cli("health", "-n", "c", "--json")
    assert daemon.asked[-2][1]["name"] == "b"
    assert unknown.exit_code == 3
    assert unknown.json()["failure"]["code"] == "not_running"


def test_a_result_may_be_large_and_strange(cli: Cli, daemon: FakeDaemon) -> None:
    result = {"text": "x" * (3 << 20), "strange": "\ud800 \x9b31m \u202e ü"}
    with answering(cli, daemon, {**WELL, "result": result}):
        for arguments in (["call", "m"], ["call", "m", "--json"]):
            answer = cli(*arguments)
            assert answer.exit_code == 0, answer.stderr
            assert "\x9b" not in answer.stdout
            found = answer.json()
            assert found.get("result", found) == result
        assert cli("call", "m", env={"PYTHONIOENCODING": "ascii"}).exit_code == 0


def test_a_reader_that_goes_away(cli: Cli, daemon: FakeDaemon) -> None:
    line = " ".join(map(str, command("call", "m")))
    with answering(cli, daemon, {**WELL, "result": ["x"] * 200_000}):
        done = subprocess.run(
            ["bash", "-c", f"{line} | head -1; exit ${{PIPESTATUS[0]}}"],
            env=environment(cli.home),
            cwd=cli.home,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert (done.stdout, done.stderr, done.returncode) == ("[\n", "", 1)


def test_the_timeout_holds_for_a_daemon_that_hangs(cli: Cli, daemon: FakeDaemon) -> None:
    daemon.methods["ask"] = lambda params, emit: asyncio.sleep(600)
    with serving(cli.tunnel_home, daemon):
        answer = cli("health", "--timeout", "0.2", "--json")
    assert answer.json()["failure"]["message"].startswith("the daemon")


def test_ctrl_c_hangs_up(cli: Cli, daemon: FakeDaemon) -> None:
    daemon.methods["ask"] = lambda params, emit: asyncio.sleep(600)
    with serving(cli.tunnel_home, daemon):
        child = cli.start("health")
        wait_until(lambda: [m for m, _ in daemon.asked if m == "ask"], 10, "the question")
        assert child.end_with(signal.SIGINT) == 130
        assert daemon.cancelled.wait(30)
    assert child.output() == ""


def test_a_bug_is_one_object_too(cli: Cli, daemon: FakeDaemon) -> None:
    with answering(cli, daemon, {"ok": True}):  # an answer without anything that every answer has
        plain, as_json = cli("health"), cli("health", "--json")
    assert plain.exit_code == 70
    assert as_json.json() == {"ok": True}
    daemon.tunnels = [{"not": "a tunnel"}]  # type: ignore[list-item]
    with answering(cli, daemon, WELL):
        broken = cli("health", "--json")
    assert broken.exit_code == 70
    assert broken.json()["failure"]["exit_code"] == 70


def test_nothing_heavy_is_imported_where_a_daemon_answers(cli: Cli, daemon: FakeDaemon) -> None:
    heavy = {"asyncio", "asyncssh", "cryptography", "json5", "tenacity", "websockets", "concurrent"}
    with answering(cli, daemon, {**WELL, "layers": []}):
        for arguments in (["health"], ["probe", "--json"]):
            done = subprocess.run(
                [sys.executable, "-X", "importtime", *map(str, command(*arguments)[1:])],
                env=environment(cli.home),
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert done.returncode == 0
            imported = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
            assert "openclaw_tunnel.ask.options" in imported
            assert {name for name in imported if name.partition(".")[0] in heavy} == set()


def test_params() -> None:
    assert read_params('{"a": [1]}') == {"a": [1]}
    for text in ("", "1", "null", '{"a": Infinity}', "[" * 100_000):
        with pytest.raises(UsageError):
            read_params(text)


def test_params_from_standard_input(cli: Cli, daemon: FakeDaemon) -> None:
    with answering(cli, daemon, {**WELL, "result": None}):
        assert cli("call", "m", "--params", "-", stdin='{"a": 1}').stdout == "null\n"
    assert daemon.asked[-1][1]["question"]["params"] == {"a": 1}


def test_params_that_are_too_large_are_not_cut(cli: Cli) -> None:
    answer = cli("call", "m", "--params", "-", "--json", stdin='{"a": "' + "x" * LARGEST_PARAMS + '"}')
    assert (answer.exit_code, answer.json()["failure"]["message"]) == (2, "--params is larger than 24 MiB")
