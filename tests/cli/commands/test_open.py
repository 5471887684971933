"""``open`` (controlui/open.py, controlui/gateway.py): a daemon that only talks, a site in place of the gateway, a
browser that notes where it is sent.
"""

import contextlib
import json
import os
import pty
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.controlui.gateway import get
from openclaw_tunnel.controlui.page import CONFIG_PATH, told_base_path
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, GatewayStatus, Snapshot, Verdict
from support.cli import Answer, Cli, command, environment
from support.fakedaemon import FakeDaemon, serving
from support.localsite import LocalSite, QuietHandler
from support.oddanswers import NOT_A_GATEWAY, UNREACHABLE, Pieces, odd_gateway
from support.process import Child, root_required
from support.threaded import in_thread

TOKEN = "t0ken+s3cret"
PASSWORD = "passw0rd-s3cret"
LOCATION_TOKEN = "#token=t0ken%2Bs3cret"
FAILURE = {"code": "auth_failed", "message": "the gateway refuses", "hint": "set the token", "exit_code": 31}
BROWSER = """#!{python}
import encodings.idna, http.client, json, os, sys, urllib.parse  # another user may not read Python
uid = {uid}
if uid:
    os.setuid(uid)
parts = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(parts.netloc, timeout=20)
connection.request("GET", parts.path)
answer = connection.getresponse()
seen = [*sys.argv[1:], answer.status, answer.getheader("Location"), answer.read().decode()]
with open({out!r}, "w") as file:
    json.dump(seen, file)
"""


class Site(LocalSite):
    """The gateway's HTTP: its answer to a path and a bearer is the test's.

    Attributes:
        asked: every path and bearer.
    """

    def __init__(self, answers: Callable[[str, str], tuple[int, Any]]) -> None:
        self.asked: list[tuple[str, str]] = []
        site = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
                site.asked.append((self.path, bearer))
                status, body = answers(self.path, bearer)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

        super().__init__(Handler)


def gateway(secret: str, base_path: str = "") -> Callable[[str, str], tuple[int, Any]]:
    """A gateway that wants ``secret``, or nothing."""

    def answer(path: str, bearer: str) -> tuple[int, Any]:
        if path != f"{base_path}/__openclaw/control-ui-config.json":
            return 404, "Not Found"
        return (200, {"basePath": base_path}) if secret in ("", bearer) else (401, {"error": "Unauthorized"})

    return answer


class World:
    """A user with a tunnel to a gateway, and a browser.

    Attributes:
        answers: the gateway's HTTP.
        configuration: what it says to ``config.get``.
    """

    def __init__(self, cli: Cli) -> None:
        cli.tunnel_home.mkdir(mode=0o700)
        self.cli = cli
        self.answers = gateway(TOKEN)
        self.configuration: dict[str, Any] = {}
        self.site = Site(lambda path, bearer: self.answers(path, bearer))
        forward = ForwardStatus(f"127.0.0.1:{self.site.port}", "127.0.0.1:18789", True)
        self.up = Snapshot("default", State.UP, "2026-11-22T06:00:01Z", "me@gateway.example:22", "gw", (forward,))
        self.daemon = FakeDaemon([self.up], ask=lambda params, emit: self._ask())
        self.url = f"http://127.0.0.1:{self.site.port}/"
        self.seen = cli.home / "seen"
        self.use_browser()

    def _ask(self) -> dict[str, Any]:
        return {"failure": None, "result": {"config": {"gateway": {"controlUi": self.configuration}}}}

    def use_browser(self, uid: int = 0) -> None:
        browser = self.cli.home / "browser"
        browser.write_text(BROWSER.format(python=sys.executable, out=str(self.seen), uid=uid))
        browser.chmod(0o755)
        self.cli.env["BROWSER"] = str(browser)

    def settings(self, **gateway: Any) -> None:
        folder = self.cli.home / ".openclaw"
        folder.mkdir(mode=0o700)
        (folder / "openclaw.json").write_text(json.dumps({"gateway": gateway}))

    def token_file(self, text: str = TOKEN) -> Path:
        path = self.cli.home / "token"
        path.write_text(text + "\n")
        return path

    def __call__(self, *args: str | Path, stdin: str = "") -> Answer:
        with serving(self.cli.tunnel_home, self.daemon):
            answer = self.cli("open", *args, stdin=stdin)
        assert "s3cret" not in answer.stdout + answer.stderr
        return answer

    def went_to(self) -> str | None:
        """Where the browser was sent; None where it was not started."""
        if not self.seen.exists():
            return None
        url, status, location, _ = json.loads(self.seen.read_text())
        assert "s3cret" not in url
        assert status == 302
        return str(location)

    def questions(self) -> list[dict[str, Any]]:
        return [params["question"] for method, params in self.daemon.asked if method == "ask"]


