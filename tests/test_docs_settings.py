"""docs/settings.md: the one that is checked in is made from the tables, and has every option and every key."""

import importlib.util
from pathlib import Path

from openclaw_tunnel.settings.tunnels_file import POLICY_KEYS, TUNNEL_KEYS
from openclaw_tunnel.settings.up_options import OPTIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"


def made() -> str:
    """The page as ``make docs-settings`` writes it."""
    spec = importlib.util.spec_from_file_location("settings_reference", DOCS / "settings_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.page()
    assert isinstance(page, str)
    return page


def test_the_page_that_is_checked_in_is_the_one_of_these_tables() -> None:
    assert (DOCS / "settings.md").read_text() == made(), "make docs-settings writes it anew"


def test_every_option_and_every_key_is_in_it() -> None:
    page = made()
    wanted = [flag for option in OPTIONS.values() for flag in option.flags]
    assert [word for word in wanted if f"`{word}" not in page] == []
    assert [key for key in (*TUNNEL_KEYS, *POLICY_KEYS) if f"| `{key}` |" not in page] == []
