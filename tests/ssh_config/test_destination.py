"""SSH destinations as users type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_tunnel.errors import ExitCode, UsageError
from openclaw_tunnel.ssh_config.destination import Destination, as_ssh_words, parse_destination

GOOD = {
    "gw": Destination("gw"),
    "me@gw": Destination("gw", "me"),
    "me@gw:2222": Destination("gw", "me", 2222),
    "gw:2222": Destination("gw", "", 2222),
    "a@b@c": Destination("c", "a@b"),
    "me@[::1]:22": Destination("::1", "me", 22),
    "[fe80::1%eth0]": Destination("fe80::1%eth0"),
    "::1": Destination("::1"),
    "me@2001:db8::1": Destination("2001:db8::1", "me"),
    "ssh://gw": Destination("gw"),
    "ssh://me@gw:2222": Destination("gw", "me", 2222),
    "ssh://me@gw:2222/": Destination("gw", "me", 2222),
    "SSH://me@[::1]:23": Destination("::1", "me", 23),
    "ssh://me%40work@gw": Destination("gw", "me@work"),
    "DOMAIN\\me@gw": Destination("gw", "DOMAIN\\me"),
    "team/gw": Destination("team/gw"),
}


@pytest.mark.parametrize(("text", "wanted"), GOOD.items(), ids=GOOD)
def test_good(text: str, wanted: Destination) -> None:
    assert parse_destination(text) == wanted


BAD = (
    "",
    "-oProxyCommand=id",
    "me@-oProxyCommand=id",
    "-me@gw",
    "ssh://-oProxyCommand=id@gw",
    "me@",
    "@gw",
    "a b",
    "a\nb",
    "a\0b",
    "a\u200bb",
    "gw;id",
    "$(id)@gw",
    "`id`@gw",
    "me@$(id)",
    "a|b@gw",
    "me\\@gw",
    "1:2:3",
    "me@a:b:c",
    "[gw",
    "me@[::1]x",
    "[]",
    "ssh://",
    "ssh://gw/path",
    "ssh://a%20b@gw",
)


@pytest.mark.parametrize("text", BAD)
def test_bad(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_destination(text)
    assert caught.value.message == f"not an SSH destination: {text!r}"
    assert caught.value.hint.startswith("write an alias of ssh_config, user@host")
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("port", ["0", "65536", "ssh", "", "-1", "+1", "1_0", "٢٢", "9" * 5000])
def test_bad_port(port: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_destination(f"me@gw:{port}")
    assert f"no port: {port!r}" in caught.value.message
    assert caught.value.hint == "ports are 1 to 65535"


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parse_destination("ssh://me:geheim@gw")
    assert "password" in caught.value.message
    assert "geheim" not in caught.value.message + caught.value.hint


@given(st.text(alphabet=st.characters(), max_size=30) | st.text("ab@:[]/-%ssh1.", max_size=20))
def test_any_text_is_a_destination_or_an_error(text: str) -> None:
    try:
        found = parse_destination(text)
    except UsageError:
        return
    assert found.host
    assert not found.host.startswith("-")
    assert not found.user.startswith("-")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("gw", "gw"),
        ("me@gw", "me@gw"),
        ("me@gw:2222", "-p 2222 me@gw"),
        ("me@[::1]:2222", "-p 2222 me@::1"),
        ("ssh://me@gw:22/", "-p 22 me@gw"),
        ("no destination", "'no destination'"),
    ],
)
def test_as_arguments_of_ssh(typed: str, words: str) -> None:
    assert as_ssh_words(typed) == words
    assert as_ssh_words(typed, "/a b/config") == f"-F '/a b/config' {words}"
