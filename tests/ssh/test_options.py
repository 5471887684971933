"""ssh/options.py: what ssh_config allows, as far as asyncssh has it."""

import pytest

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.options import common_options, known, login_options
from support.sshtargets import make_target

GW = Hop("gw", "gw:22")


def test_the_users_order_without_what_asyncssh_lacks() -> None:
    assert known(("b", "nowhere", "a"), ["a", "b", "c"], "Ciphers", GW) == ("b", "a")
    assert known((), ["a"], "Ciphers", GW) == (), "asyncssh's own default"


def test_nothing_left() -> None:
    with pytest.raises(DialFailed) as caught:
        known(("x", "y"), ["a"], "Ciphers", GW)
    assert caught.value.failure.code is Code.NEGOTIATION
    assert caught.value.failure.message == "none of the algorithms of Ciphers for gw is available here: x, y"


def test_asyncssh_is_left_no_choice_of_its_own() -> None:
    options = common_options(make_target(), GW, ("ssh-ed25519",))
    assert options["config"] is None
    assert options["client_keys"] is None
    assert options["gss_host"] is None
    assert options["x509_trusted_certs"] is None
    assert options["server_host_key_algs"] == ("ssh-ed25519",)
    assert options["compression_algs"] == ("none",)
    assert common_options(make_target(compression=True), GW, ())["compression_algs"][0] == "zlib@openssh.com"


def test_keepalive_of_ssh_config_or_of_the_policy() -> None:
    policy = Policy(keepalive_interval=7.0, keepalive_count=2)
    ours = login_options(make_target(), GW, policy)
    assert (ours["keepalive_interval"], ours["keepalive_count_max"]) == (7.0, 2)
    theirs = login_options(make_target(server_alive_interval=5, server_alive_count_max=9), GW, policy)
    assert (theirs["keepalive_interval"], theirs["keepalive_count_max"]) == (5, 9)


@pytest.mark.parametrize(
    ("fields", "methods"),
    [
        ({}, ["publickey", "keyboard-interactive", "password"]),
        ({"preferred_authentications": ("password", "publickey")}, ["publickey", "keyboard-interactive", "password"]),
        ({"preferred_authentications": ("password",)}, ["keyboard-interactive", "password"]),
        ({"pubkey_authentication": False}, ["keyboard-interactive", "password"]),
    ],
)
def test_only_keys_are_tried_the_rest_is_only_noted(fields: dict[str, object], methods: list[str]) -> None:
    assert login_options(make_target(**fields), GW, Policy())["preferred_auth"] == methods


def test_rekeying() -> None:
    assert "rekey_bytes" not in login_options(make_target(), GW, Policy())
    options = login_options(make_target(rekey_limit=(1 << 20, 60)), GW, Policy())
    assert (options["rekey_bytes"], options["rekey_seconds"]) == (1 << 20, 60)
