"""The tunnels of the daemon: start, replace, reload, close, and the answers to the command line."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from openclaw_tunnel import __version__
from openclaw_tunnel.core import events as ev
from openclaw_tunnel.core.link import Connector
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.core.states import LINK_STATES
from openclaw_tunnel.core.status import DaemonInfo, Snapshot
from openclaw_tunnel.daemon.autoports import AutoPorts
from openclaw_tunnel.daemon.credentials import SettingsCredentials
from openclaw_tunnel.daemon.history import Recorders
from openclaw_tunnel.daemon.notifications import Announcer
from openclaw_tunnel.daemon.onlookers import watch
from openclaw_tunnel.daemon.requests import RELOAD_AGAIN, DaemonCloses, clash, goes_on, not_running
from openclaw_tunnel.daemon.service_owners import ServiceOwners
from openclaw_tunnel.errors import ExitCode, HelperError, TunnelError
from openclaw_tunnel.host.loop.parts import Parts
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.notify import Desktop
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.host.walltime import utc_now
from openclaw_tunnel.openclaw.paths import config_file, dotenv_files
from openclaw_tunnel.relay.bind import BindFailed
from openclaw_tunnel.settings.resolve import UpOptions, resolve
from openclaw_tunnel.ssh import lookup
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.supervisor.tunnel import Supervisor

logger = logging.getLogger(__name__)

MakeConnector = Callable[[TunnelSpec], Connector]


@dataclass(slots=True)
class _Tunnel:
    """A running tunnel, where the command line told them the options it was made from, and the environment of that
    command: another profile has other settings and other credentials than the daemon's own."""

    supervisor: Supervisor
    options: UpOptions | None
    env: Mapping[str, str] = field(repr=False)


