"""How a daemon comes to run another version."""

from typing import Any

import pytest

from openclaw_tunnel.core.wording.upgrade import to_change

SERVICE: dict[str, Any] = {"manager": "systemd", "unit": "", "system": False}
RESTART = "openclaw-tunnel service restart"


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ({}, "openclaw-tunnel down --all, then up -d"),
        ({"default": SERVICE}, RESTART),
        ({"dev": SERVICE}, f"{RESTART} dev"),
        ({"default": SERVICE, "dev": SERVICE}, f"{RESTART} default, then {RESTART} dev"),
        ({"default": {**SERVICE, "system": True}}, f"sudo {RESTART} --system"),
    ],
)
def test_how_to_change_to_the_new_version(services: dict[str, Any], words: str) -> None:
    assert to_change(services) == words
