"""Which directives of ssh_config have another effect here than with ssh, and that others are not told."""

import pytest

from openclaw_tunnel.ssh_config.unsupported import differences

PLAIN = {
    "stricthostkeychecking": ("ask",),
    "verifyhostkeydns": ("false",),
    "hostbasedauthentication": ("no",),
    "pubkeyauthentication": ("true",),
    "permitlocalcommand": ("no",),
    "sendenv": ("LANG",),
}


def told(**printed: str) -> list[str]:
    """The directives that are told of what ssh prints, beside its defaults."""
    lines = {**PLAIN, **{name: (value,) for name, value in printed.items()}}
    return [found.directive for found in differences(lines, PLAIN)]


@pytest.mark.parametrize(
    ("printed", "directive"),
    [
        ({"stricthostkeychecking": "false"}, "StrictHostKeyChecking"),
        ({"stricthostkeychecking": "accept-new"}, "StrictHostKeyChecking"),
        ({"verifyhostkeydns": "true"}, "VerifyHostKeyDNS"),
        ({"remoteforward": "1 [h]:2"}, "RemoteForward"),
        ({"dynamicforward": "1080"}, "DynamicForward"),
        ({"pkcs11provider": "/lib/x.so"}, "PKCS11Provider"),
        ({"bindinterface": "eth0"}, "BindInterface"),
        ({"hostbasedauthentication": "yes"}, "HostbasedAuthentication"),
        ({"localcommand": "x", "permitlocalcommand": "yes"}, "LocalCommand"),
        ({"preferredauthentications": "password,keyboard-interactive"}, "PreferredAuthentications"),
        ({"pubkeyauthentication": "no"}, "PubkeyAuthentication"),
    ],
)
def test_told(printed: dict[str, str], directive: str) -> None:
    assert told(**printed) == [directive]


@pytest.mark.parametrize(
    "printed",
    [
        {},
        {"stricthostkeychecking": "true"},
        {"localcommand": "x"},
        {"preferredauthentications": "publickey,password"},
        {"controlmaster": "auto", "connectionattempts": "3", "updatehostkeys": "true", "compression": "yes"},
        {"pkcs11provider": "none"},
    ],
)
def test_not_told(printed: dict[str, str]) -> None:
    assert told(**printed) == []


def test_what_ssh_does_by_default_is_no_directive_of_the_users() -> None:
    printed = {**PLAIN, "stricthostkeychecking": ("accept-new",)}
    assert differences(printed, printed) == ()
    (found,) = differences(printed, {})
    assert found.hint.format(target="gw", ssh="gw").endswith("openclaw-tunnel trust gw")
