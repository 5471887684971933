"""Where plain text may go, and what a URL and a fingerprint look like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.gateway.url import (
    GatewayUrl,
    is_private,
    parse_fingerprint,
    parse_url,
    peer_allowed,
    require_allowed,
    url_allowed,
)


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("ws://127.0.0.1:18789", GatewayUrl(False, "127.0.0.1", 18789), "ws://127.0.0.1:18789/"),
        (" wss://gw.example ", GatewayUrl(True, "gw.example", 443), "wss://gw.example:443/"),
        ("http://localhost", GatewayUrl(False, "localhost", 80), "ws://localhost:80/"),
        ("https://[::1]:8443/oc?x=1", GatewayUrl(True, "::1", 8443, "/oc?x=1"), "wss://[::1]:8443/oc"),
    ],
)
def test_urls(text: str, url: GatewayUrl, shown: str) -> None:
    assert parse_url(text) == url
    assert str(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gw.example",
        "ftp://gw",
        "ws://",
        "ws://:80",
        "ws://gw:0",
        "ws://gw:99999",
        "ws://g w",
        "ws://gw/ä",
        "ws://[::1",
    ],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_url(text)


def test_a_secret_in_a_url_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url("wss://me:s3cret@gw.example")
    assert "s3cret" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("host", "without", "with_variable"),
    [
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("localhost", True, True),
        ("LOCALHOST.", True, True),
        ("[::1]", True, True),
        ("[::ffff:127.0.0.1]", True, True),
        ("10.1.2.3", False, True),
        ("192.168.1.5", False, True),
        ("172.31.0.1", False, True),
        ("172.32.0.1", False, False),
        ("100.64.0.1", False, True),
        ("169.254.1.1", False, True),
        ("[fd00::1]", False, True),
        ("[fe80::1]", False, True),
        ("[::ffff:8.8.8.8]", False, False),
        ("[2001:db8::1]", False, False),
        ("0.0.0.0", False, False),
        ("8.8.8.8", False, False),
        ("192.0.2.1", False, False),
        ("134744072", False, False),  # 8.8.8.8 as one number
        ("gateway.local", False, True),  # only if the address behind it is private
        ("127.0.0.1.example.com", False, True),
    ],
)
def test_where_plain_text_may_go(host: str, without: bool, with_variable: bool) -> None:
    url = parse_url(f"ws://{host}:18789")
    assert url_allowed(url, None) is without
    assert url_allowed(url, "0") is without
    assert url_allowed(url, "true") is without
    assert url_allowed(url, "1") is with_variable
    assert url_allowed(parse_url(f"wss://{host}"), None)


@pytest.mark.parametrize(
    ("url", "variable", "address", "allowed"),
    [
        ("ws://gateway.local", "1", "10.0.0.5", True),
        ("ws://gateway.local", "1", "203.0.113.9", False),
        ("ws://gateway.local", "1", "127.0.0.1", True),
        ("ws://localhost", None, "127.0.0.1", True),
        ("ws://localhost", None, "::1", True),
        ("ws://localhost", None, "10.0.0.5", False),  # /etc/hosts may say anything
        ("ws://localhost", None, "an unknown address", False),
        ("wss://gw.example", None, "203.0.113.9", True),
    ],
)
def test_where_a_name_may_lead(url: str, variable: str | None, address: str, allowed: bool) -> None:
    assert peer_allowed(parse_url(url), variable, address) is allowed


def test_a_refusal_names_the_ways_out() -> None:
    with pytest.raises(ConfigError) as caught:
        require_allowed(parse_url("ws://10.0.0.5:18789"), None)
    assert str(caught.value) == "plain ws:// to 10.0.0.5:18789 would show the credentials to the network"
    assert caught.value.hint == (
        "use wss://, or a tunnel: openclaw-tunnel up USER@HOST; "
        "for a trusted private network only, set OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1"
    )
    with pytest.raises(ConfigError) as caught:
        require_allowed(parse_url("ws://8.8.8.8"), "1")
    assert "OPENCLAW_ALLOW" not in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["ab" * 32, "AB" * 32, "sha256:" + "ab" * 32, "SHA256:" + ":".join(["aB"] * 32), " " + ":".join(["ab"] * 32)],
)
def test_fingerprints(text: str) -> None:
    assert parse_fingerprint(text) == b"\xab" * 32


@pytest.mark.parametrize(
    "text", ["", "sha256:", "ab" * 31, "ab" * 33, "sha1:" + "ab" * 32, ":".join(["ab"] * 31), "zz" * 32]
)
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_fingerprint(text)


@given(st.text())
def test_any_text_is_a_url_or_an_error_of_ours(text: str) -> None:
    for candidate in (text, f"ws://{text}", f"wss://{text}:1"):
        try:
            url = parse_url(candidate)
        except ConfigError:
            continue
        assert 0 < url.port < 65536
        assert isinstance(url_allowed(url, "1"), bool)
        assert not is_private(url.host) or url_allowed(url, "1")
