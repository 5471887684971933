"""What an installed service runs, read back from its LaunchAgent or unit. Pure."""

import plistlib
import re
import shlex
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

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
    command = next((line.partition("=")[2] for line in text.splitlines() if line.startswith("ExecStart=")), "")
    known = {"h": home, "i": name, "%": "%"}
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    return _installed([re.sub("%(.)", lambda m: known.get(m[1], m[0]), word.replace("$$", "$")) for word in words])


def read_plist(data: bytes) -> Installed | None:
    """Read a LaunchAgent; None where it is none that this program wrote."""
    try:
        job: Any = plistlib.loads(data)
    except (plistlib.InvalidFileException, ExpatError, ValueError):
        return None
    words = job.get("ProgramArguments") if isinstance(job, dict) else None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    return _installed(words)


def _installed(words: list[str]) -> Installed | None:
    if len(words) < 1 + len(RUN) or tuple(words[1 : 1 + len(RUN)]) != RUN:
        return None
    return Installed(words[0], tuple(words[1 + len(RUN) :]))
