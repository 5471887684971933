"""What a person sees whose browser comes during an outage: a real browser, the real command line, a real sshd."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, RetryStatus, Snapshot
from openclaw_tunnel.relay.error_response import answer
from openclaw_tunnel.relay.http_request import Request
from support.chromium import OTHER_NAME, Chromium
from support.cli import Cli
from support.gateway import Gateway
from support.localsite import LocalSite, QuietHandler
from support.servers import Sshd
from support.waiting import free_port, wait_until

LOAD = 20.0
"""Seconds for a page to come on a busy machine."""

BACK = 60.0
"""Seconds for a page to notice that the gateway is back; it asks every 30 s at the latest."""


class Site(LocalSite):
    """A web server in place of the gateway; keeps whatever the browser sends.

    Attributes:
        trouble: answers as the tunnel does, which then is left out; None: a page of its own.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.trouble: Snapshot | None = None
        site = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                site.seen.append(f"{self.path}\n{self.headers}")
                if site.trouble is not None:
                    page = "text/html" in self.headers["Accept"]
                    self.wfile.write(answer(Request(False, page, "localhost"), site.trouble, None))
                    self.close_connection = True
                    return
                body = b"<!doctype html><title>the gateway</title><p>the gateway"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def browser() -> Iterator[Chromium]:
    with Chromium() as made:
        yield made


@pytest.fixture
def impatient(cli: Cli) -> Cli:
    """A user whose clients wait no longer than a moment."""
    cli.tunnel_home.mkdir()
    (cli.tunnel_home / "tunnels.json5").write_text("{ policy: { hold: 0.2, dialGap: 0.2, backoffMax: 5 } }")
    return cli


def up(cli: Cli, sshd: Sshd, remote_port: int, *more: str, exit_code: int = 0, known: bool = True) -> int:
    """``up -d``; the local port."""
    cli.use_ssh_config(sshd.ssh_config("gw", known=known))
    port = free_port()
    answer = cli("up", "-d", "gw", "-p", str(port), "-r", str(remote_port), *more)
    assert answer.exit_code == exit_code, answer.stderr
    return port


def cut(cli: Cli, sshd: Sshd) -> None:
    """Take sshd away; returns when the tunnel knows."""
    sshd.kill()
    wait_until(lambda: cli("status", "--json").json()["tunnels"][0]["failure"] is not None, 20, "the outage")


def shows(browser: Chromium, words: str, deadline: float = LOAD) -> None:
    wait_until(lambda: words in browser.text(), deadline, f"{words!r} on the page")


def rests(browser: Chromium) -> int:
    """Wait until the page has its answer; the seconds it says that it waits now."""
    found: list[str] = []

    def counts_down() -> bool:
        found[:] = re.findall(r"^in (\d+) s$", str(browser.evaluate("document.getElementById('next')?.textContent")))
        return bool(found)

    wait_until(counts_down, LOAD, "the countdown")
    return int(found[0])


def test_the_page_becomes_what_was_asked_for(impatient: Cli, sshd: Sshd, site: Site, browser: Chromium) -> None:
    port = up(impatient, sshd, site.port, "--probe", "tcp")
    cut(impatient, sshd)
    address = f"http://127.0.0.1:{port}/chat?session=s3ssion#token=s3cret"
    browser.open(address)
    shows(browser, "No connection to gw")
    assert f"127.0.0.1:{sshd.port} refused the connection" in browser.text()
    assert "systemctl status ssh" in browser.text()
    assert "Next try" in browser.text()
    assert browser.evaluate("document.title") == "No connection to gw"
    assert browser.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") == "576px"  # its style holds
    browser.evaluate("window.kept = true")
    asked = len(browser.requests)
    wait_until(lambda: browser.text() and len(browser.requests) > asked + 1, LOAD, "two more questions")
    assert browser.evaluate("window.kept") is True, "the words change in place"
    assert site.seen == []
    sshd.start()
    wait_until(lambda: browser.evaluate("document.title") == "the gateway", BACK, "the gateway's own page")
    assert browser.evaluate("location.href") == address
    assert {url for url in browser.requests if not url.startswith(f"http://127.0.0.1:{port}/")} == set()
    assert not [text for text in (*site.seen, *browser.requests) if "s3cret" in text]
    assert browser.complaints == []
    log = impatient("logs").stdout
    assert "s3ssion" not in log
    assert "s3cret" not in log


