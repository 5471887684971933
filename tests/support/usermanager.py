"""A real systemd of an unprivileged user, with a journal, in namespaces and a cgroup of its own.

Started anywhere else, ``systemd --user`` would take every process of the computer into its own cgroup.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import openclaw_tunnel
from support.cli import Answer
from support.process import Child, missing, program, root_required, tail
from support.servers import Sshd
from support.waiting import wait_until

UID = 4321  # no system user nor dynamic one: their journals are not the user's
NAME = "tunneltest"
HOME = Path("/home/tunneltest")
_SCRIPT = Path(__file__).with_name("usermanager.sh")
_PACKAGES = Path(openclaw_tunnel.__file__).parents[1]
_NAMESPACES = ("--mount", "--pid", "--ipc", "--cgroup")


class UserManager:
    """The user ``tunneltest`` and their systemd; a context manager that leaves nothing.

    The network is the caller's: servers of the test are reached on 127.0.0.1.

    Attributes:
        root: the file system as that user sees it, seen from here.
    """

    def __init__(self) -> None:
        root_required("namespaces for a systemd of its own")
        for name in ("unshare", "nsenter", "setpriv", "systemctl", "systemd-analyze"):
            program(name)
        if not Path("/lib/systemd/systemd").exists():
            missing("systemd is not installed")
        unified = Path("/sys/fs/cgroup/unified")
        self._cgroup = (unified if unified.is_dir() else Path("/sys/fs/cgroup")) / f"tunneltest.{os.getpid()}"
        self._folder = Path(tempfile.mkdtemp(prefix="oct-"))
        self._child: Child | None = None
        self._inner = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._leave()

    @property
    def root(self) -> Path:
        """The file system as that user sees it, seen from here."""
        return Path(f"/proc/{self._inner}/root")

    @property
    def home(self) -> Path:
        """That user's home, seen from here."""
        return self.root / HOME.relative_to("/")

    def run(self, *command: str | Path, timeout: float = 60.0, env: Mapping[str, str] | None = None) -> Answer:
        """Run a command as that user, in a session that knows the user's systemd, and wait for it."""
        began = time.monotonic()
        enter = ["nsenter", "--target", str(self._inner), *_NAMESPACES, "--"]
        become = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups"]
        variables = {
            "HOME": str(HOME),
            "USER": NAME,
            "PATH": "/run/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin",
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": f"/run/user/{UID}",
            **(env or {}),
        }
        argv: list[str] = [
            *enter,
            *become,
            "env",
            "-i",
            *(f"{k}={v}" for k, v in variables.items()),
            *map(str, command),
        ]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, cwd="/")
        return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def __call__(self, *args: str | Path, timeout: float = 60.0, env: Mapping[str, str] | None = None) -> Answer:
        """Run ``openclaw-tunnel``."""
        return self.run("openclaw-tunnel", *args, timeout=timeout, env=env)

    def systemctl(self, *args: str) -> Answer:
        """Run ``systemctl --user``."""
        return self.run("systemctl", "--user", *args)

    def log_in_again(self) -> None:
        """End the user's systemd with all its services, and start it anew, as a logout and a login do."""
        private = self.root / f"run/user/{UID}/systemd/private"
        (self.root / "run/login").touch()
        before = private.stat().st_ino
        self.systemctl("exit")
        wait_until(lambda: private.exists() and private.stat().st_ino != before, 20, "the next login")

    def property(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.systemctl("show", unit, f"--property={name}", "--value").stdout.strip()

    def journal(self, unit: str) -> str:
        """What the unit and systemd about it have said."""
        return self.run("journalctl", "--user", "--no-pager", "--output=cat", "--unit", unit).stdout

    def use_server(self, server: Sshd, alias: str = "gw", *, known: bool = True) -> None:
        """Give the user an ssh_config with this server, its key and known_hosts, as their own files."""
        folder = self.home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        text = server.ssh_config(alias, known=known).read_text().replace(str(server.folder), str(HOME / ".ssh"))
        for source in (server.client_key, server.client_key.with_suffix(".pub"), server.folder / "known_hosts"):
            shutil.copy(source, folder / source.name)
            (folder / source.name).chmod(0o600)
        (folder / "config").write_text(text)
        for path in (folder, *folder.iterdir()):
            os.chown(path, UID, UID)

    def write(self, path: str, text: str) -> None:
        """Give the user a file; ``path`` is relative to their home."""
        target = self.home / path
        for parent in reversed(target.relative_to(self.home).parents):
            (self.home / parent).mkdir(exist_ok=True)
            os.chown(self.home / parent, UID, UID)
        target.write_text(text)
        os.chown(target, UID, UID)

    def _start(self) -> None:
        self._cgroup.mkdir()
        ready = self._folder / "ready"
        enter = 'echo $$ >"$0/cgroup.procs"; exec "$@"'
        unshare: list[str | Path] = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc"]
        inner: list[str | Path] = ["bash", _SCRIPT, str(UID), NAME, HOME, sys.base_prefix, _PACKAGES, ready]
        child = self._child = Child(["bash", "-c", enter, self._cgroup, *unshare, *inner], self._folder / "log")
        wait_until(lambda: ready.exists() or not child.running, 20, "the user's systemd")
        assert ready.exists(), f"systemd did not come up:\n{tail(child.log)}"
        self._inner = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()[0])
        script = self.root / "run/bin/openclaw-tunnel"
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        script.write_text(
            f"#!{sys.base_prefix}/bin/{python}\nimport sys\nsys.path.insert(0, '/run/packages')\n"
            "from openclaw_tunnel.cli.main import main\nsys.exit(main())\n"
        )
        script.chmod(0o755)
        tried = self("--version")
        if tried.exit_code:
            missing(f"another user cannot run this Python: {tried.stderr.strip()[-200:]}")

    def _leave(self) -> None:
        if self._child is not None:
            self._child.kill()
        for folder in sorted(self._cgroup.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
            self._remove(folder)
        self._remove(self._cgroup)
        shutil.rmtree(self._folder)

    def _remove(self, folder: Path) -> None:
        """Remove a cgroup once its last process is gone."""

        def gone() -> bool:
            try:
                folder.rmdir()
            except FileNotFoundError:
                return True
            except OSError:
                return False
            return True

        if folder.is_dir():
            wait_until(gone, 10, f"the end of {folder}")
