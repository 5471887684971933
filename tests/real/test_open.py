"""``open`` with a real gateway, a real sshd and a real browser: signed in, and still there after an outage."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.chromium import Chromium
from support.cli import Cli
from support.gateway import Gateway
from support.process import running_pids
from support.servers import Sshd
from support.waiting import free_port, wait_until

LOAD = 25.0
"""Seconds for the Control UI to come on a busy machine."""

BACK = 60.0
"""Seconds for the page to notice that the gateway is back."""

SNAPSHOT = """
(() => {
  const found = document.querySelector('openclaw-app')?.runtime?.context?.gateway?.snapshot;
  return found ? { phase: found.phase, auth: found.hello?.auth } : null;
})()
"""
"""What the Control UI of OpenClaw 2026.9 knows of its connection."""


@contextmanager
def no_process_shows(secret: str) -> Iterator[None]:
    """Meanwhile no process has ``secret`` among its arguments; looked at all the time."""
    over, shown = threading.Event(), set[str]()

    def look() -> None:
        while not over.wait(0.01):
            shown.update(command for pid in running_pids() if secret in (command := arguments(pid)))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert shown == set()


def arguments(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def browser() -> Iterator[Chromium]:
    with Chromium(by_others=True) as made:
        yield made


@pytest.fixture
def user(cli: Cli, browser: Chromium) -> Cli:
    """A user whose browser is ``browser``, and whose clients wait no longer than a moment."""
    cli.set_policy(hold=0.2, dialGap=0.2, backoffMax=3)
    cli.env["BROWSER"] = str(browser.script)
    return cli


def configure(cli: Cli, **remote: Any) -> None:
    folder = cli.home / ".openclaw"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "openclaw.json").write_text(json.dumps({"gateway": {"mode": "remote", "remote": remote}}))


def up(cli: Cli, sshd: Sshd, gateway: Gateway) -> int:
    """``up -d`` on a port of its own; the local port."""
    cli.use_ssh_config(sshd.ssh_config("gw"))
    port = free_port()
    answer = cli("up", "-d", "gw", "-p", str(port), "-r", str(gateway.port))
    assert answer.exit_code == 0, answer.stderr
    return port


def is_signed_in(browser: Chromium) -> bool:
    found = browser.evaluate(SNAPSHOT)
    if not found or found["phase"] != "connected":
        return False
    assert {"operator.read", "operator.write", "operator.admin"} <= set(found["auth"]["scopes"]), found
    return True


def test_signed_in_and_still_there_after_an_outage(
    user: Cli, sshd: Sshd, gateway: Gateway, browser: Chromium, tmp_path: Path
) -> None:
    gateway.wait_ready()
    token = gateway.token
    configure(user, token=token)
    port = up(user, sshd, gateway)
    assert port != gateway.port
    with no_process_shows(token):
        answer = user("open")
        assert (answer.exit_code, answer.stderr) == (0, "")
        assert answer.stdout == f"opened http://127.0.0.1:{port}/ in the browser\n"
        browser.attach()
        wait_until(lambda: is_signed_in(browser), LOAD, "the Control UI, signed in")
        assert browser.evaluate(SNAPSHOT)["auth"]["method"] == "token"
        assert "openclaw.control.token" in str(browser.evaluate("Object.keys(sessionStorage)"))

        sshd.kill()
        wait_until(lambda: not is_signed_in(browser), LOAD, "the page to notice the outage")
        sshd.start()
        wait_until(lambda: is_signed_in(browser), BACK, "the page to come back by itself")

        sshd.kill()
        wait_until(lambda: not is_signed_in(browser), LOAD, "the second outage")
        browser.call("Page.reload")
        wait_until(lambda: "No connection to gw" in browser.text(), LOAD, "the waiting page")
        sshd.start()
        wait_until(lambda: is_signed_in(browser), BACK, "the Control UI instead of the waiting page, still signed in")
        browser.picture(tmp_path / "signed-in.png")
    history = browser.call("Page.getNavigationHistory")["entries"]
    assert {entry["url"].rpartition("?")[0] or entry["url"] for entry in history} == {
        browser.evaluate("location.origin + location.pathname")
    }
    shown = [*browser.requests, json.dumps(history), str(browser.evaluate("location.href")), user("logs").stdout]
    assert not [text for text in (*shown, answer.stdout, answer.stderr) if token in text]


def test_a_wrong_token_opens_no_browser(user: Cli, sshd: Sshd, gateway: Gateway, browser: Chromium) -> None:
    gateway.wait_ready()
    configure(user, token="wr0ng")
    port = up(user, sshd, gateway)
    answer = user("open")
    assert answer.exit_code == 31
    assert "(sent was gateway.remote.token)" in answer.stderr
    assert "hint: set the token that the gateway on gw has in gateway.auth.token" in answer.stderr
    assert user("open", "--print").stdout == f"http://127.0.0.1:{port}/\n"
    assert browser.processes() == []


def test_a_password_and_a_base_path(user: Cli, sshd: Sshd, browser: Chromium) -> None:
    """The page asks for the password: it is in no address."""
    with Gateway("password", settings={"gateway": {"controlUi": {"basePath": "ui"}}}) as gateway:
        gateway.wait_ready()
        configure(user, password=gateway.token)
        port = up(user, sshd, gateway)
        answer = user("open")
        assert answer.exit_code == 0, answer.stderr
        asks = "the page asks for the gateway's password, as in gateway.remote.password"
        assert answer.stdout == f"opened http://127.0.0.1:{port}/ui/ in the browser; {asks}\n"
        browser.attach()
        wait_until(lambda: "Gateway secret" in browser.text(), LOAD, "the form")
        assert gateway.token not in str(browser.evaluate("location.href"))
        assert str(browser.evaluate("location.pathname")).startswith("/ui/")