def test_the_page_of_a_stopped_gateway_becomes_the_control_ui(
    impatient: Cli, sshd: Sshd, gateway: Gateway, browser: Chromium
) -> None:
    port = up(impatient, sshd, gateway.port)
    gateway.stop()
    browser.open(f"http://127.0.0.1:{port}/")
    shows(browser, "No gateway is listening")
    assert "Start the gateway on gw: openclaw gateway run" in " ".join(browser.text().split())
    shows(browser, "degraded")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/control-ui-config.json", timeout=10)
    with refused.value as answer:
        assert (answer.code, json.load(answer)["error"]["code"]) == (503, "not_listening")
    assert browser.complaints == []
    gateway.start()
    wait_until(lambda: browser.evaluate("!!document.querySelector('openclaw-app')"), BACK, "the Control UI")


def test_the_page_of_a_tunnel_that_needs_a_person(impatient: Cli, sshd: Sshd, site: Site, browser: Chromium) -> None:
    """What the page says to do, done, brings the gateway's page."""
    port = up(impatient, sshd, site.port, "--probe", "tcp", exit_code=22, known=False)
    browser.open(f"http://localhost:{port}/")
    shows(browser, "Action required")
    assert sshd.fingerprint() in browser.text()
    command = str(browser.evaluate("document.querySelector('#hint code').textContent")).split()
    assert command[:2] == ["openclaw-tunnel", "trust"]
    assert impatient(*command[1:], "--fingerprint", sshd.fingerprint()).exit_code == 0
    wait_until(lambda: browser.evaluate("document.title") == "the gateway", BACK, "the gateway's own page")


def test_the_page_outlives_the_tunnel(impatient: Cli, sshd: Sshd, site: Site, browser: Chromium) -> None:
    port = up(impatient, sshd, site.port, "--probe", "tcp")
    cut(impatient, sshd)
    browser.open(f"http://127.0.0.1:{port}/")
    shows(browser, "No connection to gw")
    assert impatient("down").exit_code == 0
    shows(browser, "openclaw-tunnel is not running", BACK)
    sshd.start()
    again = ("up", "-d", "gw", "-p", str(port), "-r", str(site.port), "--probe", "tcp")
    assert impatient(*again).exit_code == 0
    wait_until(lambda: browser.evaluate("document.title") == "the gateway", BACK, "the gateway's own page")


def test_without_scripts(impatient: Cli, sshd: Sshd, site: Site, browser: Chromium) -> None:
    port = up(impatient, sshd, site.port, "--probe", "tcp")
    cut(impatient, sshd)
    browser.without_scripts()
    browser.open(f"http://127.0.0.1:{port}/chat#token=s3cret")  # a reload of its own address would stay in the page
    shows(browser, "No connection to gw")
    assert "Try now" not in browser.text()
    sshd.start()
    wait_until(lambda: browser.evaluate("document.title") == "the gateway", BACK, "the gateway's own page")
    assert site.seen[0].startswith("/chat?\n")


def test_a_web_site_with_our_address_learns_nothing(impatient: Cli, sshd: Sshd, site: Site, browser: Chromium) -> None:
    port = up(impatient, sshd, site.port, "--probe", "tcp")
    cut(impatient, sshd)
    browser.open(f"http://{OTHER_NAME}:{port}/")
    shows(browser, "The gateway cannot be reached")
    source = str(browser.evaluate("document.documentElement.outerHTML"))
    for secret in ("gw", str(sshd.port), sshd.user + "@", "refused", "default"):
        assert secret not in source.replace("default-src", "")


