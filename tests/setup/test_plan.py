"""What `setup` decides from what it found: settings, ports, words."""

from typing import Any

import pytest

from openclaw_tunnel.errors import CredentialError, ExitCode, TunnelError
from openclaw_tunnel.json5doc.edit import apply
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.setup.plan import (
    Mark,
    Moved,
    Report,
    Step,
    Wanted,
    changes_in_words,
    check_secret_text,
    choose_remote_port,
    hide_secrets,
    leads_elsewhere,
    local_ports,
    pick_port,
    settings_patch,
    target_for_settings,
)

WANTED = Wanted("me@host", 18790, 18789, secret=Secret("s3cret"))
COMPLETE: dict[str, Any] = {
    "mode": "remote",
    "remote": {
        "url": "ws://127.0.0.1:18790",
        "transport": "ssh",
        "sshTarget": "me@host",
        "remotePort": 18789,
        "token": "s3cret",
    },
}


def test_everything_is_set_where_nothing_is() -> None:
    patch = settings_patch({}, WANTED, remote_mode=True)
    assert patch == {"gateway": COMPLETE}
    assert list(patch["gateway"]["remote"]) == list(COMPLETE["remote"])


def test_a_second_time_nothing_changes() -> None:
    assert settings_patch(COMPLETE, WANTED, remote_mode=True) == {}


@pytest.mark.parametrize(
    "same",
    [
        {"url": "ws://localhost:18790/path"},
        {"url": "ws://[::1]:18790"},
        {"sshTarget": "ssh me@host"},
        {"sshTarget": "ssh://me@host/"},
        {"remotePort": 18789.0},
        {"sshIdentity": "/home/me/.ssh/own", "password": "p"},
    ],
)
def test_what_means_the_same_stays(same: dict[str, Any]) -> None:
    gateway = {**COMPLETE, "remote": {**COMPLETE["remote"], **same}}
    if str(same.get("sshTarget", "")).startswith("ssh "):
        assert leads_elsewhere(gateway["remote"], WANTED.target) == ""
    else:
        assert settings_patch(gateway, WANTED, remote_mode=True) == {}


def test_only_what_differs_changes() -> None:
    gateway = {"mode": "local", "remote": {**COMPLETE["remote"], "url": "ws://127.0.0.1:1", "token": "old"}}
    remote = {"url": "ws://127.0.0.1:18790", "token": "s3cret"}
    assert settings_patch(gateway, WANTED, remote_mode=False) == {"gateway": {"remote": remote}}
    assert settings_patch(gateway, WANTED, remote_mode=True) == {"gateway": {"mode": "remote", "remote": remote}}


def test_nothing_secret_of_one_gateway_goes_to_the_next() -> None:
    old = {
        "url": "ws://127.0.0.1:18790",
        "sshTarget": "me@other",
        "token": "t",
        "password": "p",
        "edgeAuth": {"X-Key": "k"},
        "tlsFingerprint": "f",
        "sshHostKeyPolicy": "openssh",
        "sshIdentity": "/key",
    }
    wanted = Wanted("me@host", 18790, 18789)
    patch = settings_patch({"mode": "remote", "remote": old}, wanted, remote_mode=True)
    assert apply({"mode": "remote", "remote": old}, patch["gateway"])["remote"] == {
        "url": "ws://127.0.0.1:18790",
        "transport": "ssh",
        "sshTarget": "me@host",
        "remotePort": 18789,
    }


