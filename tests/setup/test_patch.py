"""What `setup` changes in openclaw.json."""

import json
from typing import Any

import pytest

from openclaw_tunnel.json5doc.edit import apply
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.setup.patch import Desired, changes_in_words, leads_elsewhere, settings_patch, snippet_of

DESIRED = Desired("me@host", 18790, 18789, secret=Secret("s3cret"))
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
    patch = settings_patch({}, DESIRED, remote_mode=True)
    assert patch == {"gateway": COMPLETE}
    assert list(patch["gateway"]["remote"]) == list(COMPLETE["remote"])


def test_a_second_time_nothing_changes() -> None:
    assert settings_patch(COMPLETE, DESIRED, remote_mode=True) == {}


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
        assert leads_elsewhere(gateway["remote"], DESIRED.target) == ""
    else:
        assert settings_patch(gateway, DESIRED, remote_mode=True) == {}


def test_only_what_differs_changes() -> None:
    gateway = {"mode": "local", "remote": {**COMPLETE["remote"], "url": "ws://127.0.0.1:1", "token": "old"}}
    remote = {"url": "ws://127.0.0.1:18790", "token": "s3cret"}
    assert settings_patch(gateway, DESIRED, remote_mode=False) == {"gateway": {"remote": remote}}
    assert settings_patch(gateway, DESIRED, remote_mode=True) == {"gateway": {"mode": "remote", "remote": remote}}


def test_an_address_that_is_none_is_replaced() -> None:
    gateway = {**COMPLETE, "remote": {**COMPLETE["remote"], "url": "ws://["}}
    assert settings_patch(gateway, DESIRED, remote_mode=True) == {
        "gateway": {"remote": {"url": "ws://127.0.0.1:18790"}}
    }


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
    desired = Desired("me@host", 18790, 18789)
    patch = settings_patch({"mode": "remote", "remote": old}, desired, remote_mode=True)
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


def test_no_secret_is_shown() -> None:
    patch = settings_patch({}, DESIRED, remote_mode=True)
    shown = snippet_of(patch)
    assert json.loads(shown)["gateway"]["remote"]["token"] == "THE TOKEN"
    assert "s3cret" not in f"{shown} {changes_in_words(patch)}"
    assert json.loads(snippet_of({"tunnels": {}})) == {"tunnels": {}}


def test_changes_in_words() -> None:
    patch = {"gateway": {"mode": "remote", "remote": {"url": "u", "token": "t", "password": None}}}
    assert changes_in_words(patch) == (
        "gateway.mode, gateway.remote (url, token), without the password of the other gateway"
    )
