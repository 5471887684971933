"""What launchd and systemd have in common for those who install, remove and ask."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openclaw_tunnel.errors import ServiceError
from openclaw_tunnel.host.files import write_atomic
from openclaw_tunnel.host.paths import ensure_private_dir
from openclaw_tunnel.service.spec import ServiceSpec

TIMEOUT = 60.0
"""Seconds that one call of launchctl or systemctl may take: systemctl waits for the job that it starts."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a call answered."""

    code: int
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """What it complained of, in one line."""
        return "; ".join((self.stderr or self.stdout).strip().splitlines()) or f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class ManagerState:
    """How a service stands, as its manager sees it.

    Attributes:
        installed: its files are there.
        loaded: the manager knows it.
        words: the manager's own, one line.
        holds_ports: the manager listens on the ports, for a tunnel that opens on first use.
    """

    installed: bool
    loaded: bool
    running: bool
    pid: int | None
    words: str
    holds_ports: bool = False

    @property
    def waits(self) -> bool:
        """Whether it waits for its first client."""
        return self.holds_ports and not self.running


@dataclass(frozen=True, slots=True)
class Rival:
    """A service of somebody else's making that opens the same tunnel.

    Attributes:
        unit: its label, or the unit's name.
        path: its file.
        about: what it runs, for a person.
    """

    unit: str
    path: Path
    about: str


class Manager(Protocol):
    """launchd, or systemd of the user or of the system. Every method may raise ServiceError."""

    name: str
    system: bool

    def files(self, spec: ServiceSpec) -> dict[Path, str]:
        """The files of a service, and their text."""

    def rivals(self, name: str, target: str) -> list[Rival]:
        """What would have to be replaced."""

    def check(self) -> None:
        """Before anything is changed: it answers, and this user may change its services."""

    def install(self, spec: ServiceSpec, rivals: list[Rival], backup: Path) -> None:
        """Write the files, start the service (or have it started on demand) and at every login.

        Args:
            backup: folder for what is replaced.
        """

    def uninstall(self, name: str, backup: Path) -> list[Path]:
        """End it and remove its files; those that were there.

        Args:
            backup: folder for copies of them: they may have been changed by hand.
        """

    def start(self, name: str) -> None:
        """Start it."""

    def stop(self, name: str) -> None:
        """End it until it is started, or until the next login."""

    def restart(self, name: str) -> None:
        """End it and start it; ports that the manager holds stay bound."""

    def state(self, name: str) -> ManagerState:
        """How it stands."""

    def names(self) -> list[str]:
        """The tunnels that have a service."""


def ask(command: list[str], env: Mapping[str, str], timeout: float = TIMEOUT) -> Done:
    """Run launchctl or systemctl.

    Raises:
        ServiceError: it is not there, or does not answer.
    """
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=dict(env), check=False
        )
    except subprocess.TimeoutExpired:
        raise ServiceError(
            f"{' '.join(command)} did not answer within {timeout:g} s", hint="see what it waits for, then try again"
        ) from None
    except OSError as error:
        raise ServiceError(
            f"{command[0]} cannot be run: {error.strerror}",
            hint="this computer has no service manager that is known here; open the tunnel with: openclaw-tunnel up -d",
        ) from None
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def keep_copies(paths: Iterable[Path], backup: Path) -> list[Path]:
    """Copy files to the folder ``backup``, which is made where there is something to copy; the copies.

    Raises:
        ServiceError: one cannot be copied.
        ConfigError: the folder cannot be used.
    """
    copies = []
    for path in paths:
        for folder in (backup.parent, backup):
            ensure_private_dir(folder)
        try:
            copies.append(Path(shutil.copy2(path, backup / path.name)))
        except OSError as error:
            raise ServiceError(
                f"{path} cannot be copied to {backup}: {error.strerror}", hint="nothing was changed; make a copy of it"
            ) from None
    return copies


def write_for_all(path: Path, text: str) -> None:
    """Write a file of a service, which everybody may read and only its owner write: launchd refuses others.

    Raises:
        ServiceError: it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_atomic(path, text.encode(), mode=0o644)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}", hint="check its folder") from None


def not_installed(name: str) -> ServiceError:
    """The error of a command about a service that is not there."""
    return ServiceError(
        f"there is no service for the tunnel {name}", hint="make one: openclaw-tunnel service install TARGET"
    )
