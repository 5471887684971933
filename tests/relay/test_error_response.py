"""The whole answer: head, JSON, page."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, cast

import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, RetryStatus, Snapshot
from openclaw_tunnel.relay.error_body import NO_DETAILS, error_body
from openclaw_tunnel.relay.error_html import document
from openclaw_tunnel.relay.error_response import answer
from openclaw_tunnel.relay.http_request import Request

REFUSED = Failure(Code.REFUSED, "gateway.example:22 refused the connection", {"host": "gateway.example:22"})
NOT_LISTENING = Failure(Code.NOT_LISTENING, "nothing listens on 127.0.0.1:18789 of gateway.example:22")
HOSTILE = "<script>alert(1)</script>\"'&amp;</title></script><img src=x onerror=alert(1)>"
VOID = {"meta", "link", "br", "img", "input"}


def snapshot(state: State = State.BACKOFF, failure: Failure | None = REFUSED) -> Snapshot:
    return Snapshot(
        name="default",
        state=state,
        since="2026-11-24T08:00:01Z",
        target="me@gateway.example:22",
        alias="gw",
        forwards=(ForwardStatus("127.0.0.1:18789", "127.0.0.1:18789", listening=True),),
        retry=RetryStatus(attempt=3, next_in_s=11.4 if state is State.BACKOFF else None),
        failure=FailureStatus(**failure.to_json()) if failure else None,
    )


def program(*, head: bool = False, host: str = "127.0.0.1") -> Request:
    return Request(is_head=head, wants_page=False, host=host)


def browser(*, head: bool = False, host: str = "127.0.0.1") -> Request:
    return Request(is_head=head, wants_page=True, host=host)


class _Bytes:
    """What HTTPResponse takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> BytesIO:
        return BytesIO(self._data)


