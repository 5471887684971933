"""What health, probe and call answer (ask/question.py): a scripted gateway behind a link without SSH."""

import asyncio
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.ask.examine import Layer, Outcome
from openclaw_tunnel.ask.question import LONGEST, Kind, Question, inquire, unreached
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import LinkLost
from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.errors import ConfigError, CredentialError, UsageError
from openclaw_tunnel.gateway.route import LinkRoute
from openclaw_tunnel.settings.load import Settings
from support.aio import async_test, settle
from support.links import DirectLink
from support.scripted import LIVE, Script, error, hello, json_answer, page, raw, scripted
from support.waiting import free_port

TOKEN = "tok-8f3a"
REMOTE = {"gateway": {"mode": "remote", "remote": {"url": "ws://127.0.0.1:18789", "token": TOKEN}}}
BELOW = (Layer("name", Outcome.OK, 1.0, "gw is gw:22"), Layer("ssh", Outcome.OK, 2.0, "logged in"))
PLACEHOLDERS = re.compile(r"\b(TARGET|TO|HOST|CREDENTIAL|WAIT|REQUEST|SCOPE|VERSION|KEY|TRUST|HINT)\b")

REFUSALS = [
    (error("INVALID_REQUEST", "unauthorized: token mismatch", {"code": "AUTH_TOKEN_MISMATCH"}), "auth_failed", 31),
    (error("NOT_PAIRED", "device identity required", {"code": "DEVICE_IDENTITY_REQUIRED"}), "auth_failed", 31),
    (
        error("INVALID_REQUEST", "unauthorized: too many", {"code": "AUTH_RATE_LIMITED"}, retryAfterMs=9000),
        "auth_failed",
        31,
    ),
    (
        error("NOT_PAIRED", "pairing required", {"code": "PAIRING_REQUIRED", "requestId": "r-7"}),
        "pairing_required",
        31,
    ),
    (
        error("INVALID_REQUEST", "protocol mismatch", {"code": "PROTOCOL_MISMATCH", "expectedProtocol": 9}),
        "protocol_mismatch",
        32,
    ),
    (error("INVALID_REQUEST", "invalid connect params"), "protocol_mismatch", 32),
]


async def ask(kind: str, to: Endpoint, folder: Path, config: Any = REMOTE, **more: Any) -> dict[str, Any]:
    """Ask over a link without SSH, with ``config`` as openclaw.json."""
    path = folder / "openclaw.json"
    path.write_text(json.dumps(config))
    env = {"OPENCLAW_CONFIG_PATH": str(path), "HOME": str(folder), **more.pop("env", {})}
    question = Question(Kind(kind), env=env, cwd=str(folder), **more)
    link = DirectLink()
    try:
        return await inquire(
            question,
            LinkRoute(link, to),
            settings=Settings.load(env, folder / "tunnels.json5", folder),
            state_dir=folder,
            target="gw",
            end=asyncio.get_running_loop().time() + question.timeout,
            below=BELOW,
        )
    finally:
        await link.close()


def outcome(answer: dict[str, Any]) -> tuple[str, int]:
    """Verdict and exit code, of an answer that keeps to the rules."""
    text = json.dumps(answer)
    assert TOKEN not in text
    failure = answer["failure"]
    assert answer["ok"] is (failure is None)
    if failure is None:
        return answer["verdict"], 0
    assert not PLACEHOLDERS.search(failure["hint"]), failure["hint"]
    assert failure["message"]
    if "layers" in answer:
        failed = [layer["text"] for layer in answer["layers"] if layer["outcome"] == "failed"]
        assert failed == [failure["message"]]
    return answer["verdict"], failure["exit_code"]


@async_test
async def test_all_is_well(tmp_path: Path) -> None:
    script = Script(methods={"health": [{"ok": True, "channels": {}}], "config.get": [{"a": "ü"}]})
    async with scripted(script) as to:
        health = await ask("health", to, tmp_path)
        probe = await ask("probe", to, tmp_path)
        call = await ask("call", to, tmp_path, method="config.get", params={"b": 1})
    assert [outcome(answer) for answer in (health, probe, call)] == [("healthy", 0)] * 3
    assert health["health"] == {"ok": True, "channels": {}}
    assert health["version"] == "2026.9.6"
    assert [layer["name"] for layer in probe["layers"]] == [
        *("name", "ssh", "channel", "http", "handshake", "credentials", "scopes")
    ]
    assert probe["scopes"] == ["operator.read"]
    assert call["result"] == {"a": "ü"}
    assert script.seen[-1]["params"] == {"b": 1}
    assert {frame["params"]["auth"]["token"] for frame in script.seen if frame["method"] == "connect"} == {TOKEN}
    assert health["credentials"]["token"] == "gateway.remote.token"


@pytest.mark.parametrize(("refusal", "verdict", "code"), REFUSALS)
@pytest.mark.parametrize("kind", ["health", "probe", "call"])
@async_test
async def test_a_refusal(tmp_path: Path, kind: str, refusal: Any, verdict: str, code: int) -> None:
    async with scripted(Script(answer=refusal, close=(1008, ""))) as to:
        answer = await ask(kind, to, tmp_path)
    assert outcome(answer) == (verdict, code)


