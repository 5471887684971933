"""What docs/ and CONTRIBUTING.md say of the code is true of it."""

import re
from pathlib import Path

import pytest

import openclaw_tunnel
from openclaw_tunnel.core.states import TRANSITIONS

CHECKOUT = Path(__file__).parents[1]
PACKAGE = Path(openclaw_tunnel.__file__).parent
ARCHITECTURE = CHECKOUT / "docs" / "ARCHITECTURE.md"


def state_table() -> list[str]:
    """The rows of the table of states, in Markdown."""
    rows = []
    for state, moves in TRANSITIONS.items():
        by_next: dict[str, list[str]] = {}
        for trigger, to in moves.items():
            by_next.setdefault(to, []).append(trigger)
        words = (f"{' / '.join(triggers)} → `{to}`" for to, triggers in by_next.items())
        rows.append(f"| `{state}` | {'; '.join(words)} |")
    return rows


def test_the_table_of_states_is_the_codes() -> None:
    lines = ARCHITECTURE.read_text().splitlines()
    assert [line for line in lines if re.match(r"\| `\w+` \| .*→", line)] == state_table()


def test_every_room_is_described() -> None:
    described = set(re.findall(r"`([a-z_0-9/]+)/`", ARCHITECTURE.read_text()))
    rooms = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")} - {"."}
    assert rooms - described == set()


@pytest.mark.parametrize("document", ["docs/ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_file_that_is_named_is_there(document: str) -> None:
    named = set(re.findall(r"`([a-z_0-9/]+/[a-z_0-9]+\.(?:py|md|json))`", (CHECKOUT / document).read_text()))
    assert named
    missing = {name for name in named if not (PACKAGE / name).exists() and not (CHECKOUT / name).exists()}
    assert missing == set()