@pytest.fixture
def world(cli: Cli) -> Iterator[World]:
    made = World(cli)
    try:
        yield made
    finally:
        made.site.close()


def test_signed_in_with_the_token_of_the_settings(world: World) -> None:
    world.settings(mode="remote", remote={"token": TOKEN, "password": PASSWORD})
    answer = world()
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout == f"opened {world.url} in the browser\n"
    assert world.went_to() == f"{world.url}{LOCATION_TOKEN}"
    assert [bearer for _, bearer in world.site.asked] == [TOKEN]
    (question,) = world.questions()
    assert (question["kind"], question["method"], question["token"]) == ("call", "config.get", "")


@pytest.mark.parametrize("by_stdin", [False, True])
def test_signed_in_with_the_token_of_a_file(world: World, by_stdin: bool) -> None:
    world.settings(mode="remote", remote={"token": "another"})
    where, stdin = ("-", TOKEN) if by_stdin else (str(world.token_file()), "")
    answer = world("default", "--token-file", where, stdin=stdin)
    assert answer.exit_code == 0, answer.stderr
    assert world.went_to() == f"{world.url}{LOCATION_TOKEN}"


@pytest.mark.parametrize("token", ["", "stale-s3cret"])
def test_a_password_is_left_to_the_page(world: World, token: str) -> None:
    world.answers = gateway(PASSWORD)
    world.settings(mode="remote", remote={"token": token, "password": PASSWORD} if token else {"password": PASSWORD})
    answer = world()
    assert answer.exit_code == 0, answer.stderr
    asks = "the page asks for the gateway's password, as in gateway.remote.password"
    assert answer.stdout == f"opened {world.url} in the browser; {asks}\n"
    assert world.went_to() == world.url
    assert [bearer for _, bearer in world.site.asked] == list(filter(None, [token, PASSWORD]))


def test_a_gateway_that_wants_nothing(world: World) -> None:
    for base_path in ("", "/ui"):
        world.answers = gateway("", base_path)
        world.configuration = {"basePath": base_path}
        answer = world()
        assert answer.stdout == f"opened {world.url}{base_path[1:]}{base_path and '/'} in the browser\n"
        assert world.went_to() == f"{world.url}{base_path[1:]}{base_path and '/'}"


def test_no_token_is_known_here(world: World) -> None:
    answer = world()
    assert answer.exit_code == 0, answer.stderr
    assert answer.stdout == f"opened {world.url} in the browser; the page asks for the gateway's token or password\n"
    assert world.went_to() == world.url


def test_a_wrong_token(world: World) -> None:
    """The daemon finds out: over HTTP the gateway lets those with a wrong one wait."""
    world.daemon.methods["ask"] = lambda params, emit: {"failure": FAILURE}
    answer = world("--token-file", world.token_file("wrong-s3cret"))
    assert answer.exit_code == 31
    assert answer.stderr == "error: the gateway refuses\n\nhint: set the token\n"
    assert world.went_to() is None
    assert world.site.asked == []
    assert [question["token"] for question in world.questions()] == ["wrong-s3cret"]


