"""Services of systemd: of the user's manager, or of the system's."""

import os
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path

from openclaw_tunnel.errors import ServiceError
from openclaw_tunnel.service import render
from openclaw_tunnel.service.installed import command_of
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
from openclaw_tunnel.service.spec import RUN, SYSTEM_HOME, SYSTEM_USER, UNIT, ServiceSpec, tunnel_of, unit_of

SYSTEM_FOLDER = Path("/etc/systemd/system")
ACCOUNT_FILE = Path("/etc/sysusers.d/openclaw-tunnel.conf")
_KINDS = ("service", "socket")


class Systemd(Manager):
    """The user's systemd, or the system's.

    Attributes:
        name: of the manager.
        system: it is the system's.
    """

    name = "systemd"

    def __init__(self, env: Mapping[str, str], *, system: bool = False, systemctl: str = "systemctl") -> None:
        """Args: ``env`` names the folders of this user; ``systemctl`` is the program."""
        self.system = system
        self._env = dict(env)
        runtime = f"/run/user/{os.getuid()}"
        if not system and not env.get("XDG_RUNTIME_DIR") and os.path.isdir(runtime):
            self._env["XDG_RUNTIME_DIR"] = runtime  # a shell of su or sudo has none, and systemctl needs it
        self._systemctl = systemctl
        config = env.get("XDG_CONFIG_HOME", "")
        home = Path(env.get("HOME") or os.path.expanduser("~"))
        base = Path(config) if os.path.isabs(config) else home / ".config"
        self._folder = SYSTEM_FOLDER if system else base / "systemd/user"

    def files(self, spec: ServiceSpec) -> dict[Path, str]:
        """The units, and the account where one is needed."""
        found = {self._folder / unit_of(spec.name): render.render_service(spec)}
        if spec.listen:
            found[self._folder / unit_of(spec.name, "socket")] = render.render_socket(spec)
        if spec.system:
            found[ACCOUNT_FILE] = render.render_account()
        return found

    def rivals(self, name: str, target: str) -> list[Rival]:
        """A unit of the same name that was made by hand."""
        path = self._folder / unit_of(name)
        try:
            command = command_of(path.read_text(errors="replace"))
        except OSError:
            return []
        return [] if " ".join(RUN) in command else [Rival(path.name, path, command)]

    def check(self) -> None:
        self._may_change()
        self._call("show", "--property=Version")

    def install(self, spec: ServiceSpec, rivals: list[Rival], backup: Path) -> None:
        self.check()
        files = self.files(spec)
        old = [path for path, text in files.items() if path.exists() and path.read_text(errors="replace") != text]
        keep_copies(dict.fromkeys([*(rival.path for rival in rivals), *old]), backup)
        socket = unit_of(spec.name, "socket")
        if not spec.listen and (self._folder / socket).exists():
            self._call("disable", "--now", socket)
            (self._folder / socket).unlink(missing_ok=True)
        for path, text in files.items():
            write_for_all(path, text)
        if spec.system:
            self._make_account()
        self._call("daemon-reload")
        service = unit_of(spec.name)
        self._ask("reset-failed", service)
        if spec.listen:
            self._ask("disable", service)  # it may have been started at login before; now the socket starts it
            self._call("stop", service)
            self._call("enable", socket)
            self._call("restart", socket)
        else:
            self._call("enable", service)
            self._call("restart", service)

    def uninstall(self, name: str, backup: Path) -> list[Path]:
        units = self._units(name)
        self._may_change()
        there = [self._folder / unit for unit in units if (self._folder / unit).exists()]
        keep_copies(there, backup)
        there += [link for unit in units for link in self._enabled_by_hand(unit)]
        for unit in units:
            # stopped one by one: a socket that still listens would start the service again
            self._call("disable", "--now", unit)
        if self.system and self.names() == [name]:
            there += [ACCOUNT_FILE] if ACCOUNT_FILE.exists() else []
        for path in there:
            path.unlink(missing_ok=True)
        self._call("daemon-reload")
        for unit in units:
            self._ask("reset-failed", unit)
        return there

    def start(self, name: str) -> None:
        self._ask("reset-failed", unit_of(name))
        self._call("start", *self._units(name))

    def stop(self, name: str) -> None:
        units = self._found(name) or [unit for unit in _units_of(name) if self._is_active(unit)]
        if not units:
            raise not_installed(name)
        self._call("stop", *units)

    def restart(self, name: str) -> None:
        """As :class:`Manager`; a socket unit goes on listening."""
        self._units(name)
        self._ask("reset-failed", unit_of(name))
        self._call("restart", unit_of(name))

    def state(self, name: str) -> ManagerState:
        units = self._found(name)
        if not units:
            return ManagerState(False, False, False, None, "not installed")
        shown = {unit: self._properties(unit) for unit in units}
        service = shown[unit_of(name)] if unit_of(name) in shown else {}
        active, sub = service.get("ActiveState", ""), service.get("SubState", "")
        enabled = any(p.get("UnitFileState") == "enabled" for p in shown.values())
        listening = any(p.get("ActiveState") == "active" for u, p in shown.items() if u.endswith(".socket"))
        words = [f"{active} ({sub})", "starts at login" if enabled and not self.system else ""]
        if enabled and self.system:
            words.append("starts at boot")
        words.append("" if enabled else "not enabled")
        words.append("socket listens" if listening else "")
        words.append(service.get("StatusText", "") if active in ("active", "reloading") else "")
        if service.get("Result", "success") != "success":
            words.append(f"{service['Result']}, exit code {service.get('ExecMainStatus', '?')}")
        pid = int(service.get("MainPID", "0") or 0) or None
        running = active in ("active", "activating", "reloading") and sub != "auto-restart"
        return ManagerState(True, True, running, pid, "; ".join(filter(None, words)), listening)

    def names(self) -> list[str]:
        found = [*self._folder.glob(f"{UNIT}*.service"), *self._enabled_by_hand(f"{UNIT}@*.service")]
        return sorted({name for path in found if (name := tunnel_of(path.name))})

    def _properties(self, unit: str) -> dict[str, str]:
        wanted = "ActiveState,SubState,MainPID,Result,StatusText,UnitFileState,ExecMainStatus"
        done = self._call("show", f"--property={wanted}", unit)
        return dict(line.partition("=")[::2] for line in done.stdout.splitlines())

    def _units(self, name: str) -> list[str]:
        """Its units, the socket first; they have to be there."""
        if there := self._found(name):
            return there
        raise not_installed(name)

    def _found(self, name: str) -> list[str]:
        return [unit for unit in _units_of(name) if (self._folder / unit).exists() or self._is_instance(unit)]

    def _is_instance(self, unit: str) -> bool:
        """Whether it is one of a template that somebody put there, and enabled or started."""
        prefix, at, _ = unit.partition("@")
        template = self._folder / f"{prefix}@.{unit.rpartition('.')[2]}"
        if not at or not template.exists():
            return False
        return bool(self._enabled_by_hand(unit)) or self._is_active(unit)

    def _is_active(self, unit: str) -> bool:
        return self._ask("is-active", unit).code == 0

    def _enabled_by_hand(self, unit: str) -> list[Path]:
        """Links to a template, which enabling one of its instances makes."""
        return [p for p in self._folder.glob(f"*.wants/{unit}") if p.is_symlink() and p.readlink().stem.endswith("@")]

    def _may_change(self) -> None:
        if self.system and os.geteuid() != 0:
            raise ServiceError(
                "a service of the whole computer is root's to change", hint="put sudo before the command"
            )

    def _make_account(self) -> None:
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            done = ask(["systemd-sysusers", str(ACCOUNT_FILE)], self._env)
            if done.code:
                raise ServiceError(f"the account {SYSTEM_USER} cannot be made: {done.words}") from None
        Path(SYSTEM_HOME).mkdir(mode=0o700, exist_ok=True)
        shutil.chown(SYSTEM_HOME, SYSTEM_USER, SYSTEM_USER)

    def _ask(self, *arguments: str) -> Done:
        return ask([self._systemctl, "--system" if self.system else "--user", *arguments], self._env)

    def _call(self, *arguments: str) -> Done:
        done = self._ask(*arguments)
        if done.code:
            raise self._refused(arguments, done)
        return done

    def _refused(self, arguments: tuple[str, ...], done: Done) -> ServiceError:
        scope = "" if self.system else "--user "
        said = f"systemctl {scope}{' '.join(arguments)}: {done.words}"
        text = done.words.lower()
        if "not been booted with systemd" in text or "host is down" in text:
            return ServiceError(
                f"systemd does not run on this computer ({done.words})",
                hint="open the tunnel with openclaw-tunnel up -d, or see openclaw-tunnel service print",
            )
        if "connect to bus" in text or "xdg_runtime_dir" in text:
            user = pwd.getpwuid(os.getuid()).pw_name
            return ServiceError(
                f"the systemd of this user cannot be reached ({done.words})",
                hint=f"log in as {user} (ssh, console) instead of with su or sudo; or, as root, let it run always: "
                f"loginctl enable-linger {user}",
            )
        if "access denied" in text or "authentication" in text or "permission denied" in text:
            root = f"sudo systemctl {' '.join(arguments)}"
            return ServiceError(said, hint=f"a service of the whole computer is root's: {root}")
        logs = f"journalctl {scope}-u {arguments[-1]} -n 20" if arguments[-1].startswith(UNIT) else ""
        return ServiceError(said, hint=f"see why: {logs}" if logs else "see what systemctl says about it")


