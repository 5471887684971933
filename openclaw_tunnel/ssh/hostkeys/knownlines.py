"""The lines of one known_hosts file, found by the name of a host without a look at each of them."""

import hmac
from collections.abc import Iterable

from openclaw_tunnel.ssh.hostkeys import knownhosts
from openclaw_tunnel.ssh.hostkeys.knownhosts import Entry


class KnownLines:
    """Finds what a look at each line would find, in a fraction of its time when it is asked again.

    A key is decoded only where its line means the host, and a hash is computed only for the lines that have one.

    Args:
        lines: in their order, without what ends them.
        file: where they stand.
    """

    def __init__(self, lines: Iterable[str], file: str) -> None:
        self._file = file
        self._lines: dict[int, str] = {}
        self._plain: dict[str, int] = {}
        self._repeated: dict[str, list[int]] = {}
        self._patterns: list[tuple[str, int]] = []
        self._hashed: list[tuple[bytes, bytes, int]] = []
        for number, line in enumerate(lines, 1):
            if fields := knownhosts.split_line(line):
                self._lines[number] = line
                self._take(fields[1], number)

    def find(self, name: str) -> tuple[Entry, ...]:
        """The usable lines that mean ``name``, in their order."""
        plain = name.lower()
        numbers = set(self._repeated.get(plain, ()))
        if plain in self._plain:
            numbers.add(self._plain[plain])
        numbers.update(n for hosts, n in self._patterns if knownhosts.matches(name, hosts))
        encoded = knownhosts.encode_name(name)
        numbers.update([n for salt, digest, n in self._hashed if hmac.digest(salt, encoded, "sha1") == digest])
        found = (knownhosts.parse_line(self._lines[number], self._file, number) for number in sorted(numbers))
        return tuple(entry for entry in found if entry)

    def _take(self, hosts: str, number: int) -> None:
        if hosts.startswith("|"):
            if hashed := knownhosts.read_hash(hosts):
                self._hashed.append((*hashed, number))
        elif knownhosts.is_plain(hosts):
            for name in hosts.lower().split(","):
                if self._plain.setdefault(name, number) != number:
                    self._repeated.setdefault(name, []).append(number)
        else:
            self._patterns.append((hosts, number))
