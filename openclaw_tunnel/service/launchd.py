"""Services of launchd: LaunchAgents of the user.

``bootout`` returns before the job is gone, and a ``bootstrap`` in that time fails. So: enable, bootout, wait until
launchd knows it no more, bootstrap until it takes, see that it runs; and if it does not, what ran before runs again.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from openclaw_tunnel.errors import ServiceError
from openclaw_tunnel.host.paths import ensure_private_dir
from openclaw_tunnel.service import render
from openclaw_tunnel.service.installed import job_of
from openclaw_tunnel.service.launchctl import BOOTOUT_FINE, NOT_THERE, PASSING, Job, parse_job, refused
from openclaw_tunnel.service.manager import (
    Done,
    Manager,
    ManagerState,
    Rival,
    ask,
    keep_copies,
    not_installed,
    write_for_all,
)
from openclaw_tunnel.service.spec import LABEL, LEGACY_LABEL, RUN, ServiceSpec, label_of, tunnel_of

GONE = 30.0
"""Seconds that a job gets to be gone after bootout: more than its ExitTimeOut."""

TAKEN = 15.0
"""Seconds in which bootstrap is tried again."""

RUNS = 35.0
"""Seconds in which a job has to run: more than the end of the one before (ExitTimeOut) and launchd's throttle."""

OLD_LABELS = frozenset({LABEL, LEGACY_LABEL, "ai.openclaw.tunnel"})
"""Labels of OpenClaw's documentation, of older set-ups, and of this project's first manual."""

_STEP = 0.1