@async_test
async def test_a_refused_credential_is_named_by_where_it_came_from(tmp_path: Path) -> None:
    async with scripted(Script(answer=REFUSALS[0][0], close=(1008, ""))) as to:
        configured = await ask("probe", to, tmp_path)
        given = await ask("health", to, tmp_path, token="given")
    assert outcome(configured) == outcome(given) == ("auth_failed", 31)
    assert configured["failure"]["message"].endswith("(sent was gateway.remote.token)")
    assert given["failure"]["message"].endswith("(sent was the token given here)")
    assert given["failure"]["hint"].startswith("set the token that the gateway on gw has in gateway.auth.token: ")


@async_test
async def test_pairing_names_the_request(tmp_path: Path) -> None:
    async with scripted(Script(answer=REFUSALS[3][0], close=(1008, ""))) as to:
        answer = await ask("health", to, tmp_path)
    assert answer["failure"]["hint"] == "on the gateway's host run: openclaw devices approve r-7"


@pytest.mark.parametrize("kind", ["health", "probe"])
@async_test
async def test_nothing_listens(tmp_path: Path, kind: str) -> None:
    answer = await ask(kind, Endpoint("127.0.0.1", free_port()), tmp_path)
    assert outcome(answer) == ("not_listening", 30)
    assert answer["failure"]["hint"].startswith("start the gateway on gw: ")


@pytest.mark.parametrize("kind", ["health", "probe"])
@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b""])
@async_test
async def test_something_else_listens(tmp_path: Path, kind: str, data: bytes) -> None:
    async with raw(data) as to:
        assert outcome(await ask(kind, to, tmp_path))[1] in (30, 32)
    async with scripted(Script(http={"/healthz": page()}, upgrade=page())) as to:
        assert outcome(await ask(kind, to, tmp_path)) == ("not_a_gateway", 32)


@pytest.mark.parametrize("kind", ["health", "probe", "call"])
@async_test
async def test_the_timeout_bounds_everything(tmp_path: Path, kind: str) -> None:
    async with raw(b"", stay=True) as to:
        answer = await ask(kind, to, tmp_path, timeout=0.5)
    assert outcome(answer) == ("unreachable", 30)


@pytest.mark.parametrize("kind", ["health", "probe"])
@async_test
async def test_a_secret_that_takes_too_long_is_bounded_too(tmp_path: Path, kind: str) -> None:
    """It is said to be the secret: whoever looks for the fault at the gateway looks in vain."""
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o700)
    exec_provider = {"source": "exec", "command": str(slow), "timeoutMs": 600_000, "noOutputTimeoutMs": 600_000}
    remote = {"url": "ws://127.0.0.1:1", "token": {"source": "exec", "provider": "slow", "id": "a"}}
    config = {"gateway": {"mode": "remote", "remote": remote}, "secrets": {"providers": {"slow": exec_provider}}}
    with pytest.raises(CredentialError) as caught:
        await ask(kind, Endpoint("127.0.0.1", free_port()), tmp_path, config, timeout=0.3)
    assert caught.value.message == "the SecretRef of the gateway's credentials was not resolved within 0.3 s"


@async_test
async def test_health_waits_for_a_gateway_that_is_starting(tmp_path: Path) -> None:
    script = Script(answer=error("UNAVAILABLE", "gateway starting; retry shortly", retryable=True, retryAfterMs=500))
    script.methods["health"] = [{"ok": True}]

    async def finish_starting() -> None:
        await settle(lambda: script.connections == 2, "another try")
        script.answer = hello()

    async with scripted(script) as to, asyncio.TaskGroup() as group:
        group.create_task(finish_starting())
        assert outcome(await ask("health", to, tmp_path)) == ("healthy", 0)


@async_test
async def test_a_gateway_that_goes_on_starting(tmp_path: Path) -> None:
    starting = json_answer(503, {"ok": False, "status": "starting", "version": "2026.9.6"})
    script = Script(answer=error("UNAVAILABLE", "gateway starting", retryable=True), close=(1013, "gateway starting"))
    script.http = {"/healthz": LIVE, "/startupz": starting}

    async def go_on() -> None:
        await settle(lambda: script.seen, "the first try")
        script.answer = error("UNAVAILABLE", "gateway starting", retryable=True, retryAfterMs=60_000)

    async with scripted(script) as to, asyncio.TaskGroup() as group:
        group.create_task(go_on())
        health = await ask("health", to, tmp_path, timeout=30)
        assert script.connections == 2
        probe = await ask("probe", to, tmp_path, timeout=30)
    assert outcome(health) == outcome(probe) == ("starting", 30)


@async_test
async def test_a_gateway_that_is_not_well(tmp_path: Path) -> None:
    async with scripted(Script(methods={"health": [{"ok": False}]})) as to:
        answer = await ask("health", to, tmp_path)
    assert (answer["ok"], answer["failure"]["code"], answer["failure"]["exit_code"]) == (False, "unhealthy", 1)
    assert answer["health"] == {"ok": False}