def _units_of(name: str) -> list[str]:
    """The units that a tunnel can have, the socket first."""
    return [unit_of(name, kind) for kind in reversed(_KINDS)]


class Linger:
    """Whether a user's services run without a login: from boot on, and after the last logout."""

    def __init__(self, env: Mapping[str, str], *, loginctl: str = "loginctl") -> None:
        self._env = env
        self._loginctl = loginctl
        self._user = pwd.getpwuid(os.getuid()).pw_name

    def is_on(self) -> bool | None:
        """None where nobody can tell: there is no logind."""
        try:
            done = ask([self._loginctl, "show-user", self._user, "--property=Linger", "--value"], self._env, 10.0)
        except ServiceError:
            return None
        answer = done.stdout.strip()
        if done.code == 0 and answer in ("yes", "no"):
            return answer == "yes"
        return os.path.exists(f"/var/lib/systemd/linger/{self._user}") or None

    def turn_on(self) -> None:
        """Let them.

        Raises:
            ServiceError: it is not allowed.
        """
        done = ask([self._loginctl, "enable-linger", self._user], self._env)
        if done.code:
            raise ServiceError(
                f"loginctl enable-linger {self._user}: {done.words}",
                hint=f"ask an administrator for: sudo loginctl enable-linger {self._user}",
            )