@pytest.mark.parametrize(
    ("remote", "where"),
    [
        ({}, ""),
        ({"url": "ws://127.0.0.1:18789"}, ""),
        ({"url": "wss://gw.example/"}, "gw.example"),
        ({"url": "ws://["}, "another gateway"),
        ({"sshTarget": "me@host"}, ""),
        ({"sshTarget": "you@host", "url": "ws://127.0.0.1:1"}, "you@host"),
        ({"sshTarget": "no host"}, "no host"),
    ],
)
def test_where_the_settings_lead(remote: dict[str, Any], where: str) -> None:
    assert leads_elsewhere(remote, "me@host") == where


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("gateway-host", "gateway-host"),
        ("me@host:2222", "me@host:2222"),
        ("ssh://me@host:2222/", "me@host:2222"),
        ("ssh://host", "host"),
        ("ssh://me@[fe80::1]:22", "me@[fe80::1]:22"),
    ],
)
def test_the_destination_as_openclaw_writes_it(typed: str, text: str) -> None:
    assert target_for_settings(typed) == text


def test_no_secret_is_shown() -> None:
    patch = settings_patch({}, WANTED, remote_mode=True)
    shown = hide_secrets(patch)
    assert shown["gateway"]["remote"]["token"] == "THE TOKEN"
    assert "s3cret" not in f"{shown} {changes_in_words(patch)}"
    assert hide_secrets({"tunnels": {}}) == {"tunnels": {}}


def test_changes_in_words() -> None:
    patch = {"gateway": {"mode": "remote", "remote": {"url": "u", "token": "t", "password": None}}}
    assert changes_in_words(patch) == (
        "gateway.mode, gateway.remote (url, token), without the password of the other gateway"
    )


@pytest.mark.parametrize("text", ["${TOKEN}", "a-${TOKEN}", "$TOKEN", "__OPENCLAW_REDACTED__"])
def test_a_secret_that_openclaw_would_not_take_as_it_is(text: str) -> None:
    with pytest.raises(CredentialError, match=r"^what was typed reads as a reference or a placeholder") as caught:
        check_secret_text(Secret(text), "what was typed")
    assert text not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("text", ["s3cret", "12345", "a$b", "${lower}", "päss"])
def test_a_secret_that_is_one(text: str) -> None:
    assert check_secret_text(Secret(text), "x") == Secret(text)


def test_ports_in_their_order() -> None:
    assert choose_remote_port(None, None) == 18789
    assert choose_remote_port(None, 2) == 2
    assert choose_remote_port(1, 2) == 1
    assert local_ports((None, 5, None), 10)[:4] == [5, 10, 13, 16]
    assert local_ports((), 65534) == [65534]


def test_the_first_free_port_and_why_not_the_others() -> None:
    taken = {10: "pid 7 (ssh)", 13: "pid 8"}
    assert pick_port([10, 13, 16], lambda _: False, lambda port: taken.get(port, "")) == Moved(
        16, "10 is used by pid 7 (ssh)"
    )
    assert pick_port([10, 13], lambda port: port == 10, lambda port: taken.get(port, "")) == Moved(10)
    with pytest.raises(TunnelError, match="no local port is free: 10 is used by pid 7") as caught:
        pick_port([10, 13], lambda _: False, lambda port: taken[port])
    assert caught.value.exit_code is ExitCode.LOCAL_PORT


def test_a_step_is_a_line_that_wraps_on_a_terminal() -> None:
    step = Step("port", Mark.OK, "one two three four five six seven eight")
    assert step.text() == "port      ok       one two three four five six seven eight"
    assert step.text(49) == ("port      ok       one two three four five six\n                   seven eight")


def test_colours_take_no_room() -> None:
    words = "one two three four five six seven eight"
    said: list[str] = []
    Report(said.append, width=49, paint=lambda mark, text: f"<{mark}:{text}>").done("port", Mark.OK, words)
    assert said == ["port      <ok:ok      > one two three four five six\n                   seven eight"]


def test_the_report_knows_whether_anything_changed() -> None:
    said: list[str] = []
    report = Report(said.append, "/home/me")
    report.done("a", Mark.OK, "x")
    report.done("b", Mark.KEPT, "/home/me/.ssh/id and /home/me2/x")
    assert not report.changed
    report.done("c", Mark.CHANGED, "y")
    assert report.changed
    assert said[1] == "b         kept     ~/.ssh/id and /home/me2/x"
