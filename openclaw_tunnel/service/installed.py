"""What an installed service runs, read back from its LaunchAgent or unit. Pure."""

import plistlib
import re
import shlex
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.service.spec import RUN


@dataclass(frozen=True, slots=True)
class Installed:
    """The program of a service, and the words of ``up`` that it is given."""

    program: str
    arguments: tuple[str, ...]


def read_unit(text: str, name: str, home: str) -> Installed | None:
    """Read a service unit; None where it is none that this program wrote.

    Args:
        name: of the tunnel, which a template's ``%i`` stands for.
        home: of its user, which ``%h`` stands for.
    """
    known = {"h": home, "i": name, "%": "%"}
    try:
        words = shlex.split(command_of(text))
    except ValueError:
        return None
    return _installed([re.sub("%(.)", lambda m: known.get(m[1], m[0]), word.replace("$$", "$")) for word in words])


def read_plist(data: bytes) -> Installed | None:
    """Read a LaunchAgent; None where it is none that this program wrote."""
    words = job_of(data).get("ProgramArguments")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    return _installed(words)


def command_of(unit: str) -> str:
    """The command line of a service unit; empty where it has none."""
    return next((line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")), "")


def job_of(data: bytes) -> dict[str, Any]:
    """A LaunchAgent; empty where it is none."""
    try:
        job = plistlib.loads(data)
    except Exception:  # plistlib lets through whatever its XML parser, or a wrong value, raises
        return {}
    return job if isinstance(job, dict) else {}


def _installed(words: list[str]) -> Installed | None:
    if len(words) < 1 + len(RUN) or tuple(words[1 : 1 + len(RUN)]) != RUN:
        return None
    return Installed(words[0], tuple(words[1 + len(RUN) :]))
