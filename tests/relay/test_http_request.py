"""Which first bytes are a request, and what of it is kept."""

import pytest

from openclaw_tunnel.relay.http_request import MOST, NotHttp, Request, parse

BROWSER = (
    b"GET /chat?token=s3cret HTTP/1.1\r\nHost: 127.0.0.1:18789\r\nAuthorization: Bearer s3cret\r\n"
    b"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n\r\n"
)


def request(*lines: str) -> Request:
    found = parse("".join(f"{line}\r\n" for line in (*lines, "")).encode(), more=True)
    assert found
    return found


def test_a_browser() -> None:
    assert parse(BROWSER, more=True) == Request(is_head=False, wants_page=True, host="127.0.0.1")


def test_nothing_else_of_a_request_is_kept() -> None:
    assert "s3cret" not in repr(parse(BROWSER, more=True))


def test_more_is_wanted_until_the_head_is_whole() -> None:
    for length in range(len(BROWSER)):
        assert parse(BROWSER[:length], more=True) is None, BROWSER[:length]


def test_a_head_that_stops_counts_as_far_as_it_goes() -> None:
    line = BROWSER.index(b"\r\n") + 2
    assert parse(BROWSER[:line], more=False) == Request(False, False, "")
    cut_in_accept = BROWSER[: BROWSER.index(b"xhtml")]
    assert parse(cut_in_accept, more=False) == Request(False, False, "127.0.0.1")
    for length in range(line):
        with pytest.raises(NotHttp):
            parse(BROWSER[:length], more=False)


def test_a_head_longer_than_is_read() -> None:
    long = BROWSER[:-2] + b"Cookie: " + b"x" * MOST
    assert parse(long[:MOST], more=False) == Request(False, True, "127.0.0.1")


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS ClientHello
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",  # HTTP/2
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"PING\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\x05\x01\x00",  # SOCKS
        b"GET /\r\n",  # HTTP/0.9
        b"GET  / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\n\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET /\x00 HTTP/1.1\r\n",
        b"G@T / HTTP/1.1\r\n",
        b"x" * 33,
        b"\r\n",
    ],
)
def test_other_protocols_are_told_at_once(head: bytes) -> None:
    with pytest.raises(NotHttp):
        parse(head, more=True)


def test_who_wants_a_page() -> None:
    page = "Accept: text/html, */*"
    assert request("GET / HTTP/1.1", page).wants_page
    assert request("HEAD / HTTP/1.1", page).wants_page
    assert request("GET / HTTP/1.0", "aCCept:application/json", "Accept:\tTEXT/HTML;q=0.5").wants_page
    assert not request("GET / HTTP/1.1", "Accept: */*").wants_page
    assert not request("GET / HTTP/1.1", "Accept: text/htmlx", "X-Accept: text/html").wants_page
    assert not request("GET / HTTP/1.1").wants_page
    assert not request("POST / HTTP/1.1", page).wants_page
    assert not request("GET / HTTP/1.1", page, "Connection: Upgrade", "Upgrade: WebSocket").wants_page


def test_head_is_known() -> None:
    assert request("HEAD / HTTP/1.1").is_head
    assert not request("GET / HTTP/1.1").is_head


@pytest.mark.parametrize(
    ("lines", "host"),
    [
        (["Host: LocalHost"], "localhost"),
        (["Host: localhost:18789"], "localhost"),
        (["Host: [::1]:18789"], "::1"),
        (["Host: [::1]"], "::1"),
        (["host:  evil.example:80 "], "evil.example"),
        (["Host:"], ""),
        ([], ""),
        (["Host: localhost", "Host: localhost"], ""),
        (["Host: localhost:18789:1"], ""),
        (["Host: [localhost]"], ""),
    ],
)
def test_whom_the_client_believes_to_speak_to(lines: list[str], host: str) -> None:
    assert request("GET / HTTP/1.1", *lines).host == host


def test_a_request_to_a_proxy_names_nobody() -> None:
    assert request("GET http://evil.example/ HTTP/1.1", "Host: localhost").host == ""
    assert request("CONNECT evil.example:443 HTTP/1.1", "Host: localhost").host == ""
