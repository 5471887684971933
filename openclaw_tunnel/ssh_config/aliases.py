"""The hosts that a user's ssh files name, for completion: a quick look, not what ``ssh -G`` says.

As ssh_config(5) and sshd(8) have it: ``Include`` takes patterns, relative ones from the folder of the user's or the
system's files; known_hosts begins each line with names, which may be hashed, marked, or have a port.
"""

import glob
import os
import shlex
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

DEEPEST = 16
"""Files that include each other; OpenSSH has the same limit."""

LARGEST = 1 << 20
"""Bytes of a file that are read."""

_PATTERN = frozenset("*?!")


def aliases(path: Path, folder: Path, depth: int = 0) -> Iterator[str]:
    """The names in the ``Host`` lines of an ssh_config and of what it includes, in their order; no patterns.

    Args:
        path: the file; nothing comes of one that cannot be read.
        folder: where relative includes start, whatever file they stand in.
        depth: how many files have led here.
    """
    for words in map(_words, _lines(path)):
        match [words[0].lower(), *words[1:]] if words else []:
            case ["host", *names]:
                yield from (name for name in names if name and not _PATTERN.intersection(name))
            case ["include", *patterns] if depth < DEEPEST:
                for pattern in patterns:
                    for found in sorted(glob.glob(os.path.join(folder, _at_home(pattern, folder)))):
                        yield from aliases(Path(found), folder, depth + 1)


def known_hosts(path: Path) -> Iterator[str]:
    """The hosts of a known_hosts file whose names can be read, as a destination has them: ``host``, ``host:port``."""
    for line in _lines(path):
        names = line.split(None, 1)[0] if line.strip() else "#"
        if names[0] in "#@|":
            continue
        for name in names.split(","):
            if name and not _PATTERN.intersection(name):
                yield name.removeprefix("[").replace("]:", ":") if name.startswith("[") else name


def _words(line: str) -> list[str]:
    """The keyword of a line and its values; none of a line that ssh would complain of."""
    keyword, equals, rest = line.strip().partition("=")
    text = f"{keyword} {rest}" if equals and " " not in keyword.strip() else line
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return []


def _at_home(pattern: str, folder: Path) -> str:
    """``~`` is the home that ``folder`` lies in, as .ssh does."""
    return str(folder.parent) + pattern[1:] if pattern.startswith("~/") else pattern


def _lines(path: Path) -> Iterable[str]:
    """The lines of a file; what is no regular file (a pipe might never end) has none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return []
        with open(path, "rb") as file:
            return file.read(LARGEST).decode(errors="replace").splitlines()
    except (OSError, ValueError):
        return []
