"""The manual page as a program that shows manual pages reads it."""

import re
import subprocess
from pathlib import Path

from support.process import make, program

PAGE = Path(__file__).parents[2] / "man/openclaw-tunnel.1"


def test_mandoc_has_one_thing_to_say_against_it() -> None:
    """There is no date in it: it changes with the commands, and says the version."""
    lint = [program("mandoc"), "-T", "lint", "-W", "style", str(PAGE)]
    said = subprocess.run(lint, capture_output=True, text=True, timeout=30).stdout.splitlines()
    assert [line for line in said if "missing date" not in line] == []


def test_it_can_be_read_in_80_columns() -> None:
    shown = re.sub(".\x08", "", make([program("mandoc"), "-T", "ascii", "-O", "width=80", PAGE]))
    assert [line for line in shown.splitlines() if len(line) > 86] == []  # examples keep their length
    for words in ("-p, --local-port PORT", "EXIT STATUS", "~/.config/openclaw-tunnel/tunnels.json5", "up [TARGET]"):
        assert words in shown
