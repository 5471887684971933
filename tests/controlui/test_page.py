"""Where the Control UI is, and what the gateway tells of it (controlui/page.py)."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from openclaw_tunnel.controlui.page import configured, normal_base_path, page_url, told_base_path
from openclaw_tunnel.gateway.answer import Answer

ORIGIN = "http://127.0.0.1:18790"


@pytest.mark.parametrize(
    ("base_path", "token", "url"),
    [
        ("", "", f"{ORIGIN}/"),
        ("", "abc", f"{ORIGIN}/#token=abc"),
        ("/ui", "abc", f"{ORIGIN}/ui/#token=abc"),
        ("/ui/", "", f"{ORIGIN}/ui/"),
        ("", "a+b/c d&e=#ä", f"{ORIGIN}/#token=a%2Bb%2Fc%20d%26e%3D%23%C3%A4"),
    ],
)
def test_the_address(base_path: str, token: str, url: str) -> None:
    found = page_url(ORIGIN, base_path, token)
    assert found == url
    assert parse_qs(urlsplit(found).fragment).get("token", [""]) == [token]


@pytest.mark.parametrize("path", ["@evil.example", "//evil.example/", "/a#b", "a?b", "\r\nX: y", "/ä b", ":1"])
def test_no_base_path_leads_elsewhere(path: str) -> None:
    url = page_url(ORIGIN, path, "abc")
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("http", "127.0.0.1:18790", "", "token=abc")
    assert url.isascii()
    assert url.isprintable()


def test_a_base_path_as_people_write_it() -> None:
    written = ["", "/", " ", "ui", "/ui", "ui/", " /ui/x/ "]
    assert [normal_base_path(path) for path in written] == ["", "", "", "/ui", "/ui", "/ui", "/ui/x"]


@pytest.mark.parametrize(
    ("status", "body", "path"),
    [
        (200, b'{"basePath": "", "serverVersion": "2026.9.6"}', ""),
        (200, b'{"basePath": "/ui"}', "/ui"),
        (401, b'{"basePath": ""}', None),
        (200, b'{"basePath": null}', None),
        (200, b'{"ok": true}', None),
        (200, b'["basePath"]', None),
        (200, b"<!doctype html>", None),  # what the gateway answers to paths that it does not know
        (200, b"[" * 60000, None),
        (0, b"", None),
    ],
)
def test_what_a_gateway_tells(status: int, body: bytes, path: str | None) -> None:
    assert told_base_path(Answer(status, "application/json", body)) == path


@pytest.mark.parametrize(
    ("control_ui", "found"),
    [
        ({}, (True, "")),
        ({"basePath": "ui/x/"}, (True, "/ui/x")),
        ({"enabled": False, "basePath": 1}, (False, "")),
        ({"enabled": True}, (True, "")),
        ([], (True, "")),
        (None, (True, "")),
    ],
)
def test_what_the_configuration_says(control_ui: Any, found: tuple[bool, str]) -> None:
    payload = json.loads(json.dumps({"path": "x", "config": {"gateway": {"controlUi": control_ui}}}))
    assert configured(payload) == found


@pytest.mark.parametrize("payload", [None, [], {}, {"config": 1}, {"config": {"gateway": []}}])
def test_no_configuration_at_all(payload: Any) -> None:
    assert configured(payload) == (True, "")
