"""What `setup` reads of this computer's settings: setup/facts.py."""

import pytest

from openclaw_tunnel.setup.facts import target_for_settings


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
