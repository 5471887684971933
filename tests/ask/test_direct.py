"""``health``, ``probe``, ``call`` without a daemon (ask/direct.py): the real program, a scripted gateway."""

import asyncio
import json
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import pytest

from openclaw_tunnel.ask.direct import _UnwaitedThreads
from openclaw_tunnel.core.spec import Endpoint
from support.cli import Answer, Cli
from support.oddanswers import HEALTHY, NOT_A_GATEWAY, UNREACHABLE, Pieces, odd_gateway
from support.scripted import Script, error, page, raw, scripted
from support.threaded import in_thread
from support.waiting import free_port, wait_until

TOKEN = "tok-51c7"
COMMANDS = [["health"], ["probe"], ["call", "status"]]


def script(**more: Any) -> Script:
    """A gateway that is well."""
    return Script(methods={"health": [{"ok": True}], "status": [{"up": True}]}, **more)


def configure(cli: Cli, gateway: dict[str, Any]) -> None:
    """Write openclaw.json."""
    folder = cli.home / ".openclaw"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "openclaw.json").write_text(json.dumps({"gateway": gateway}))


def with_token(cli: Cli, *arguments: str) -> Answer:
    """Run a command with a token file."""
    (cli.home / "token").write_text(TOKEN)
    return cli(*arguments, "--token-file", "token")


def failure(answer: Answer, code: int) -> dict[str, Any]:
    """The failure in the one object that was printed."""
    assert answer.exit_code == code, (answer.stdout, answer.stderr)
    assert answer.stderr == ""
    found = answer.json()
    assert found["ok"] is False
    assert found["failure"]["exit_code"] == code
    told: dict[str, Any] = found["failure"]
    return told


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (NOT_A_GATEWAY["chunk of 60 digits"], 32),
        (UNREACHABLE["half a body"], 30),
        (HEALTHY["uptime of 400 digits"], 32),  # live, but its WebSocket is none
    ],
)
def test_odd_answers_are_answers(cli: Cli, says: Pieces, code: int) -> None:
    """None of them is a bug of this program, as exit code 70 would say."""
    with in_thread(odd_gateway) as (gateway, to):
        gateway.says = says
        assert failure(with_token(cli, "probe", "--url", f"ws://{to}", "--json"), code)["hint"]
        for arguments in (["health"], ["call", "status"]):
            assert with_token(cli, *arguments, "--url", f"ws://{to}").exit_code in (30, 32)


def test_a_name_that_no_resolver_takes(cli: Cli) -> None:
    cli.env["OPENCLAW_ALLOW_INSECURE_PRIVATE_WS"] = "1"
    for host in ("a..b", "x" * 64 + ".example"):
        found = failure(with_token(cli, "probe", "--url", f"ws://{host}:1", "--json"), 20)
        assert found["message"] == f"no address is known for {host}"


def test_a_url(cli: Cli) -> None:
    with in_thread(lambda: scripted(script())) as to:
        answers = [with_token(cli, *arguments, "--url", f"ws://{to}", "--json") for arguments in COMMANDS]
    assert [answer.exit_code for answer in answers] == [0, 0, 0]
    health, probe, call = (answer.json() for answer in answers)
    assert health["via"] == f"direct to {to}"
    assert [layer["name"] for layer in probe["layers"]] == ["tcp", "http", "handshake", "credentials", "scopes"]
    assert call["result"] == {"up": True}


def test_a_url_borrows_no_credentials(cli: Cli) -> None:
    configure(cli, {"mode": "remote", "remote": {"url": "ws://127.0.0.1:1", "token": TOKEN}})
    told = script()
    with in_thread(lambda: scripted(told)) as to:
        found = failure(cli("health", "--url", f"ws://{to}", "--json", env={"OPENCLAW_GATEWAY_TOKEN": TOKEN}), 11)
    assert found["code"] == "credential"
    assert told.connections == 0


def test_direct_to_the_remote_url(cli: Cli) -> None:
    told = script()
    with in_thread(lambda: scripted(told)) as to:
        configure(cli, {"mode": "remote", "remote": {"url": f"ws://{to}", "token": TOKEN}})
        answer = cli("health", "--direct")
    assert answer.exit_code == 0
    assert answer.stdout.endswith(f"direct to {to}\n")
    assert told.seen[0]["params"]["auth"] == {"token": TOKEN}


def test_direct_to_the_gateway_here(cli: Cli) -> None:
    told = script()
    with in_thread(lambda: scripted(told)) as to:
        configure(cli, {"mode": "local", "port": to.port, "auth": {"token": TOKEN}})
        assert [cli(command, "--direct").exit_code for command in ("health", "probe")] == [0, 0]
    sent = [frame["params"]["auth"] for frame in told.seen if frame["method"] == "connect"]
    assert sent == [{"token": TOKEN}] * 2


@pytest.mark.parametrize("arguments", COMMANDS)
def test_refused(cli: Cli, arguments: list[str]) -> None:
    no = error("INVALID_REQUEST", "unauthorized: gateway token mismatch", {"code": "AUTH_TOKEN_MISMATCH"})
    with in_thread(lambda: scripted(script(answer=no, close=(1008, "")))) as to:
        answer = with_token(cli, *arguments, "--json", "--url", f"ws://{to}")
    assert failure(answer, 31)["code"] == "auth_failed"
    assert TOKEN not in answer.stdout


