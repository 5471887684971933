"""The version of this program that is installed now: an upgrade leaves a running process with the old one."""

import re
from pathlib import Path

import openclaw_tunnel

_VERSION = re.compile(r'^__version__ = "([^"\n]+)"', re.MULTILINE)


def installed_version(package: Path = Path(openclaw_tunnel.__file__)) -> str | None:
    """What the package's file says at this moment; None where it is gone, or in the middle of being replaced."""
    try:
        found = _VERSION.search(package.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return found[1] if found else None
