"""The steps of ``setup`` on this computer: local port, settings, service, the tunnel itself."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from openclaw_tunnel.core.spec import LOOPBACK, Forward
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import ConfigError, ExitCode, UsageError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.json5doc.edit import Patch
from openclaw_tunnel.openclaw.settings import load_openclaw, load_raw
from openclaw_tunnel.settings.main_forward import choose_main, leads_to
from openclaw_tunnel.settings.resolve import Choice, UpOptions, choose_tunnel, port_wishes
from openclaw_tunnel.settings.tunnels_file import load_tunnels
from openclaw_tunnel.setup.openclawjson import ByHand, check_can_write, edit_file, snippet_of, write_settings
from openclaw_tunnel.setup.plan import (
    Found,
    Known,
    Mark,
    Report,
    Wanted,
    Wish,
    changes_in_words,
    hide_secrets,
    leads_elsewhere,
    local_ports,
    pick_port,
    settings_patch,
    target_for_settings,
)
from openclaw_tunnel.ui import output, progress


class Computer(Protocol):
    """This computer, as far as ``setup`` changes more than files."""

    def running(self, name: str) -> Snapshot | None:
        """The tunnel of that name, where one runs."""

    def close(self, name: str) -> None:
        """Close it."""

    def why_taken(self, port: int) -> str:
        """Who has a local port; empty where nobody has."""

    def no_service(self) -> str:
        """Why no service can be installed here; empty where one can."""

    def has_service(self, name: str) -> bool:
        """Whether the tunnel of that name has one already."""

    def command(self, *arguments: str) -> int:
        """Carry out another command of this program; its exit code. Raises what it raises."""


class HereSteps:
    """Made once the settings that are there have been read; each step says what it did.

    Raises:
        ConfigError: from the constructor, where the settings cannot be read.
    """

    def __init__(
        self, wish: Wish, computer: Computer, report: Report, *, env: Mapping[str, str], paths: Paths, yes: bool
    ) -> None:
        self._wish = wish
        self._yes = yes
        self._computer = computer
        self._report = report
        self._env = env
        self._paths = paths
        self._settings = load_openclaw(env)
        self._tunnels = load_tunnels(paths.tunnels_file)
        self.target = target_for_settings(wish.target)
        gateway = self._settings.config.get("gateway")
        self._gateway: Mapping[str, Any] = gateway if isinstance(gateway, dict) else {}
        if wish.target in self._tunnels.tunnels:
            raise UsageError(
                f"{wish.target} is a tunnel of {paths.tunnels_file} already",
                hint=f"open it: openclaw-tunnel up -d {wish.target}; or give setup the host itself: user@host",
            )
        self._choice = self._chosen()

    @property
    def elsewhere(self) -> str:
        """Where the settings lead now, if that is another gateway."""
        return leads_elsewhere(self._remote, self.target)

    @property
    def name(self) -> str:
        """How commands call the tunnel."""
        return self._choice.entry.name

    @property
    def identity(self) -> str:
        """The private key file to log in with; empty: ssh_config decides."""
        return self._wish.identity or self._choice.identity

    @property
    def ssh_config(self) -> str:
        """The file for ``-F``; empty: the user's and the system's."""
        return self._wish.ssh_config or self._choice.entry.ssh_config

    @property
    def is_gateway(self) -> bool:
        """Whether this computer has a gateway of its own."""
        return self._settings.mode == "local"

    @property
    def known(self) -> Known:
        """What the settings say of this gateway."""
        if self.elsewhere or not self._remote:
            return Known()
        raw = load_raw(self._settings.path)
        written = raw.value.get("gateway", {}).get("remote", {}) if raw else {}
        secrets = {key: written.get(key, self._remote.get(key)) for key in ("token", "password") if key in self._remote}
        return Known(self._settings.remote_url_port, self._settings.remote_port, secrets)

    @property
    def _remote(self) -> Mapping[str, Any]:
        remote = self._gateway.get("remote")
        return remote if isinstance(remote, dict) else {}

    def run(self, found: Found, forwards: tuple[Forward, ...], *, remote_mode: bool, service: bool) -> int:
        """All of them; the exit code.

        Args:
            forwards: the LocalForwards that ssh_config has for the host.
            remote_mode: ``gateway.mode`` may become ``remote``.
            service: open the tunnel at every login.
        """
        local = self._port(found, forwards)
        wanted = Wanted(self.target, local, found.port, self._wish.identity, found.kind, found.secret)
        self._check_ports(wanted, forwards)
        changed = self._write(settings_patch(self._gateway, wanted, remote_mode=remote_mode))
        changed |= self._keep_ssh_config()
        return self._start(found, local, changed=changed, service=service)

    def _port(self, found: Found, forwards: tuple[Forward, ...]) -> int:
        """The local port: free, or the tunnel's own already."""
        forward = next((f.listen.port for f in forwards if leads_to(f, found.port) and not f.listen.path), None)
        running = self._computer.running(self.name)
        own = _port_of(running) if running and _leads_there(running, found) else None
        ports = local_ports((forward, self.known.local_port, own), found.port)
        fixed = self._wish.local_port or self._choice.entry.local_port
        moved = pick_port(
            [fixed] if isinstance(fixed, int) else ports,
            lambda port: port == own,
            self._computer.why_taken,
        )
        mark = Mark.KEPT if moved.port == self.known.local_port else Mark.OK
        self._report.done("port", mark, f"http://{LOOPBACK}:{moved.port}" + (f" ({moved.why})" if moved.why else ""))
        return moved.port

    def _chosen(self) -> Choice:
        """The tunnel that later commands without an option will mean.

        Raises:
            ConfigError: tunnels.json5 has them mean another host, or another port each time.
        """
        identity = "" if self.elsewhere else self._settings.remote_ssh_identity
        after = replace(self._settings, remote_ssh_target=self.target, remote_ssh_identity=identity)
        choice = choose_tunnel(UpOptions(), self._tunnels, after, self._env)
        entry = choice.entry
        if entry.target != self.target:
            raise ConfigError(
                f"{self._tunnels.path}: the tunnel {entry.name} leads to {entry.target}, and is the one that commands "
                "without a name mean",
                hint=f"take target out of tunnels.{entry.name}, or open this one by hand: "
                f"openclaw-tunnel up -d -n NAME {self._wish.target}",
            )
        if not isinstance(entry.local_port, int | None):
            raise ConfigError(
                f"{self._tunnels.path}: tunnels.{entry.name} has localPort {entry.local_port!r}, and "
                "openclaw.json names one",
                hint="take localPort out there: setup looks for a free port, too, and keeps it",
            )
        return choice

    def _check_ports(self, wanted: Wanted, forwards: tuple[Forward, ...]) -> None:
        """Later commands without an option have to take the same ports.

        Raises:
            ConfigError: tunnels.json5 or ssh_config has others.
        """
        entry = self._choice.entry
        url = f"ws://{LOOPBACK}:{wanted.local_port}"
        after = replace(self._settings, remote_url=url, remote_port=wanted.remote_port)
        main = choose_main(port_wishes(UpOptions(), entry, after), forwards).forward
        ports = (main.listen.port, main.to.port)
        if ports == (wanted.local_port, wanted.remote_port):
            return
        own = entry.local_port or entry.remote_port
        where = f"{self._tunnels.path} (tunnels.{entry.name})" if own else "LocalForward of ssh_config"
        raise ConfigError(
            f"{where} has other ports for this tunnel: {main}",
            hint=f"take them out there, or use them: --local-port {ports[0]} --remote-port {ports[1]}",
        )

    def _write(self, patch: Patch) -> bool:
        """Whether openclaw.json was, or would be, changed."""
        path = self._settings.path
        if not patch:
            self._report.done("settings", Mark.KEPT, f"{path} has all of it")
            return False
        words = f"{path}: {changes_in_words(patch)}"
        with _shown(patch):
            if self._wish.dry_run:
                check_can_write(self._settings.loaded, patch, self._env)
                self._report.done("settings", Mark.WOULD, words)
                output.say(snippet_of(hide_secrets(patch)))
                return True
            with progress.working(f"writing {path}"):
                written = write_settings(self._settings.loaded, patch, self._env)
        copy = f" (before: {written.copy.name})" if written.copy else ""
        how = f", through {written.through}" if written.through else ""
        self._report.done("settings", Mark.CHANGED, f"{words}{how}{copy}")
        return True

    def _keep_ssh_config(self) -> bool:
        """``-F FILE`` kept for later commands: openclaw.json has no place for it."""
        config, name = self._wish.ssh_config, self.name
        entry = self._tunnels.tunnels.get(name)
        if not config or (entry and entry.ssh_config == config):
            return False
        path = self._paths.tunnels_file
        patch: Patch = {"tunnels": {name: {"sshConfig": config}}}
        if self._wish.dry_run:
            self._report.done("ssh", Mark.WOULD, f"{path}: tunnels.{name}.sshConfig {config}")
            return True
        with _shown(patch):
            edit_file(path, patch)
        self._report.done("ssh", Mark.CHANGED, f"{path}: tunnels.{name}.sshConfig {config}")
        return True

    def _start(self, found: Found, local: int, *, changed: bool, service: bool) -> int:
        """Have the tunnel up, in the way that was asked for; nothing is touched where it is so already."""
        name = self.name
        running = self._computer.running(name)
        has_service = self._computer.has_service(name)
        service |= has_service  # one that is there has to learn of other settings
        words = f"{name} " + ("opens at every login" if service else "runs in the background")
        if not service and not self._computer.no_service():
            words += "; to have it at every login: openclaw-tunnel service install"
        is_it = running is not None and _is_it(running, found, local)
        command: tuple[str, ...] = ("up", "-d")
        mark = Mark.CHANGED
        if running and is_it and not changed and service == has_service:
            mark = Mark.KEPT
            command = ("wait", name) if running.state is State.UP else command
        elif service:
            command = ("service", "install", *["--yes"] * self._yes, *["--replace"] * self._wish.replace)
        if self._wish.dry_run:
            would = Mark.KEPT if mark is Mark.KEPT else Mark.WOULD
            self._report.done("tunnel", would, words if mark is Mark.KEPT else f"call: {' '.join(command)}")
            return ExitCode.OK
        if running and mark is Mark.CHANGED and not service:
            if not is_it:
                main = running.forwards[0]
                output.note(f"{name} was {main.listen} -> {main.to} of {running.target}, and is closed")
            self._computer.close(name)
        code = self._computer.command(*command)
        if code == ExitCode.OK:
            self._report.done("tunnel", mark, words)
        return code


def _is_it(running: Snapshot, found: Found, local: int) -> bool:
    """Whether a tunnel that runs is the one that is wanted."""
    return _leads_there(running, found) and _port_of(running) == local


def _leads_there(running: Snapshot, found: Found) -> bool:
    return (running.target, running.forwards[0].to) == (found.address, f"{LOOPBACK}:{found.port}")


def _port_of(running: Snapshot) -> int | None:
    """Its local port, at whatever address tunnels.json5 binds; None: it listens on a socket path."""
    port = running.forwards[0].listen.rpartition(":")[2]
    return int(port) if port.isdigit() else None


@contextlib.contextmanager
def _shown(patch: Patch) -> Iterator[None]:
    """Where a person has to make a change by hand, what it is; a token is not shown."""
    try:
        yield
    except ByHand:
        output.say(snippet_of(hide_secrets(patch)))
        raise
