"""What README.md shows works as shown."""

import re
from pathlib import Path

from openclaw_tunnel.cli.registry import SECTIONS
from openclaw_tunnel.settings.tunnels_file import load_tunnels

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_example_of_tunnels_json5(tmp_path: Path) -> None:
    example = re.search(r"```json5\n(.*?)```", README, re.DOTALL)
    assert example
    path = tmp_path / "tunnels.json5"
    path.write_text(example[1])
    path.chmod(0o600)
    found = load_tunnels(path)
    assert sorted(found.tunnels) == ["default", "lab"]
    assert found.tunnels["lab"].local_port == "auto"
    assert found.tunnels["lab"].policy.hold == 30
    assert found.tunnels["default"].policy.keepalive_interval == 30


def test_every_command_is_listed() -> None:
    listed = set(re.findall(r"^(\w+) +(?:\[?[A-Z/ ]+\]? +)?[a-z]", README, re.MULTILINE))
    commands = {name for entries in SECTIONS.values() for name in entries}
    assert commands <= listed