def read(data: bytes, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    """The answer as Python's own client understands it, and its body."""
    response = HTTPResponse(cast(Any, _Bytes(data)), method=method)
    response.begin()
    return response, response.read()


class Page(HTMLParser):
    """Checks that what is opened is closed, and keeps texts by id and all tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("id")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for tag, name in self.open:
            key = name or tag
            self.texts[key] = self.texts.get(key, "") + data

    def attributes(self, name: str) -> dict[str, str | None]:
        return next(found for _, found in self.tags if found.get("id") == name)


def page(state: State = State.BACKOFF, failure: Failure | None = REFUSED, refusal: Failure | None = None) -> Page:
    return Page(read(answer(browser(), snapshot(state, failure), refusal))[1].decode())


def test_the_head() -> None:
    response, body = read(answer(program(), snapshot(), None))
    assert (response.version, response.status, response.reason) == (11, 503, "Service Unavailable")
    assert dict(response.getheaders()) == {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Retry-After": "12",
        "Connection": "close",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def test_the_json() -> None:
    tunnel = snapshot(State.UP, None)
    _, body = read(answer(program(), tunnel, NOT_LISTENING))
    assert json.loads(body) == error_body(tunnel, NOT_LISTENING, "127.0.0.1").to_json()
    assert json.loads(body)["error"]["code"] == "not_listening"


def test_a_person_gets_a_page_with_the_same_head() -> None:
    plain, _ = read(answer(program(), snapshot(), None))
    shown, body = read(answer(browser(), snapshot(), None))
    differ = {"Content-Type", "Content-Length", "Content-Security-Policy"}
    assert {*shown.getheaders()} - {*plain.getheaders()} == {(name, shown.getheader(name)) for name in differ}
    assert shown.getheader("Content-Type") == "text/html; charset=utf-8"
    assert body.startswith(b"<!doctype html>")


@pytest.mark.parametrize("request_", [program(head=True), browser(head=True)])
def test_head_gets_the_head_alone(request_: Request) -> None:
    whole = answer(replace(request_, is_head=False), snapshot(), None)
    head = answer(request_, snapshot(), None)
    assert head == whole[: whole.index(b"\r\n\r\n") + 4]


def test_what_the_page_says() -> None:
    shown = page()
    assert shown.texts["title"].count("No connection to gw") == 2  # the tab's and the heading
    assert shown.texts["state"] == "backoff"
    assert shown.texts["message"] == "gateway.example:22 refused the connection"
    assert shown.texts["hint"].startswith("Is the SSH server running on gateway.example:22")
    assert shown.texts["code"] == "systemctl status ssh"
    assert shown.texts["target"] == "me@gateway.example:22 (gw)"
    assert shown.texts["since"] == "2026-11-24T08:00:01Z"
    assert shown.texts["next"] == "in 12 s"
    assert "keeps trying by itself" in shown.texts["outlook"]
    assert "hidden" not in shown.attributes("next-row")


def test_the_page_of_a_gateway_that_does_not_run_says_where_to_start_what() -> None:
    shown = page(State.DEGRADED, NOT_LISTENING, NOT_LISTENING)
    assert shown.texts["hint"].startswith("Start the gateway on gw: openclaw gateway run")
    assert shown.texts["code"] == "openclaw gateway run"
    assert "hidden" in shown.attributes("next-row")


def test_the_page_of_a_tunnel_that_needs_a_person() -> None:
    shown = page(State.FAILED, Failure(Code.HOST_KEY_UNKNOWN, "host key", {"trust": "openclaw-tunnel trust 'a b'"}))
    assert shown.texts["code"] == "openclaw-tunnel trust 'a b'openclaw-tunnel restart default"
    assert shown.texts["message"] == "Host key"


def test_the_next_look_of_the_page_is_no_try_of_a_stopped_tunnel() -> None:
    """Its own tries are minutes apart, and no client hurries them: the page says in words when they are."""
    stopped = replace(NO_DETAILS, state=str(State.FAILED), retry_in_s=47.2)
    assert "hidden" in Page(document(stopped)).attributes("next-row")


def test_a_page_without_details_has_no_empty_rows() -> None:
    shown = Page(document(NO_DETAILS))
    assert [
        name for name in ("state", "target-row", "since-row", "next-row") if "hidden" in shown.attributes(name)
    ] == [
        "state",
        "target-row",
        "since-row",
        "next-row",
    ]
    assert "openclaw-tunnel status" in shown.texts["code"]


def test_a_foreign_host_gets_no_details() -> None:
    for request in (program(host="evil.example"), browser(host="evil.example")):
        data = answer(request, snapshot(), None)
        assert b"gateway.example" not in data
        assert b"backoff" not in data.replace(b"'backoff'", b"")  # the script's own word
        assert b"\r\nRetry-After: 12\r\n" in data


def test_nothing_becomes_markup() -> None:
    words = f"{HOSTILE} ssh -v {HOSTILE}"
    tunnel = replace(snapshot(failure=Failure(Code.CONFIG, words, {"hint": words})), target=words, alias=words)
    shown = Page(document(error_body(tunnel, None, "localhost")))
    assert [tag for tag, _ in shown.tags if tag in ("script", "img")] == ["script"]
    for name in ("message", "hint", "target"):
        assert shown.texts[name] == words
    assert shown.texts["code"].startswith("ssh -v <script>alert")
    assert shown.texts["title"].count(words) == 2
    _, body = read(answer(program(), tunnel, None))
    assert json.loads(body)["error"]["message"] == words


def test_the_policy_admits_this_script_and_this_style_and_nothing_else() -> None:
    response, body = read(answer(browser(), snapshot(), None))
    text = body.decode()

    def source(tag: str) -> str:
        parts = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(parts) == 1
        return f"'sha256-{base64.b64encode(hashlib.sha256(parts[0].encode()).digest()).decode()}'"

    assert response.getheader("Content-Security-Policy", "").split("; ") == [
        "default-src 'none'",
        f"script-src {source('script')}",
        f"style-src {source('style')}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    shown = page()
    links = [found[name] for _, found in shown.tags for name in ("src", "href", "style", "action") if name in found]
    assert len(links) == 1
    assert str(links[0]).startswith("data:image/svg+xml,")
    assert not [name for _, found in shown.tags for name in found if name.startswith("on")]


def test_the_page_is_made_for_everybody() -> None:
    shown = page()
    assert ("html", {"lang": "en"}) in shown.tags
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in shown.tags
    assert ("meta", {"name": "color-scheme", "content": "light dark"}) in shown.tags
    assert shown.attributes("now")["type"] == "button"
    (live,) = [found for _, found in shown.tags if "role" in found or "aria-live" in found]
    assert live == {"role": "status"}  # a polite live region; the countdown is outside of it
    text = document(error_body(snapshot(), None, "localhost"))
    region = text[text.index('role="status"') : text.index("<dl>")]
    assert 'id="message"' in region
    assert 'id="next"' not in region
    assert 'id="since"' not in region


@pytest.mark.parametrize(("left", "refresh"), [(0.3, 5), (11.4, 12), (600.0, 30), (None, 5)])
def test_without_scripts_the_page_reloads_as_a_whole(left: float | None, refresh: int) -> None:
    tunnel = replace(snapshot(), retry=RetryStatus(1, left))
    text = document(error_body(tunnel, None, "localhost"))
    assert f'<noscript><meta http-equiv="refresh" content="{refresh}; url=?"></noscript>' in text


def test_the_answer_is_small() -> None:
    assert len(answer(browser(), snapshot(), None)) < 16 << 10