def test_another_base_path(world: World) -> None:
    world.answers = gateway(TOKEN, "/ui/x")
    world.configuration = {"basePath": "ui/x/"}
    answer = world("--token-file", world.token_file())
    assert answer.stdout == f"opened {world.url}ui/x/ in the browser\n"
    assert world.went_to() == f"{world.url}ui/x/{LOCATION_TOKEN}"
    world.seen.unlink()
    assert world("--token-file", world.token_file(), "--print").stdout == f"{world.url}ui/x/\n"
    assert world.went_to() is None


def test_it_is_switched_off(world: World) -> None:
    world.answers = gateway(TOKEN, "/elsewhere")
    world.configuration = {"enabled": False}
    answer = world("--token-file", world.token_file())
    assert answer.exit_code == 1
    assert "gateway.controlUi.enabled is false" in answer.stderr
    assert "hint: on that host: openclaw config set gateway.controlUi.enabled true" in answer.stderr
    assert world.went_to() is None


def test_it_is_not_served(world: World) -> None:
    world.answers = lambda path, bearer: (500, "oh")
    answer = world("--token-file", world.token_file())
    assert answer.exit_code == 1
    assert answer.stderr.startswith("error: the gateway on gw does not serve its Control UI: it answers HTTP 500\n")
    assert world.went_to() is None


@pytest.mark.parametrize("says", [*NOT_A_GATEWAY.values(), UNREACHABLE["half a body"]])
def test_an_odd_answer_is_no_page(says: Pieces) -> None:
    """What comes after the end of an answer, or has none, is not waited for."""
    with in_thread(odd_gateway) as (gateway, to):
        gateway.says = says
        assert told_base_path(get(f"http://{to}", CONFIG_PATH, TOKEN)) is None


def test_a_token_that_no_header_can_hold(world: World) -> None:
    world.settings(mode="remote", remote={"token": "s3cret\nfoo"})
    assert world().stderr.startswith("error: the gateway on gw does not serve its Control UI: it does not answer")
    assert world.went_to() is None


def test_a_reference_that_cannot_be_resolved(world: World) -> None:
    world.settings(mode="remote", remote={"token": {"source": "env", "provider": "default", "id": "GONE"}})
    answer = world()
    assert answer.exit_code == 11
    assert "gateway.remote.token" in answer.stderr
    assert world.site.asked == []
    assert world("--print").stdout == f"{world.url}\n"


def test_no_tunnel_runs(world: World) -> None:
    world.daemon.tunnels = []
    for answer in (world(), world("lab"), world("--print"), world.cli("open")):
        assert answer.exit_code == 3
        assert answer.stderr.startswith("error: no tunnel ")
        assert "openclaw-tunnel up" in answer.stderr


