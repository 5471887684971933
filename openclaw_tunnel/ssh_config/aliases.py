"""The hosts that a user's ssh files name, for completion: a quick look, not what ``ssh -G`` says.

As sshd(8) has it, known_hosts begins each line with names, which may be hashed, marked, or have a port.
"""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from openclaw_tunnel.ssh_config.includes import Includes, read_config
from openclaw_tunnel.ssh_config.tokens import Account

_PATTERN = frozenset("*?!")


def aliases(path: Path, folder: Path) -> Iterator[str]:
    """The names in the ``Host`` lines of an ssh_config, then of what it includes; no patterns.

    Args:
        path: the file; nothing comes of one that cannot be read.
        folder: where relative includes start, whatever file they stand in; ``~`` is the home that it lies in.
    """
    search = Includes(Account("", os.getuid(), str(folder.parent), ""), os.environ)
    search.look_through(str(path), str(folder))
    for file in search.found:
        for words in map(_words, read_config(file).splitlines()):
            if words and words[0].lower() == "host":
                yield from (name for name in words[1:] if name and not _PATTERN.intersection(name))


def known_hosts(path: Path) -> Iterator[str]:
    """The hosts of a known_hosts file whose names can be read, as a destination has them: ``host``, ``host:port``."""
    for line in read_config(str(path)).splitlines():
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