def told(state: State, failure: Failure, next_in_s: float | None = None) -> Snapshot:
    forward = ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", listening=True)
    why = FailureStatus(**failure.to_json())
    retry = RetryStatus(1, next_in_s)
    return Snapshot("dev", state, "2026-11-24T08:00:01Z", "gw:22", "gw", (forward,), retry=retry, failure=why)


def test_news_change_the_words_in_place(site: Site, browser: Chromium) -> None:
    """Nothing is touched that stays the same, so that a screen reader does not say it again and again."""
    site.trouble = told(State.BACKOFF, Failure(Code.REFUSED, "gw:22 refused the connection"))
    browser.open(f"http://127.0.0.1:{site.port}/")
    shows(browser, "No connection to gw")
    browser.evaluate(
        "window.changes = 0; new MutationObserver(() => changes++).observe(document.querySelector('[role=status]'),"
        "{ subtree: true, childList: true, characterData: true })"
    )
    wait_until(lambda: len(site.seen) > 2, LOAD, "two more questions")
    rests(browser)
    assert browser.evaluate("changes") == 0
    words = "<img src=x onerror=document.title='pwned'>"
    site.trouble = told(
        State.FAILED, Failure(Code.HOST_KEY_UNKNOWN, words, {"trust": f"openclaw-tunnel trust '{words}'"})
    )
    shows(browser, "Action required", BACK)
    assert browser.evaluate("document.querySelector('main').dataset.state") == "failed"
    assert browser.evaluate("document.getElementById('message').textContent") == words
    assert browser.evaluate("[...document.querySelectorAll('code')].map(node => node.textContent)") == [
        f"openclaw-tunnel trust '{words}'",
        "openclaw-tunnel restart dev",
    ]
    assert "Next try" not in browser.text()
    assert browser.evaluate("document.title") == "Action required"
    assert browser.complaints == []


def test_a_person_may_be_less_patient_than_the_page(site: Site, browser: Chromium) -> None:
    site.trouble = told(State.BACKOFF, Failure(Code.REFUSED, "gw:22 refused the connection"), next_in_s=1000.0)
    browser.open(f"http://127.0.0.1:{site.port}/")
    assert rests(browser) > 15
    assert len(site.seen) == 1
    browser.evaluate("document.getElementById('now').click()")
    wait_until(lambda: len(site.seen) == 2, 15, "a question at once")
    assert 15 < rests(browser) <= 30  # no page waits longer
    browser.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_until(lambda: len(site.seen) == 3, 15, "a question when somebody looks at the page again")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(impatient: Cli, sshd: Sshd, site: Site, browser: Chromium, scheme: str) -> None:
    """Nothing sticks out, in either scheme, and words are readable: at least 4.5 to 1, as WCAG 2.2 asks for."""
    port = up(impatient, sshd, site.port, "--probe", "tcp", exit_code=22, known=False)
    browser.resize(375, 700)
    browser.prefer(scheme)
    browser.open(f"http://127.0.0.1:{port}/")
    shows(browser, "Action required")
    assert browser.evaluate("document.documentElement.scrollWidth") == 375
    least = browser.evaluate(CONTRAST)
    assert least["ratio"] >= 4.5, least
    back = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back[4:-1].split(","))) < 200) == (scheme == "dark")


CONTRAST = """
(() => {
  const rgb = text => text.match(/[0-9.]+/g).map(Number);
  const light = text => {
    const [r, g, b] = rgb(text).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = node => {
    const color = getComputedStyle(node).backgroundColor;
    return rgb(color)[3] === 0 ? behind(node.parentElement) : color;
  };
  let least = { ratio: 21 };
  for (const node of document.querySelectorAll('main *')) {
    const own = [...node.childNodes].filter(child => child.nodeType === 3).map(child => child.data).join('').trim();
    if (!own || !node.getClientRects().length) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < least.ratio) least = { ratio, own };
  }
  return least;
})()
"""
"""The least contrast between any words of the page and what is behind them."""