def test_the_tunnel_is_down(world: World) -> None:
    failure = FailureStatus("refused", "gateway.example:22 refused the connection", "is sshd running?", False, 20)
    down = replace(world.up, state=State.BACKOFF, failure=failure)
    world.daemon.tunnels = [down]

    def watch(params: dict[str, Any], emit: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        emit({"snapshot": down.to_json()})  # another try was no better
        return {}

    world.daemon.methods["watch"] = watch
    answer = world()
    assert answer.exit_code == 20
    assert answer.stderr == "error: gateway.example:22 refused the connection\n\nhint: is sshd running?\n"
    assert world.went_to() is None
    printed = world("--print")
    assert (printed.exit_code, printed.stdout) == (0, f"{world.url}\n")
    assert world.site.asked == []


@pytest.mark.parametrize(("state", "verdict"), [(State.VERIFYING, Verdict.UNKNOWN), (State.DEGRADED, Verdict.STARTING)])
def test_a_tunnel_that_is_just_coming_up_is_waited_for(world: World, state: State, verdict: Verdict) -> None:
    world.daemon.tunnels = [replace(world.up, state=state, gateway=GatewayStatus(verdict))]

    def watch(params: dict[str, Any], emit: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        for state in (State.VERIFYING, State.UP):
            emit({"snapshot": replace(world.up, state=state).to_json()})
        return {}

    world.daemon.methods["watch"] = watch
    assert world("--token-file", world.token_file()).exit_code == 0
    assert world.went_to() == f"{world.url}{LOCATION_TOKEN}"


def test_a_tunnel_that_listens_on_every_address(world: World) -> None:
    forward = replace(world.up.forwards[0], listen=f"0.0.0.0:{world.site.port}")
    world.daemon.tunnels = [replace(world.up, forwards=(forward,))]
    assert world("--token-file", world.token_file()).exit_code == 0
    assert world.went_to() == f"{world.url}{LOCATION_TOKEN}"


def test_a_tunnel_that_listens_on_a_socket(world: World) -> None:
    world.daemon.tunnels = [replace(world.up, forwards=(replace(world.up.forwards[0], listen="/run/gw.sock"),))]
    answer = world()
    assert answer.exit_code == 1
    assert "/run/gw.sock, which browsers cannot open" in answer.stderr


def test_nothing_answers_for_the_base_path(world: World) -> None:
    world.site.close()
    world.daemon.methods["ask"] = lambda params, emit: {"failure": {**FAILURE, "exit_code": 30}}
    try:
        assert world().exit_code == 30
        assert world("--print").stdout == f"{world.url}\n"
    finally:
        world.site = Site(world.answers)


def test_no_browser(world: World) -> None:
    """As over SSH: nothing but a text browser, which is not let at the terminal."""
    del world.cli.env["BROWSER"]
    answer = world("--token-file", world.token_file())
    by_hand = f"open it yourself, in a browser on this computer: {world.url}; the page asks for the gateway's token"
    assert answer.exit_code == 1
    assert answer.stderr == f"error: there is no browser here that could be started\n\nhint: {by_hand}\n"
    world.cli.env["BROWSER"] = "w3m"
    answer = world("--token-file", world.token_file())
    assert answer.exit_code == 1
    assert "there is no browser here that could be started; BROWSER names none: w3m\n" in answer.stderr


def test_no_browser_comes(world: World) -> None:
    world.cli.env["BROWSER"] = "true"
    world.settings(mode="remote", remote={"token": TOKEN})
    answer = world("--timeout", "0.2")
    assert answer.exit_code == 1
    assert answer.stderr.startswith("error: no browser came for the page (tried: true)\n")
    assert f"{world.url}; the page asks for the gateway's token, as in gateway.remote.token\n" in answer.stderr


def test_on_a_terminal_it_says_what_it_waits_for(world: World) -> None:
    world.settings(mode="remote", remote={"token": TOKEN})
    env = environment(world.cli.home, {**world.cli.env, "BROWSER": "true", "TERM": "dumb"})
    person, ours = pty.openpty()
    with serving(world.cli.tunnel_home, world.daemon):
        child = Child(command("open", "--timeout", "2"), world.cli.home / "log", env, terminal=ours)
        os.close(ours)
        said = b""
        with contextlib.suppress(OSError):  # Linux: the other end is closed
            while chunk := os.read(person, 1000):
                said += chunk
        os.close(person)
        assert child.wait() == 1
    assert b"waiting for the browser ...\r\nerror: no browser came" in said


def test_another_user_is_faster(world: World) -> None:
    root_required("the browser becomes another user")
    os.chmod(world.cli.home, 0o711)
    world.seen.touch()
    world.seen.chmod(0o666)
    world.use_browser(uid=65534)
    answer = world("--token-file", world.token_file(), "--timeout", "6")
    assert answer.exit_code == 1
    assert "warning: the user nobody tried to fetch the link that was made for your browser" in answer.stderr
    _, status, location, _ = json.loads(world.seen.read_text())
    assert (status, location) == (403, None)


def test_bad_usage(world: World) -> None:
    assert world("a", "b").exit_code == 2
    assert world("--timeout", "0").exit_code == 2
    assert world("--token-file", "").exit_code == 2
    assert world("--token-file", "/no/such/file").exit_code == 10
