"""The files that ssh_config may include, found without ssh: for completion, and to watch when ``ssh -G`` failed.

Read leniently: a file that cannot be read includes nothing, a token whose value only ssh knows stands for anything.
"""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.ssh_config.tokens import Account, expand_home

MAX_DEPTH = 16
"""As in OpenSSH: deeper is an error of the configuration."""
MAX_FILES = 256
MAX_BYTES = 1 << 20
"""Of a file that are read."""

_INCLUDE = re.compile(r"[ \t]*\"?include\"?(?:[ \t]*=[ \t]*|[ \t]+)(?P<paths>.*)", re.IGNORECASE)
_WORD = re.compile(r"\"(?P<quoted>[^\"]*)\"|(?P<comment>#.*)|(?P<plain>\S+)")
_TOKEN = re.compile(r"%(.)|\$\{([^}]*)\}")


@dataclass(slots=True)
class Includes:
    """One search.

    Attributes:
        account: whose ``~`` and ``~/.ssh`` are meant.
        env: for ``${VARIABLE}``.
    """

    account: Account
    env: Mapping[str, str]
    _found: dict[str, None] = field(default_factory=dict)

    @property
    def found(self) -> tuple[str, ...]:
        """All files so far; some may not exist."""
        return tuple(self._found)

    def look_through(self, path: str, folder: str, depth: int = 0) -> None:
        """Add a file, all that it names, what they name, and so on.

        Args:
            path: a configuration file, absolute.
            folder: what a relative path in it, and in what it includes, is relative to.
        """
        if path in self._found or len(self._found) >= MAX_FILES:
            return
        self._found[path] = None
        if depth < MAX_DEPTH:
            for pattern in included(read_config(path)):
                for name in self._matching(os.path.join(folder, self._expand(pattern))):
                    self.look_through(name, folder, depth + 1)

    def _expand(self, pattern: str) -> str:
        known = {"%": "%", "d": self.account.home, "u": self.account.name, "i": str(self.account.uid)}

        def value(match: re.Match[str]) -> str:
            return known.get(match[1], "*") if match[1] else self.env.get(match[2], "*")

        try:
            return expand_home(_TOKEN.sub(value, pattern), "Include", self._home)
        except ConfigError:
            return pattern

    def _home(self, user: str) -> str:
        return os.path.expanduser(f"~{user}") if user else self.account.home

    @staticmethod
    def _matching(pattern: str) -> Iterable[str]:
        """The files that match; a name without wildcard stands for itself, whether it is there or not."""
        if not glob.has_magic(pattern):
            return (pattern,)
        try:
            return sorted(islice(glob.iglob(pattern), MAX_FILES))
        except (OSError, ValueError):
            return ()


def included(text: str) -> Iterator[str]:
    """The paths that Include lines name, as written."""
    for line in text.split("\n"):
        if match := _INCLUDE.fullmatch(line.rstrip("\r")):
            for word in _WORD.finditer(match["paths"]):
                if word["comment"]:
                    break
                yield word["quoted"] if word["quoted"] is not None else word["plain"]


def read_config(path: str) -> str:
    """The text of a file, its first MiB; empty where it cannot be read or is a pipe that nobody fills."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO has no end
    except (OSError, ValueError):
        return ""
    try:
        return os.read(descriptor, MAX_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