def test_nothing_listens(cli: Cli) -> None:
    found = failure(with_token(cli, "probe", "--json", "--url", f"ws://127.0.0.1:{free_port()}"), 30)
    assert found["hint"].startswith("start the gateway on this computer: ")


def test_not_a_gateway(cli: Cli) -> None:
    web_server = Script(http={"/healthz": page()}, upgrade=page())
    with in_thread(lambda: scripted(web_server)) as to:
        for command in ("health", "probe"):
            failure(with_token(cli, command, "--json", "--url", f"ws://{to}"), 32)


def test_plain_text_to_elsewhere(cli: Cli) -> None:
    found = failure(with_token(cli, "health", "--json", "--url", "ws://192.0.2.1:18789"), 10)
    assert "plain ws://" in found["message"]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_no_way_is_known(cli: Cli, arguments: list[str]) -> None:
    found = failure(cli(*arguments, "--json"), 3)
    assert "openclaw-tunnel setup me@gateway-host" in found["hint"]
    assert "--direct" in found["hint"]
    assert failure(cli(*arguments, "--json", "-n", "lab"), 3)["message"].startswith("no tunnel named lab is running")


def test_settings_that_cannot_be_used(cli: Cli) -> None:
    folder = cli.home / ".openclaw"
    folder.mkdir(mode=0o700)
    (folder / "openclaw.json").write_text("{gateway: {port: 'x'}}")
    for arguments in (["health", "--json"], ["probe", "--direct", "--json"]):
        assert "openclaw.json" in failure(cli(*arguments), 10)["message"]


@pytest.mark.parametrize("command", ["health", "probe"])
def test_a_host_that_refuses(cli: Cli, command: str) -> None:
    port = free_port()
    configure(cli, {"mode": "remote", "remote": {"sshTarget": f"me@127.0.0.1:{port}", "token": TOKEN}})
    answer = cli(command, "--json")
    found = failure(answer, 20)
    assert found["code"] == "refused"
    assert f"127.0.0.1:{port}" in found["hint"]
    assert answer.json()["via"] == f"ssh me@127.0.0.1:{port}"
    if command == "probe":
        outcomes = [(layer["name"], layer["outcome"]) for layer in answer.json()["layers"]]
        assert outcomes[:3] == [("name", "ok"), ("ssh", "failed"), ("channel", "skipped")]


def test_a_name_that_leads_nowhere(cli: Cli) -> None:
    configure(cli, {"remote": {"sshTarget": "me@nowhere.invalid"}})
    answer = cli("probe", "--json", "--timeout", "30")
    assert failure(answer, 20)["code"] == "dns"
    assert [layer["outcome"] for layer in answer.json()["layers"][:2]] == ["failed", "skipped"]


@asynccontextmanager
async def listening(serve: Callable[..., Awaitable[None]]) -> AsyncIterator[Endpoint]:
    """A server on loopback."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()


def silent() -> Any:
    """A server that takes connections and says nothing."""
    return raw(b"", stay=True)


@pytest.mark.parametrize("way", ["ssh", "url"])
@pytest.mark.parametrize("command", ["health", "probe"])
def test_the_timeout_bounds_everything(cli: Cli, command: str, way: str) -> None:
    with in_thread(silent) as to:
        configure(cli, {"remote": {"sshTarget": f"me@{to}"}})
        arguments = ["--url", f"ws://{to}"] if way == "url" else []
        answer = with_token(cli, command, "--json", "--timeout", "0.5", *arguments)
    found = failure(answer, 30 if way == "url" else 20)
    assert "0.5 s" in found["message"] or "in time" in found["message"] or "not answer" in found["message"]


@pytest.mark.parametrize("way", ["ssh", "url"])
def test_ctrl_c(cli: Cli, way: str) -> None:
    arrived = threading.Event()

    async def notice(reader: Any, writer: Any) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    with in_thread(lambda: listening(notice)) as to:
        configure(cli, {"remote": {"sshTarget": f"me@{to}"}})
        arguments = ["--url", f"ws://{to}", "--token-file", str(cli.home / "token")] if way == "url" else []
        (cli.home / "token").write_text(TOKEN)
        child = cli.start("health", "--timeout", "600", *arguments)
        wait_until(arrived.is_set, 15, "the question")
        assert child.end_with(signal.SIGINT) == 130
    assert child.output() == ""


def test_threads_that_hang_are_not_waited_for() -> None:
    threads, go_on = _UnwaitedThreads(), threading.Event()
    hanging = threads.submit(go_on.wait, 30)
    assert threads.submit(lambda: 7).result(10) == 7
    threads.shutdown(wait=True)
    assert not hanging.done()
    go_on.set()
    assert hanging.result(10) is True
    failing: Future[int] = threads.submit(lambda: 1 // 0)
    assert isinstance(failing.exception(10), ZeroDivisionError)