@async_test
async def test_too_few_scopes(tmp_path: Path) -> None:
    async with scripted(Script(answer=hello([]))) as to:
        answer = await ask("probe", to, tmp_path)
    assert outcome(answer) == ("limited_scope", 31)


@async_test
async def test_a_call_asks_for_the_scope_it_takes_and_only_then(tmp_path: Path) -> None:
    missing = error("FORBIDDEN", "missing scope: operator.admin", {"missingScope": "operator.admin"})
    script = Script(methods={"config.set": [missing, {"done": True}]})
    async with scripted(script) as to:
        answer = await ask("call", to, tmp_path, method="config.set")
    assert answer["result"] == {"done": True}
    asked = [frame["params"]["scopes"] for frame in script.seen if frame["method"] == "connect"]
    assert asked == [["operator.read"], ["operator.read", "operator.admin"]]


@async_test
async def test_a_scope_that_is_never_granted_is_asked_for_once(tmp_path: Path) -> None:
    missing = error("FORBIDDEN", "missing scope: operator.admin", {"missingScope": "operator.admin"})
    script = Script(methods={"config.set": [missing]})
    async with scripted(script) as to:
        assert outcome(await ask("call", to, tmp_path, method="config.set")) == ("limited_scope", 31)
    assert script.connections == 2


@async_test
async def test_an_unknown_method(tmp_path: Path) -> None:
    script = Script(methods={"nonsense": [error("INVALID_REQUEST", "unknown method: nonsense")]})
    async with scripted(script) as to:
        assert outcome(await ask("call", to, tmp_path, method="nonsense")) == ("healthy", 1)


@async_test
async def test_parameters_that_are_not_json(tmp_path: Path) -> None:
    async with scripted(Script()) as to:
        with pytest.raises(UsageError):
            await ask("call", to, tmp_path, method="health", params={"a": float("nan")})


UNRESOLVED = {"gateway": {"mode": "remote", "remote": {"url": "ws://127.0.0.1:1", "token": "${NO_SUCH_VARIABLE_HERE}"}}}


@async_test
async def test_a_secret_that_cannot_be_had(tmp_path: Path) -> None:
    wants_one = error("NOT_PAIRED", "device identity required", {"code": "DEVICE_IDENTITY_REQUIRED"})
    async with scripted(Script(answer=wants_one, close=(1008, ""))) as to:
        with pytest.raises(CredentialError, match=r"gateway\.remote\.token"):
            await ask("health", to, tmp_path, UNRESOLVED)
        probe = await ask("probe", to, tmp_path, UNRESOLVED)
    assert outcome(probe) == ("auth_failed", 11)
    assert "gateway.remote.token" in probe["failure"]["message"]


@async_test
async def test_a_device_key_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "device-key.pem").mkdir()
    async with scripted(Script()) as to:
        with pytest.raises(ConfigError, match="device key"):
            await ask("health", to, tmp_path, device=True)


@async_test
async def test_a_lost_link_is_no_answer(tmp_path: Path) -> None:
    link = DirectLink()
    link.lose()
    question = Question(Kind.HEALTH)
    settings = Settings.load({"HOME": str(tmp_path)}, tmp_path / "tunnels.json5", tmp_path)
    route = LinkRoute(link, Endpoint("127.0.0.1", 1))
    end = asyncio.get_running_loop().time() + 5
    with pytest.raises(LinkLost):
        await inquire(question, route, settings=settings, state_dir=tmp_path, target="gw", end=end)


def test_without_a_way_the_layers_above_are_not_asked() -> None:
    failure = Failure(Code.REFUSED, "gw:22 refused the connection", {"target": "gw", "host": "gw:22"})
    answer = unreached(Kind.PROBE, failure, [Layer("ssh", Outcome.FAILED, 1.0, failure.message)])
    assert outcome(answer) == ("unreachable", 20)
    assert [layer["outcome"] for layer in answer["layers"]] == ["failed"] + ["skipped"] * 5
    assert "layers" not in unreached(Kind.HEALTH, failure, [])


def test_a_question_and_its_json() -> None:
    question = Question(Kind.CALL, "m", {"a": 1}, 3.0, "wss://h", "t-secret", "p-secret", True, {"X": "e-secret"}, "/")
    assert Question.from_json(json.loads(json.dumps(asdict(question)))) == question
    assert "secret" not in repr(question)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "nothing"},
        {"kind": "health", "novelty": 1},
        {"kind": "health", "timeout": "soon"},
        {"kind": "health", "timeout": float("nan")},
        {"kind": "health", "timeout": LONGEST + 1},
        {"kind": "health", "timeout": 0},
        {"kind": "health", "token": 7},
        {"kind": "health", "env": {"A": 1}},
        {"kind": "health", "env": []},
        {"kind": "call", "params": []},
    ],
)
def test_what_is_no_question(data: dict[str, Any]) -> None:
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        Question.from_json(data)
