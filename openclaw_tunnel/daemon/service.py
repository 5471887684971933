"""The daemon under a service manager: it never ends by itself for what only a person can mend.

A service keeps one tunnel. Its process is the daemon of this user if there is none yet; else it leaves the tunnel to
the daemon that runs, follows it, and takes its place when it is gone.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from openclaw_tunnel.control.lock import DaemonRuns
from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.core.spec import DEFAULT_NAME, TunnelSpec
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import FailureStatus, ForwardStatus, Snapshot
from openclaw_tunnel.daemon.follow import Follower
from openclaw_tunnel.daemon.process import open_daemon
from openclaw_tunnel.daemon.requests import DaemonCloses, refusal
from openclaw_tunnel.daemon.tunnels import Daemon
from openclaw_tunnel.daemon.watchdog import Watchdog
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.host import inherited
from openclaw_tunnel.host.loop.parts import Parts
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.host.sdnotify import Notifier
from openclaw_tunnel.host.walltime import utc_now
from openclaw_tunnel.service.spec import unit_of
from openclaw_tunnel.settings.resolve import UpOptions, resolve

logger = logging.getLogger(__name__)

AGAIN = 5.0
"""Seconds between two tries of a tunnel that cannot even begin: its port is taken, a settings file is broken."""

TURN = 1.0
"""Seconds between two looks whether another daemon has ended."""


class ServiceProcess:
    """One service, from its start to its end."""

    def __init__(
        self,
        paths: Paths,
        env: Mapping[str, str],
        options: UpOptions,
        service: dict[str, Any],
        notifier: Notifier,
        watchdog: Watchdog,
        words: Callable[[Snapshot], str],
    ) -> None:
        """Make a service that does nothing yet.

        Args:
            options: of ``up``: the tunnel that it keeps.
            service: ``manager``, ``unit`` (empty: the one named after the tunnel) and ``system``, for those who want
                to stop it; empty where nobody started it.
            notifier: to tell systemd.
            watchdog: the watchdogs.
            words: one line about a tunnel, for a person.
        """
        self._paths = paths
        self._env = env
        self._options = options
        self._service = service
        self._notifier = notifier
        self._watchdog = watchdog
        self._words = words
        self._name = options.name or DEFAULT_NAME
        self._daemon: Daemon | None = None
        self._parts = Parts()
        self._tasks = Tasks()
        self._tracebacks = Tracebacks(logger)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> ExitCode:
        """Keep the tunnel until a signal ends it, or somebody closes it.

        Raises:
            ConfigError: a folder of ours cannot be used.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._tasks.start(self._reload(), name="reload"))
        self._parts.add("waits and reloads", self._tasks.cancel_all)
        await self._parts.start("watchdog", self._watchdog.start, self._watchdog.stop)
        try:
            while not self._stop.is_set():
                try:
                    if await self._be_the_daemon():
                        break
                except DaemonRuns as other:
                    if await self._beside(other):
                        break
        finally:
            self._notifier.stopping()
            await self._parts.stop_all()
        return ExitCode.OK

    def _end(self, number: signal.Signals) -> None:
        if self._stop.is_set() and number is signal.SIGINT:
            os._exit(ExitCode.INTERRUPTED)
        logger.info("%s: closing", number.name)
        self._stop.set()

    async def _reload(self) -> None:
        self._notifier.reloading()
        try:
            self._hurry.set()
            if self._daemon is not None:
                await self._daemon.reload()
        finally:
            self._notifier.ready()

    # As the daemon

    async def _be_the_daemon(self) -> bool:
        """True where the tunnel was closed on purpose, or a signal came; False where the daemon has to begin anew.

        Raises:
            DaemonRuns: another process is it.
        """
        async with open_daemon(self._paths, self._env, on_change=self._changed, parts=self._parts) as daemon:
            self._daemon = daemon
            self._watchdog.watch(daemon)
            starting = self._tasks.start(self._bring_up(daemon), name="bring the tunnel up")
            stopping = self._tasks.start(self._stop.wait(), name="wait for the end")
            try:
                await asyncio.wait({daemon.ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
                ours = daemon.supervisor(self._name) is not None or self._name in daemon.owners.failed
                daemon.end(ExitCode.OK)
                return self._stop.is_set() or not ours
            finally:
                self._daemon = None
                self._watchdog.watch(None)
                for task in (starting, stopping):
                    task.cancel()
                await asyncio.wait({starting, stopping})

    async def _bring_up(self, daemon: Daemon) -> None:
        spec: TunnelSpec | None = None
        while True:
            try:
                spec = await self._resolved()
                await daemon.up(spec, self._options)
            except DaemonCloses:
                return
            except TunnelError as error:
                self._cannot_begin(daemon, error, spec)
                await self._pause(AGAIN)
                continue
            except Exception as error:
                failure = self._tracebacks.failure("starting the tunnel", error)
                self._cannot_begin(daemon, refusal(failure), spec)
                await self._pause(AGAIN)
                continue
            daemon.owners.keep(self._name, self._owner())
            daemon.owners.failed.clear()
            self._notifier.ready()
            self._changed(daemon)
            return

    async def _resolved(self) -> TunnelSpec:
        spec = (await resolve(self._options, env=self._env, paths=self._paths)).spec
        self._name = spec.name
        return spec

    def _owner(self) -> dict[str, Any]:
        return {**self._service, "unit": self._service["unit"] or unit_of(self._name)} if self._service else {}

    def _cannot_begin(self, daemon: Daemon, error: TunnelError, spec: TunnelSpec | None) -> None:
        known = daemon.owners.failed.get(self._name)
        if known is None or known.failure is None or known.failure.message != error.message:
            logger.warning("%s cannot begin: %s", self._name, error.message)
            failed = _failed(self._name, self._options, error, spec)
            daemon.owners.failed = {self._name: failed}
            daemon.announcer.see(failed, spec.announce if spec else Announce(), self._env)
            self._changed(daemon)
        daemon.owners.keep(self._name, self._owner())
        self._notifier.ready()  # it is: it waits for whoever mends this

    def _changed(self, daemon: Daemon) -> None:
        supervisor = daemon.supervisor(self._name)
        shown = supervisor.snapshot() if supervisor else daemon.owners.failed.get(self._name)
        if shown is not None:
            self._notifier.status(self._words(shown))

    async def _pause(self, seconds: float) -> None:
        """Wait, unless somebody hurries us or wants the end."""
        self._hurry.clear()
        waits = [self._tasks.start(event.wait(), name="pause") for event in (self._hurry, self._stop)]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    # Beside another daemon

    async def _beside(self, other: DaemonRuns) -> bool:
        """True where the tunnel was closed on purpose, or a signal came; False where the other daemon may be gone."""
        if inherited.count():  # the port is ours alone: only this process can open the tunnel
            self._notifier.status(f"waits: {other.message}")
            self._notifier.ready()
            await self._pause(TURN)
            return False
        follower = Follower(self._paths, lambda tunnel: self._notifier.status(self._words(tunnel)))
        following = self._tasks.start(self._follow(follower), name="follow the daemon")
        stopping = self._tasks.start(self._stop.wait(), name="wait for the end")
        await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if following.done():
            return bool(following.result())
        following.cancel()
        await asyncio.wait({following})
        await follower.close(self._name)
        return True

    async def _follow(self, follower: Follower) -> bool:
        try:
            spec = await self._resolved()
            await follower.up(spec, self._options, self._env, self._owner())
            self._notifier.ready()
            return await follower.follow(spec.name)
        except TunnelError as error:
            if error.exit_code is not ExitCode.NOT_RUNNING:
                logger.warning("%s cannot begin: %s", self._name, error.message)
                self._notifier.status(error.message)
                self._notifier.ready()
            await self._pause(TURN if error.exit_code is ExitCode.NOT_RUNNING else AGAIN)
            return False


def _failed(name: str, options: UpOptions, error: TunnelError, spec: TunnelSpec | None) -> Snapshot:
    """What ``status`` shows of a tunnel that cannot begin."""
    now = utc_now()
    failure = FailureStatus("cannot_begin", error.message, error.hint, True, int(error.exit_code), now)
    forwards = tuple(ForwardStatus(str(f.listen), str(f.to), listening=False) for f in spec.forwards) if spec else ()
    target = options.target or ""
    return Snapshot(name, State.FAILED, now, spec.address if spec else target, target, forwards, failure=failure)
