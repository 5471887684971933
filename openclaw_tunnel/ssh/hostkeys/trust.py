"""Fetch a host's key without logging in, and remember it in known_hosts."""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.errors import ConfigError, ExitCode, TunnelError, UsageError
from openclaw_tunnel.host.files import write_atomic
from openclaw_tunnel.ssh.connection import under_deadline
from openclaw_tunnel.ssh.dial import Dial, DialOptions, Way
from openclaw_tunnel.ssh.hop import Hop, show_address
from openclaw_tunnel.ssh.hostkeys import knownhosts
from openclaw_tunnel.ssh.hostkeys.check import HostKeys
from openclaw_tunnel.ssh.hostkeys.knownfiles import names_of
from openclaw_tunnel.ssh.hostkeys.knownhosts import Entry, Trust, Verdict
from openclaw_tunnel.ssh.hostkeys.knownlines import KnownLines
from openclaw_tunnel.ssh_config.destination import parse_destination
from openclaw_tunnel.ssh_config.target import SshTarget

_NEW_FILE = 0o600


@dataclass(frozen=True, slots=True)
class Found:
    """A host's key, as it was presented, and what is known of it.

    Attributes:
        key: in wire format.
        failure: what a tunnel would fail with; None for a key that is known.
    """

    hop: Hop
    target: SshTarget
    key: bytes
    verdict: Verdict
    failure: Failure | None

    @property
    def shown(self) -> str:
        """``ED25519 SHA256:...``."""
        return knownhosts.describe_key(self.key)

    @property
    def fingerprint(self) -> str:
        """``SHA256:...``."""
        return knownhosts.fingerprint(self.key)


def with_port(typed: str, port: int | None) -> str:
    """A destination with a port given beside it.

    Raises:
        UsageError: it is no destination, or has another port already.
    """
    asked = parse_destination(typed)
    if port is None or asked.port == port:
        return typed
    if asked.port is not None:
        raise UsageError(f"{typed} has port {asked.port} already", hint="give the port once")
    return f"{asked.user}@{show_address(asked.host, port)}" if asked.user else show_address(asked.host, port)


async def look_at(options: DialOptions) -> Found:
    """Fetch the key of the host a destination leads to, on the way a tunnel would take.

    Jump hosts are logged in to, so their keys must be known before.

    Raises:
        TunnelError: with the exit code of the failure.
    """

    async def fetch(dial: Dial, target: SshTarget, hop: Hop, way: Way) -> tuple[SshTarget, Hop, bytes]:
        return target, hop, await dial.fetch_host_key(target, hop, way)

    try:
        (target, hop, key), stack = await under_deadline(Dial(options), fetch)
    except DialFailed as exc:
        raise as_error(exc.failure) from exc
    await stack.aclose()
    host_keys = await HostKeys.load(target, hop)
    return Found(hop, target, key, *host_keys.about(key))


def as_error(failure: Failure) -> TunnelError:
    """A failure as what ends a command."""
    hint = failure.hint
    if failure.code is Code.NOT_CONFIRMED:  # no tunnel has to be restarted
        hint = f"{failure.facts.get('first', '')}call the same command again when you can answer"
    return TunnelError(failure.message, hint=hint, exit_code=failure.exit_code)


def where_to_write(found: Found) -> Path:
    """The file in which the key would be remembered: the first UserKnownHostsFile.

    Raises:
        ConfigError: there is none that would keep it.
    """
    files = found.target.user_known_hosts_files
    if not files or Path(files[0]) == Path(os.devnull):
        name = files[0] if files else "none"
        raise ConfigError(
            f"UserKnownHostsFile of {found.hop.typed} is {name}: nothing could be remembered",
            hint="name a file there, or leave it out for ~/.ssh/known_hosts",
        )
    return Path(files[0])