class Daemon:
    """Answers the control socket and holds the supervisors."""

    def __init__(
        self,
        paths: Paths,
        env: Mapping[str, str],
        *,
        make_connector: MakeConnector | None = None,
        on_change: Callable[["Daemon"], None] = lambda _: None,
        desktop: Desktop | None = None,
    ) -> None:
        """Make a daemon without tunnels.

        Args:
            env: for tunnels whose ``up`` brings no environment; the last ``up`` replaces SSH_AUTH_SOCK.
            make_connector: how a tunnel dials; by default over SSH.
            on_change: called after every change a view may want to show.
            desktop: shows notices; by default the system's.
        """
        self._paths, self._env = paths, dict(env)
        self._make_connector = make_connector or (lambda spec: SshConnector(spec, env=self._env))
        self._view = on_change
        self._tunnels: dict[str, _Tunnel] = {}
        self._info = DaemonInfo(os.getpid(), utc_now(), __version__)
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._tasks = Tasks()
        self.owners = ServiceOwners()
        self.announcer = Announcer(desktop, has_desktop=self.owners.has_desktop)
        self._recorders = Recorders(paths.state_dir)
        self._running = Parts()
        self._ports = AutoPorts(paths.state_dir)
        self.ending: asyncio.Future[ExitCode] = asyncio.get_running_loop().create_future()

    def start(self, parts: Parts) -> None:
        """Be the rest of a process whose ``parts`` run: tunnels, histories, and who is told of them."""
        parts.run("heartbeat of the histories", self._recorders.keep_beating())
        parts.add("reloads", self._tasks.cancel_all)
        parts.add("announcer", self.announcer.close)
        self._running = parts.branch("tunnels", self.close)

    # What may be asked for

    def orphaned(self) -> None:
        """Nobody can reach this daemon any more: its folder is gone."""
        logger.warning("the daemon's folder is gone; closing")
        self.end(ExitCode.OK)

    @property
    def info(self) -> DaemonInfo:
        """Who this is."""
        return self.owners.complete(self._info)

    def snapshots(self) -> list[Snapshot]:
        """All tunnels, at this moment; those that cannot even begin come last."""
        running = [tunnel.supervisor.snapshot() for _, tunnel in sorted(self._tunnels.items())]
        return [*running, *(t for name, t in self.owners.failed.items() if name not in self._tunnels)]

    async def up(
        self,
        spec: TunnelSpec,
        options: UpOptions | None = None,
        env: Mapping[str, str] | None = None,
        *,
        by_hand: bool = False,
    ) -> tuple[bool, str]:
        """Start a tunnel, or see to it that one of that name and target runs.

        Args:
            env: where the tunnel's settings and credentials are looked up; by default the daemon's own.
            by_hand: no service asks: one that a service keeps stays as that wants it.

        Returns:
            Whether it was started now, and a note for the user (empty: none).

        Raises:
            RequestRefused: a tunnel of that name leads elsewhere, or a local port cannot be had.
            DaemonCloses: this daemon is at its end; the next one can have the tunnel.
        """
        async with self._turn:
            if self.ending.done():
                raise DaemonCloses
            spec = await asyncio.to_thread(self._ports.settled, spec)
            old = self._tunnels.get(spec.name)
            if old is not None:
                same, kept = old.supervisor.spec == spec, spec.name in self.owners.services
                if same:
                    old.supervisor.spec = spec  # whom it tells may be another
                if same or (kept and by_hand) or old.supervisor.state in LINK_STATES:
                    return False, goes_on(old.supervisor, spec, kept=kept)
                await self._close([spec.name])
            return True, await self._start(spec, options, dict(self._env if env is None else env))

    async def down(self, names: list[str] | None) -> list[str]:
        """Close tunnels (None: all of them); those that are closed already are no error. Returns the names.

        The daemon ends with its last tunnel.
        """
        async with self._turn:
            names = list(self._tunnels) if names is None else names
            await self._close([name for name in names if name in self._tunnels])
            for name in names:
                self.owners.services.pop(name, None)
            self.end_if_idle()
        return names

    def retry(self) -> None:
        """Something was fixed that tunnels may wait for: those that failed try again."""
        for tunnel in self._tunnels.values():
            tunnel.supervisor.post(ev.DependencyChanged())

    async def reload(self) -> None:
        """Read the settings again: tunnels whose settings changed are started anew, failed ones try again."""
        logger.info("reading the settings again")
        async with self._turn:
            for name, tunnel in tuple(self._tunnels.items()):
                await self._reload_one(name, tunnel)

    async def close(self) -> None:
        """Close every tunnel."""
        async with self._turn:
            await self._close(list(self._tunnels))

    def end(self, code: ExitCode) -> None:
        """Let :func:`serve` return ``code`` once everything is closed; the first call decides."""
        if not self.ending.done():
            self.ending.set_result(code)

    def end_if_idle(self) -> None:
        """End where no tunnel runs, nor waits for a person."""
        if not self._tunnels and not self.owners.failed:
            self.end(ExitCode.OK)

    def supervisor(self, name: str) -> Supervisor | None:
        """The tunnel of that name, if it runs."""
        tunnel = self._tunnels.get(name)
        return tunnel.supervisor if tunnel else None

    def running(self, name: str) -> Supervisor:
        """The tunnel of that name.

        Raises:
            RequestRefused: it does not run.
        """
        if name not in self._tunnels:
            raise not_running(name, self._tunnels)
        return self._tunnels[name].supervisor

    def supervisors(self, name: str | None = None) -> list[Supervisor]:
        """The tunnel of that name if it runs, or all."""
        return [tunnel.supervisor for each, tunnel in self._tunnels.items() if name in (None, each)]

    async def changes(self, name: str, *, waits: bool, asks: bool, emit: Callable[[Snapshot], None]) -> None:
        """See ``daemon.onlookers.watch``."""
        await watch(lambda: self.supervisor(name), lambda: self._changed, emit, waits=waits, asks=asks)

    def adopt_agent(self, agent: str) -> None:
        """A new login has a new agent: the one this daemon was started with may be gone for days. Empty: none."""
        if agent:
            self._env["SSH_AUTH_SOCK"] = agent

    def woke(self, slept: float) -> None:
        """The computer was asleep for ``slept`` seconds: every connection may be dead."""
        logger.info("awake again after %.0f s of sleep", slept)
        self._recorders.slept(slept)
        lookup.network_changed()
        self.announcer.woke()
        for tunnel in self._tunnels.values():
            tunnel.supervisor.post(ev.Woke())

    def network_changed(self, addresses: frozenset[str] | None) -> None:
        """Addresses, links or routes of this computer changed; see ``Supervisor.network_changed``."""
        logger.debug("the network changed")
        lookup.network_changed()
        for tunnel in self._tunnels.values():
            tunnel.supervisor.network_changed(addresses)

    def on_signal(self, number: signal.Signals) -> None:
        """SIGTERM and the first SIGINT end in order, the second SIGINT ends at once, SIGHUP reloads."""
        if number is signal.SIGHUP:
            self._tasks.start(self.reload(), name="reload")
            return
        if self.ending.done() and number is signal.SIGINT:
            self.announcer.kill()
            os._exit(ExitCode.INTERRUPTED)
        logger.info("%s: closing", number.name)
        self.end(ExitCode.INTERRUPTED if number is signal.SIGINT else ExitCode.OK)

    # Steps

    async def _start(self, spec: TunnelSpec, options: UpOptions | None, env: Mapping[str, str]) -> str:
        """Start it, and return a note for the user (empty: none)."""
        for other in self._tunnels.values():
            await other.supervisor.extra_ports.give_up({forward.listen.port for forward in spec.forwards})
        try:
            supervisor = await self._ports.try_each(spec, lambda choice: self._open(choice, env))
        except BindFailed as error:
            running = {name: tunnel.supervisor.spec for name, tunnel in self._tunnels.items()}
            raise clash(spec, error.failure, running) from error
        self._running.add(spec.name, supervisor.stop)
        self._tunnels[spec.name] = _Tunnel(supervisor, options.kept() if options else None, env)
        self._tunnel_changed(spec.name)
        return await asyncio.to_thread(self._ports.keep, supervisor.spec)

    async def _open(self, spec: TunnelSpec, env: Mapping[str, str]) -> Supervisor:
        supervisor = Supervisor(
            spec,
            self._make_connector(spec),
            credentials=SettingsCredentials(env, self._paths.tunnels_file, spec),
            settings_files=tuple(map(str, (config_file(env), self._paths.tunnels_file, *dotenv_files(env)))),
            on_settings=lambda: self._settings_changed(spec.name),
            on_change=lambda: self._tunnel_changed(spec.name),
            on_state=self._recorders.of(spec.name).note,
        )
        await supervisor.start()
        return supervisor

    def _settings_changed(self, name: str) -> None:
        """A tunnel that waits for a person: the person may just have mended its settings."""
        self._tasks.start(self._reload_named(name), name=f"reload {name}")

    async def _reload_named(self, name: str, after: float = 0.0) -> None:
        await asyncio.sleep(after)
        async with self._turn:
            if name in self._tunnels:
                await self._reload_one(name, self._tunnels[name])

    async def _close(self, names: list[str]) -> None:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self._running.stop(name))
        for name in names:
            del self._tunnels[name]
        self._note_change()

    async def _reload_one(self, name: str, tunnel: _Tunnel) -> None:
        if tunnel.options is None:
            tunnel.supervisor.post(ev.DependencyChanged())
            return
        try:
            agent = {k: v for k, v in self._env.items() if k == "SSH_AUTH_SOCK"}
            wanted = (await resolve(tunnel.options, env={**tunnel.env, **agent}, paths=self._paths)).spec
            spec = await asyncio.to_thread(self._ports.settled, wanted)
            if spec == tunnel.supervisor.spec:
                tunnel.supervisor.spec = spec
                tunnel.supervisor.post(ev.DependencyChanged())
                return
            await self._close([name])
            await self._start(spec, tunnel.options, tunnel.env)
        except Exception as error:
            log = logger.warning if isinstance(error, TunnelError) else logger.exception
            log("%s: reload: %s", name, getattr(error, "message", "internal error"))
            if isinstance(error, HelperError):  # the change must not be missed for a program that was slow once
                self._tasks.start(self._reload_named(name, RELOAD_AGAIN), name=f"reload {name}")
            if name not in self._tunnels:  # the new settings cannot be had: what ran before goes on
                await self._start(tunnel.supervisor.spec, tunnel.options, tunnel.env)

    def _tunnel_changed(self, name: str) -> None:
        if tunnel := self._tunnels.get(name):  # else it is just being opened
            self.announcer.see(tunnel.supervisor.snapshot(), tunnel.supervisor.spec.announce, tunnel.env)
        self._note_change()

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        self._view(self)
