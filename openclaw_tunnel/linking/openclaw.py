"""OpenClaw's own command line: found, and asked."""

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.linking import dispatcher
from openclaw_tunnel.linking.dispatcher import is_ours

LONGEST = 180.0
"""Seconds that one call may take: installing takes 5 on an idle computer."""

_VERSION = re.compile(r"^OpenClaw (\d+\.\d+\.\S+)", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Done:
    """What one call did; ``seconds`` is its wall time."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """What it said, without colours and empty lines."""
        said = _COLOUR.sub("", f"{self.stdout}\n{self.stderr}").splitlines()
        return [line.rstrip() for line in said if line.strip()]


def is_on_path(folder: Path, path: str) -> bool:
    """Whether ``folder`` is one of those in ``path`` (as PATH)."""
    return os.path.realpath(folder) in _folders(path)


def search(path: str) -> tuple[Path | None, tuple[Path, ...]]:
    """The first ``openclaw`` on ``path`` (as PATH) that leads to no dispatcher of ours, and the dispatchers there."""
    found = [Path(folder, dispatcher.NAME) for folder in _folders(path)]
    others = (place for place in found if os.access(place, os.X_OK) and place.is_file() and not is_ours(place))
    return next(others, None), tuple(place for place in found if is_ours(place) and not place.is_symlink())


def _folders(path: str) -> list[str]:
    """The folders in ``path`` with their real names, each once."""
    return list(dict.fromkeys(os.path.realpath(folder) for folder in path.split(os.pathsep) if folder))


def ask(program: Path, arguments: tuple[str, ...], env: Mapping[str, str], timeout: float = LONGEST) -> Done:
    """Run OpenClaw's command line to its end.

    Raises:
        TunnelError: it cannot be run, or does not end.
    """
    began = time.monotonic()
    try:
        done = subprocess.run(
            [str(program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env={**env, "NO_COLOR": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TunnelError(
            f"openclaw {' '.join(arguments)} did not end within {timeout:g} s",
            hint="give that command yourself to see what it waits for",
        ) from None
    except OSError as error:
        raise TunnelError(f"{program} cannot be run: {error.strerror}", hint="install OpenClaw anew") from None
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return Done(done.returncode, out, err, time.monotonic() - began)


def version_in(done: Done) -> str:
    """The release that ``openclaw --version`` names; empty where it is none of OpenClaw's answers."""
    match = _VERSION.search(_COLOUR.sub("", done.stdout))
    return match[1] if match and done.code == 0 else ""