def remember(found: Found, *, replace: bool) -> Path:
    """Write the key into known_hosts; returns the file.

    The file is replaced in one step, under a lock that other calls respect. With ``replace`` the lines that name
    exactly this host go, in all of the user's files, each of which is kept as ``FILE.old``.

    Raises:
        ConfigError: there is no file to write to, or it cannot be written.
        TunnelError: an old key stands where it cannot be removed from: a pattern, or a system's file.
    """
    path = where_to_write(found)
    name = names_of(found.target)[0]
    if replace:
        _check_removable(found, name)
        for file in found.target.user_known_hosts_files:
            _edit(Path(file), lambda text, file=file: remove_name(text, file, name), backup=True)  # type: ignore[misc]
    shown = knownhosts.hash_name(name, os.urandom(20)) if found.target.hash_known_hosts else name
    _edit(path, lambda text: add_key(text, shown, name, found.key), backup=False)
    return path


def add_key(text: str, shown: str, name: str, key: bytes) -> str:
    """The content of known_hosts with one line more, unless it is there already.

    Args:
        shown: the host field to write, hashed or not.
        name: what it means.
    """
    there = KnownLines(text.split("\n"), "").find(name)
    if any(e.key == key and e.marker is knownhosts.Marker.NONE for e in there):
        return text
    start = text if not text or text.endswith("\n") else text + "\n"
    return f"{start}{shown} {knownhosts.key_line(key)}\n"


def remove_name(text: str, file: str, name: str) -> str:
    """The content of known_hosts without the keys of one host; every other byte stays as it is.

    A line that names several hosts keeps the others. Markers (@cert-authority, @revoked) are not touched.
    """
    lines = text.split("\n")
    kept: list[str] = []
    for number, line in enumerate(lines, 1):
        entry = knownhosts.parse_line(line, file, number)
        if entry is None or entry.marker is not knownhosts.Marker.NONE or not knownhosts.matches(name, entry.hosts):
            kept.append(line)
            continue
        others = _without(entry.hosts, name)
        if others is None:
            raise _not_removable(entry)
        if others:
            kept.append(line.replace(entry.hosts, others, 1))
    return "\n".join(kept)


def _without(hosts: str, name: str) -> str | None:
    """A host field without ``name``: empty if nothing else is in it, None if a pattern is what matches."""
    if hosts.startswith("|"):
        return ""
    others = [pattern for pattern in hosts.split(",") if pattern.lower() != name.lower()]
    if knownhosts.matches(name, ",".join(others)):
        return None
    return ",".join(others) if any(not pattern.startswith("!") for pattern in others) else ""


def _check_removable(found: Found, name: str) -> None:
    """Nothing is written where the old key would win all the same."""
    if found.verdict.trust is not Trust.CHANGED:
        return
    for entry in found.verdict.entries:
        if entry.file not in found.target.user_known_hosts_files or _without(entry.hosts, name) is None:
            raise _not_removable(entry)


def _not_removable(entry: Entry) -> TunnelError:
    return TunnelError(
        f"the old key stands in {entry.place}, for {entry.hosts}: this program does not change that line",
        hint=f"edit {entry.file} by hand, then call trust again",
        exit_code=ExitCode.HOST_KEY,
    )


def _edit(path: Path, change: Callable[[str], str], *, backup: bool) -> None:
    path = Path(os.path.realpath(path))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path.parent):
            before, status = _read(path)
            text = before.decode("utf-8", "surrogateescape")
            after = change(text)
            if after == text:
                return
            if backup:
                _write(Path(f"{path}.old"), before, status)
            _write(path, after.encode("utf-8", "surrogateescape"), status)
    except OSError as exc:
        raise ConfigError(
            f"{path} cannot be written: {exc.strerror}", hint="check who owns it, and that its folder exists"
        ) from exc


def _read(path: Path) -> tuple[bytes, os.stat_result | None]:
    try:
        return path.read_bytes(), path.stat()
    except FileNotFoundError:
        return b"", None


def _write(path: Path, content: bytes, like: os.stat_result | None) -> None:
    write_atomic(path, content, mode=stat.S_IMODE(like.st_mode) if like else _NEW_FILE)
    if like and os.geteuid() == 0:
        os.chown(path, like.st_uid, like.st_gid)  # root mends a user's file: it stays the user's


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone in a folder, as far as this program goes; the lock ends with the process, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
