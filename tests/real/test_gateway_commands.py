"""``health``, ``probe`` and ``call`` through a real sshd to real gateways: the right verdict and code each time."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.cli import Answer, Cli
from support.gateway import OLD, Gateway
from support.process import pids_with_environment
from support.servers import Sshd
from support.waiting import free_port

STRICT = {
    "gateway": {
        "auth": {"rateLimit": {"maxAttempts": 2, "windowMs": 60_000, "lockoutMs": 60_000, "exemptLoopback": False}},
        "nodes": {"pairing": {"autoApproveLocal": False}},
    }
}
WRONG = "wrong-7d1e9a52"


class User(Cli):
    """A user with a tunnel to each gateway."""

    def __init__(self, sshd: Sshd) -> None:
        super().__init__()
        self.use_ssh_config(sshd.ssh_config("gw"))
        self._names: dict[int, str] = {}

    def secret(self, text: str) -> str:
        """A file that holds ``text``."""
        path = self.home / f"secret-{text[:6]}"
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    def tunnel(self, port: int) -> str:
        """The name of the tunnel to a port of the host; it is brought up for the first who asks."""
        if port not in self._names:
            name = f"t{len(self._names)}"
            up = self("up", "-d", "gw", "-n", name, "-p", str(free_port()), "-r", str(port))
            assert "Traceback" not in up.stderr
            self._names[port] = name
        return self._names[port]

    def ask(self, command: str, port: int, *arguments: str) -> tuple[int, dict[str, Any]]:
        """``probe --json`` or another; exit code and answer, which agree."""
        answer = self(command, "--json", "-n", self.tunnel(port), *arguments)
        return checked(answer)


def checked(answer: Answer) -> tuple[int, dict[str, Any]]:
    """The one object of an answer, and the exit code."""
    assert answer.stderr == ""
    found: dict[str, Any] = answer.json()
    assert found["ok"] is (answer.exit_code == 0)
    assert (found["failure"] or {"exit_code": 0})["exit_code"] == answer.exit_code
    return answer.exit_code, found


def agreed(user: User, port: int, *arguments: str) -> tuple[int, str, dict[str, Any]]:
    """What ``probe`` says, after ``health`` has said the same."""
    code, probe = user.ask("probe", port, *arguments)
    health_code, health = user.ask("health", port, *arguments)
    assert (health_code, health["verdict"]) == (code, probe["verdict"])
    failed = [layer["name"] for layer in probe["layers"] if layer["outcome"] == "failed"]
    assert len(failed) == (code != 0)
    return code, probe["verdict"], {**probe, "failed": failed[0] if failed else None, "health": health.get("health")}


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    """One user and one sshd for all of it."""
    with Sshd() as sshd, User(sshd) as one:
        yield one


@pytest.fixture
def ready(gateway: Gateway) -> Gateway:
    """The shared gateway, in auth mode token, letting clients in."""
    gateway.wait_ready()
    return gateway


@pytest.fixture(scope="module")
def strict() -> Iterator[Gateway]:
    """A gateway in auth mode password that locks loopback out as well, and approves no device by itself."""
    with Gateway("password", settings=STRICT) as running:
        running.wait_ready()
        yield running


def test_token(user: User, ready: Gateway) -> None:
    token = user.secret(ready.token)
    code, verdict, answer = agreed(user, ready.port, "--token-file", token)
    assert (code, verdict, answer["version"], answer["protocol"]) == (0, "healthy", "2026.9.6", 4)
    assert answer["scopes"] == ["operator.read"]
    assert answer["health"]["ok"] is True
    code, called = user.ask("call", ready.port, "--token-file", token, "config.schema")
    assert code == 0
    assert len(json.dumps(called)) > 1 << 20
    code, called = user.ask("call", ready.port, "--token-file", token, "no.such.method")
    assert (code, called["failure"]["code"]) == (1, "call_refused")


def test_wrong_token_and_none(user: User, ready: Gateway) -> None:
    code, verdict, answer = agreed(user, ready.port, "--token-file", user.secret(WRONG))
    assert (code, verdict, answer["failed"]) == (31, "auth_failed", "credentials")
    assert "token mismatch" in answer["failure"]["message"]
    code, verdict, answer = agreed(user, ready.port)
    assert (code, verdict, answer["failure"]["code"]) == (31, "auth_failed", "auth_missing")


def test_the_configured_token(user: User, ready: Gateway) -> None:
    folder = user.home / ".openclaw"
    folder.mkdir(mode=0o700)
    try:
        config = {"gateway": {"mode": "remote", "remote": {"token": ready.token}}}
        (folder / "openclaw.json").write_text(json.dumps(config))
        code, verdict, answer = agreed(user, ready.port)
        assert (code, verdict, answer["credentials"]["token"]) == (0, "healthy", "gateway.remote.token")
        config["gateway"]["remote"] = {"token": {"source": "env", "provider": "default", "id": "NO_SUCH_TOKEN"}}
        (folder / "openclaw.json").write_text(json.dumps(config))
        code, probe = user.ask("probe", ready.port)
        assert (code, probe["failure"]["code"]) == (11, "credential")
        code, health = user.ask("health", ready.port)
        assert (code, health["failure"]["code"]) == (11, "credential")
    finally:
        (folder / "openclaw.json").unlink()
        folder.rmdir()


def test_pairing_then_wrong_passwords_and_the_lock(user: User, strict: Gateway) -> None:
    password = user.secret(strict.token)
    code, verdict, answer = agreed(user, strict.port, "--password-file", password)
    assert (code, verdict) == (0, "healthy")
    code, verdict, answer = agreed(user, strict.port, "--password-file", password, "--device")
    assert (code, verdict) == (31, "pairing_required")
    assert answer["failure"]["hint"].startswith("on the gateway's host run: openclaw devices approve ")
    assert "REQUEST" not in answer["failure"]["hint"]
    wrong = user.secret(WRONG)
    code, verdict, answer = agreed(user, strict.port, "--password-file", wrong)  # two tries: that is the limit
    assert (code, verdict) == (31, "auth_failed")
    code, verdict, answer = agreed(user, strict.port, "--password-file", password)
    assert (code, verdict, answer["failure"]["code"]) == (31, "auth_failed", "rate_limited")
    assert answer["expected_in_s"] > 1


def test_no_authentication(user: User) -> None:
    with Gateway("none") as gateway:
        gateway.wait_ready()
        assert agreed(user, gateway.port)[:2] == (0, "healthy")
        assert agreed(user, gateway.port, "--token-file", user.secret(WRONG))[:2] == (0, "healthy")


def test_the_oldest_release(user: User) -> None:
    with Gateway(release=OLD) as gateway:
        gateway.wait_ready()
        code, verdict, answer = agreed(user, gateway.port, "--token-file", user.secret(gateway.token))
        assert (code, verdict, answer["version"], answer["protocol"]) == (0, "healthy", OLD, 3)
        assert agreed(user, gateway.port, "--token-file", user.secret(WRONG))[:2] == (31, "auth_failed")


def test_something_else_on_the_port(user: User) -> None:
    with web_server() as port:
        assert agreed(user, port, "--token-file", user.secret(WRONG))[:2] == (32, "not_a_gateway")


def test_stopped_then_starting_then_well(user: User, ready: Gateway) -> None:
    token = user.secret(ready.token)
    user.tunnel(ready.port)
    ready.stop()
    code, verdict, answer = agreed(user, ready.port, "--token-file", token)
    assert (code, verdict, answer["failed"]) == (30, "not_listening", "channel")
    seen: list[tuple[int, str]] = []
    with background(ready.start):
        deadline = time.monotonic() + 120
        while "starting" not in dict(map(reversed, seen)) and time.monotonic() < deadline:  # type: ignore[arg-type]
            code, probe = user.ask("probe", ready.port, "--token-file", token, "--timeout", "5")
            seen.append((code, probe["verdict"]))
        code, health = user.ask("health", ready.port, "--token-file", token, "--timeout", "110")
    assert set(seen) <= {(30, "not_listening"), (30, "starting"), (0, "healthy")}
    assert (30, "starting") in seen
    assert (code, health["verdict"]) == (0, "healthy"), "health waits for a gateway that is starting"


def test_without_a_daemon(user: User, ready: Gateway) -> None:
    with Cli(user.env) as other:
        config = {"gateway": {"mode": "remote", "remote": {"sshTarget": "gw", "remotePort": ready.port}}}
        (other.home / ".openclaw").mkdir(mode=0o700)
        (other.home / ".openclaw" / "openclaw.json").write_text(json.dumps(config))
        for command in ("probe", "health"):
            code, found = checked(other(command, "--json", "--token-file", user.secret(ready.token)))
            assert (code, found["verdict"]) == (0, "healthy"), found
            assert found["via"].startswith("ssh ")
        assert other.processes() == []


def test_no_secret_anywhere(ready: Gateway, user: User) -> None:
    """Known secrets from files and settings: in no list of processes, log, history, answer or file of ours."""
    secrets = {"file": ready.token, "config": "config-a81f33c0", "wrong": WRONG, "exec": "exec-55d0b7e1"}
    with Cli(user.env) as one:
        provider = one.home / "provider"
        provider.write_text(f'#!/bin/sh\nprintf \'{{"protocolVersion":1,"values":{{"gw":"%s"}}}}\' {secrets["exec"]}\n')
        provider.chmod(0o700)
        token: Any = {"source": "exec", "provider": "vault", "id": "gw"}
        remote = {"url": "ws://127.0.0.1:18789", "token": token, "password": secrets["config"]}
        exec_provider = {"source": "exec", "command": str(provider), "jsonOnly": True}
        config = {"gateway": {"mode": "remote", "remote": remote}, "secrets": {"providers": {"vault": exec_provider}}}
        settings = one.home / ".openclaw" / "openclaw.json"
        settings.parent.mkdir(mode=0o700)
        settings.write_text(json.dumps(config))
        given = {name: one.home / f"given-{name}" for name in ("file", "wrong")}
        for name, path in given.items():
            path.write_text(secrets[name])
        ours = {settings, provider, *given.values()}
        with watching(one) as seen:
            outputs = run_everything(one, ready, given)
            remote["token"] = secrets["config"]
            settings.write_text(json.dumps(config))
            outputs += run_everything(one, ready, given)
            outputs.append(one("status", "--json").stdout)
            outputs.append(one("logs").stdout)
        files = [path for path in one.home.rglob("*") if path.is_file() and path not in ours]
        outputs += [path.read_bytes().decode(errors="replace") for path in files]
    assert len(seen) > 10, "processes were looked at"
    everything = "\n".join([*outputs, *seen])
    assert [name for name, secret in secrets.items() if secret in everything] == []
    assert "auth_failed" in everything


def run_everything(one: Cli, gateway: Gateway, given: dict[str, Path]) -> list[str]:
    """Run every command with and without errors; all that was printed.

    Wrong secrets are sent a few times only: the gateway answers each of them later than the one before.
    """
    good, bad = ("--token-file", str(given["file"])), ("--token-file", str(given["wrong"]))
    with_password = f"ws://user:{given['wrong'].read_text()}@127.0.0.1:1"
    done = [one("up", "-d", "gw", "-p", str(free_port()), "-r", str(gateway.port))]
    for command in (["health"], ["probe"], ["call", "no.such.method"]):
        done += [one(*command, *good, "--json"), one(*command, *bad), one(*command, *good)]
        done += [one(*command, "--direct", "--json"), one(*command, "--url", with_password, *good)]
    done += [
        one("health"),
        one("call", "status", *good),
        one("probe", *good, "--url", f"ws://127.0.0.1:{gateway.port}"),
    ]
    done += [one("status"), one("restart"), one("wait"), one("down"), one("probe", *good)]
    assert {0, 1, 31} <= {answer.exit_code for answer in done}
    return [answer.stdout + answer.stderr for answer in done]


@contextmanager
def watching(one: Cli) -> Iterator[set[str]]:
    """Look at the arguments of every process of ``one``, and at the environment of the daemon, again and again.

    The one URL with a password in it is an argument that the user typed, and is left out.
    """
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for pid in pids_with_environment(f"OPENCLAW_TUNNEL_HOME={one.tunnel_home}"):
                try:
                    arguments = Path(f"/proc/{pid}/cmdline").read_text()
                    environment = Path(f"/proc/{pid}/environ").read_text()
                except OSError:
                    continue
                if "ws://user:" not in arguments:
                    seen.add(arguments)
                seen.add(environment)

    with background(look, over.set):
        yield seen


@contextmanager
def background(work: Any, end: Any = lambda: None) -> Iterator[None]:
    """Let a thread do ``work`` meanwhile."""
    thread = threading.Thread(target=work, name="background")
    thread.start()
    try:
        yield
    finally:
        end()
        thread.join(90)
        assert not thread.is_alive()


@contextmanager
def web_server() -> Iterator[int]:
    """Answers everything with a page and status 200."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)
                body = b"<!doctype html>"
                head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)

    def close() -> None:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    with background(serve, close):
        yield listener.getsockname()[1]