class Launchd(Manager):
    """launchd, for the user who runs this.

    Attributes:
        name: of the manager.
        system: always False: the services are the user's.
    """

    name = "launchd"
    system = False

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        launchctl: str = "launchctl",
        uid: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: ``launchctl`` is the program; ``sleep`` passes seconds between two looks."""
        self._env = env
        self._launchctl = launchctl
        self._uid = os.getuid() if uid is None else uid
        self._sleep = sleep
        self._folder = Path(env.get("HOME") or os.path.expanduser("~")) / "Library/LaunchAgents"

    def files(self, spec: ServiceSpec) -> dict[Path, str]:
        """The LaunchAgent."""
        return {self._plist(label_of(spec.name)): render.render_plist(spec)}

    def rivals(self, name: str, target: str) -> list[Rival]:
        """The documented agent, its predecessor, and others that run ``ssh -N`` to the same host."""
        found = []
        for path in sorted(self._folder.glob("*.plist")) if self._folder.is_dir() else ():
            job = _read(path)
            arguments = job.get("ProgramArguments")
            words = [str(word) for word in arguments] if isinstance(arguments, list) else []
            ssh = words and Path(words[0]).name == "ssh" and "-N" in words and target in words
            label = str(job.get("Label", path.stem))
            ours = tuple(words[1:3]) == RUN
            same = label == label_of(name) or (label in OLD_LABELS and name == tunnel_of(LABEL))
            if not ours and (ssh or same):
                found.append(Rival(label, path, " ".join(words)))
        return found

    def check(self) -> None:
        self._domain()

    def install(self, spec: ServiceSpec, rivals: list[Rival], backup: Path) -> None:
        """As :class:`Manager`; what ran before runs again where the new one does not come to run."""
        label = label_of(spec.name)
        path = self._plist(label)
        domain = self._domain()
        self._prepare(spec)
        saved = keep_copies(
            dict.fromkeys([*(rival.path for rival in rivals), *([path] if path.exists() else [])]), backup
        )
        try:
            for rival in rivals:
                self._bootout(rival.unit)
                rival.path.unlink(missing_ok=True)
            write_for_all(path, render.render_plist(spec))
            self._load(domain, label, path)
            self._see_it_run(domain, label, waits=bool(spec.listen))
        except (ServiceError, OSError, KeyboardInterrupt) as error:
            if saved:
                self._restore(domain, label, saved)
            if not saved or not isinstance(error, ServiceError):
                raise
            raise ServiceError(f"{error.message}; what ran before runs again", hint=error.hint) from None

    def uninstall(self, name: str, backup: Path) -> list[Path]:
        label = label_of(name)
        path = self._plist(label)
        there = path.exists()
        if not there and self._job(label) is None:
            raise not_installed(name)
        keep_copies([path] if there else [], backup)
        self._bootout(label)
        path.unlink(missing_ok=True)
        return [path] if there else []

    def start(self, name: str) -> None:
        label = label_of(name)
        if not self._plist(label).exists():
            raise not_installed(name)
        domain = self._domain()
        if self._job(label) is None:
            self._load(domain, label, self._plist(label))
        elif not self._on_demand(label):
            self._call("kickstart", self._loaded_in(label))
        self._see_it_run(domain, label, waits=self._on_demand(label))

    def stop(self, name: str) -> None:
        label = label_of(name)
        if not self._plist(label).exists() and self._job(label) is None:
            raise not_installed(name)
        self._bootout(label)

    def restart(self, name: str) -> None:
        """As :class:`Manager`: the job stays loaded, and its sockets with it."""
        label = label_of(name)
        before = self._job(label)
        if before is None:
            self.start(name)
            return
        self._call("kickstart", "-k", self._loaded_in(label))
        self._see_it_run(self._domain(), label, waits=False, old=before.pid)

    def state(self, name: str) -> ManagerState:
        label = label_of(name)
        job = self._job(label)
        installed = self._plist(label).exists()
        if job is None:
            return ManagerState(installed, False, False, None, "not loaded" if installed else "not installed")
        return ManagerState(installed, True, job.pid is not None, job.pid, job.words, self._on_demand(label))

    def names(self) -> list[str]:
        found = self._folder.glob(f"{LABEL}*.plist") if self._folder.is_dir() else ()
        return sorted({name for path in found if (name := tunnel_of(path.stem))})

    # Steps

    def _prepare(self, spec: ServiceSpec) -> None:
        """Whatever can be known before anything is touched."""
        if not os.access(spec.program, os.X_OK):
            raise ServiceError(f"{spec.program} cannot be run", hint="install openclaw-tunnel anew")
        ensure_private_dir(spec.log_dir)  # launchd does not make it, and then does not start the job

    def _restore(self, domain: str, label: str, saved: list[Path]) -> None:
        with contextlib.suppress(ServiceError):
            self._bootout(label)
        self._plist(label).unlink(missing_ok=True)
        for copy in saved:
            path = self._folder / copy.name
            write_for_all(path, copy.read_text())
            self._load(domain, str(_read(path).get("Label", path.stem)), path)

    def _load(self, domain: str, label: str, path: Path) -> None:
        """Have launchd take the job, whatever it knew of that label before."""
        self._call("enable", f"{domain}/{label}")
        self._bootout(label)
        left = TAKEN
        while True:
            done = self._ask("bootstrap", domain, str(path))
            if done.code == 0:
                return
            left -= _STEP * 5
            if done.code not in PASSING or left <= 0:
                raise refused("bootstrap", done, label, str(path))
            self._sleep(_STEP * 5)

    def _bootout(self, label: str) -> None:
        """Have launchd forget the job, in whichever domain it is, and wait until it has."""
        for domain in self._domains():
            target = f"{domain}/{label}"
            done = self._ask("bootout", target)
            if done.code not in BOOTOUT_FINE and self._ask("print", target).code == 0:
                raise refused("bootout", done, label)
            left, step = GONE, _STEP
            while self._ask("print", target).code == 0:
                if left <= 0:
                    raise ServiceError(
                        f"launchd still has {label} after {GONE:.0f} s",
                        hint=f"end it: launchctl kill SIGKILL {target}, then try again",
                    )
                self._sleep(step)
                left -= step
                step = min(1.0, step * 1.5)

    def _see_it_run(self, domain: str, label: str, *, waits: bool, old: int | None = None) -> None:
        """Return when the job runs, not as process ``old``; where it ``waits`` for a client, when it is loaded."""
        left, step = RUNS, _STEP
        kicked = False
        while True:
            job = self._job(label)
            if job and (job.pid not in (None, old) or waits):
                return
            if left <= 0 or (job and job.cannot_run):
                raise self._does_not_run(label, job)
            if job and job.never_ran and left < RUNS / 2 and not kicked:
                kicked = True
                self._ask("kickstart", f"{domain}/{label}")
            self._sleep(step)
            left -= step
            step = min(1.0, step * 1.5)

    def _does_not_run(self, label: str, job: Job | None) -> ServiceError:
        log = _read(self._plist(label)).get("StandardErrorPath", "the log")
        hint = f"see what it said: {log}"
        if job and job.cannot_run:
            hint += "; or macOS does not let it start: look at System Settings, Login Items, and its privacy settings"
        return ServiceError(f"{label} does not run: {job.words if job else 'launchd does not know it'}", hint=hint)

    def _on_demand(self, label: str) -> bool:
        return "Sockets" in _read(self._plist(label))

    def _domains(self) -> tuple[str, str]:
        return f"gui/{self._uid}", f"user/{self._uid}"

    def _domain(self) -> str:
        """That of the login at the screen; where there is none (ssh), the one that every login has."""
        gui, user = self._domains()
        return gui if self._ask("print", gui).code == 0 else user

    def _loaded_in(self, label: str) -> str:
        for domain in self._domains():
            if self._ask("print", f"{domain}/{label}").code == 0:
                return f"{domain}/{label}"
        return f"{self._domain()}/{label}"

    def _job(self, label: str) -> Job | None:
        for domain in self._domains():
            done = self._ask("print", f"{domain}/{label}")
            if done.code == 0:
                return parse_job(done.stdout)
            if done.code not in NOT_THERE:
                raise refused("print", done, label)
        return None

    def _plist(self, label: str) -> Path:
        return self._folder / f"{label}.plist"

    def _ask(self, *arguments: str) -> Done:
        return ask([self._launchctl, *arguments], self._env)

    def _call(self, *arguments: str) -> Done:
        done = self._ask(*arguments)
        if done.code:
            raise refused(arguments[0], done, arguments[-1].rpartition("/")[2])
        return done


def _read(path: Path) -> dict[str, Any]:
    """A LaunchAgent; empty where it is none, or cannot be read."""
    try:
        return job_of(path.read_bytes())
    except OSError:
        return {}
