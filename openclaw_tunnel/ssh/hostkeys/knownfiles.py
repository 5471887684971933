"""Reading what this computer's files say of the keys of a host: known_hosts and RevokedHostKeys.

Files of tens of thousands of lines, or on a network that is away, take their time: nothing here is for the event loop.
"""

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from openclaw_tunnel.host.filecache import FileCache, Version
from openclaw_tunnel.host.loop.serial import Serial
from openclaw_tunnel.ssh.hostkeys import knownhosts
from openclaw_tunnel.ssh.hostkeys.knownhosts import Entry, Marker
from openclaw_tunnel.ssh.hostkeys.knownlines import KnownLines
from openclaw_tunnel.ssh.hostkeys.revoked import RevokedKeys, read_revoked
from openclaw_tunnel.ssh_config.target import SshTarget

_MOST_ANSWERS = 512  # hosts times files
_PARSING = threading.Lock()
"""One thread at a time: each that computes may keep the event loop waiting for 5 ms (``sys.getswitchinterval``)."""


@dataclass(frozen=True, slots=True)
class Files:
    """What is asked.

    Attributes:
        names: under which known_hosts may list the host.
        known: the files, in the order in which ssh reads them.
        revoked: RevokedHostKeys; empty for none.
    """

    names: tuple[str, ...]
    known: tuple[str, ...]
    revoked: str = ""


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """What the files say of one host.

    Attributes:
        found: the lines of each of its names, as ``knownhosts.judge`` takes them.
        unread: why a file that is there could not be read, by its path.
        revoked: None without a list.
    """

    found: tuple[tuple[Entry, ...], ...]
    unread: dict[str, str] = field(default_factory=dict)
    revoked: RevokedKeys | None = None


def names_of(target: SshTarget) -> tuple[str, ...]:
    """The names under which known_hosts may list a host, the first being the one it is written under."""
    if target.host_key_alias:
        return (target.host_key_alias,)
    name = knownhosts.host_name(target.hostname, target.port)
    plain = knownhosts.host_name(target.hostname, knownhosts.DEFAULT_PORT)
    return (name,) if name == plain else (name, plain)


def files_of(target: SshTarget) -> Files:
    """What to ask for a destination."""
    known = (*target.user_known_hosts_files, *target.global_known_hosts_files)
    return Files(names_of(target), known, target.revoked_host_keys)


class Reader:
    """Reads files; what it has read stays with it until it is dropped, the answers stay with ``cache``."""

    def __init__(self, cache: FileCache[tuple[Entry, ...]] | None = None) -> None:
        self._cache = _ANSWERS if cache is None else cache
        self._read: dict[str, tuple[Version, KnownLines]] = {}

    def __call__(self, asked: Files) -> KnownKeys:
        """What the files say now; blocks."""
        unread: dict[str, str] = {}
        found = [self._find_all(asked.known, asked.names[0], unread)]
        for name in asked.names[1:]:
            if any(entry.marker is Marker.NONE for entry in found[-1]):
                break  # the other names do not count then
            found.append(self._find_all(asked.known, name, unread))
        revoked = read_revoked(asked.revoked) if asked.revoked else None
        return KnownKeys(tuple(found), unread, revoked)

    def _find_all(self, paths: tuple[str, ...], name: str, unread: dict[str, str]) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        for path in paths:
            try:
                entries += self._find(path, name)
            except FileNotFoundError:
                continue
            except OSError as exc:
                unread[path] = exc.strerror or str(exc)
        return tuple(entries)

    def _find(self, path: str, name: str) -> tuple[Entry, ...]:
        with open(path, "rb") as file:
            version = self._cache.version(file.fileno())
            if (kept := self._cache.get((path, name), version)) is not None:
                return kept
            content = b"" if self._has(path, version) else file.read()
        with _PARSING:
            found = self._lines(path, version, io.BytesIO(content)).find(name)
        self._cache.put((path, name), version, found)
        return found

    def _has(self, path: str, version: Version | None) -> bool:
        return version is not None and path in self._read and self._read[path][0] == version

    def _lines(self, path: str, version: Version | None, content: IO[bytes]) -> KnownLines:
        if self._has(path, version):
            return self._read[path][1]
        lines = KnownLines(_decoded(content), path)
        if version is not None:
            self._read[path] = version, lines
        return lines


def _decoded(content: IO[bytes]) -> Iterator[str]:
    """Line by line: to decode and split a large file at once would hold up every other thread."""
    return (line.removesuffix(b"\n").decode("utf-8", "surrogateescape") for line in content)


_ANSWERS: FileCache[tuple[Entry, ...]] = FileCache(_MOST_ANSWERS)
_READING: Serial[Files, KnownKeys] = Serial("known_hosts", Reader)


async def read_known_keys(asked: Files) -> KnownKeys:
    """What the files say now; those that ask for the same files share a thread."""
    return await _READING.ask((asked.known, asked.revoked), asked)
