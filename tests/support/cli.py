"""The command line as a user runs it: the real program, in a home of its own, looked at from outside."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import openclaw_tunnel
from support.process import Child, kill_and_wait_gone, pids_with_environment
from support.waiting import DeadlinePassed, wait_until


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command did; ``seconds`` is its wall time."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float

    def json(self) -> Any:
        """Its stdout, decoded."""
        return json.loads(self.stdout)


def command(*args: str | Path) -> list[str | Path]:
    """The argument list that runs ``openclaw-tunnel`` with ``args``: the package that the tests themselves import."""
    return [sys.executable, "-m", "openclaw_tunnel", *args]


_RUN = "OPENCLAW_TUNNEL_CI_RUN"
"""By this ``.ci/run`` finds what outlives it, daemons as well."""


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a new user whose home is ``home``, without an agent and with an empty ssh_config.

    OPENCLAW_TUNNEL_HOME is ``home``/t, and OPENCLAW_TUNNEL_SSH_CONFIG ``home``/ssh_config, so that ``ssh -G`` does not
    read the settings of the account that runs the tests. ``extra`` is added and wins.
    """
    ssh_config = home / "ssh_config"
    ssh_config.touch(mode=0o600)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "OPENCLAW_TUNNEL_HOME": str(home / "t"),
        "OPENCLAW_TUNNEL_SSH_CONFIG": str(ssh_config),
        "OPENCLAW_TUNNEL_TEST": "1",  # no notices on the desktop of whoever runs the tests
        "PYTHONPATH": str(Path(openclaw_tunnel.__file__).parents[1]),
        "PYTHONWARNINGS": "error",
        **{name: os.environ[name] for name in (_RUN,) if name in os.environ},
        **(extra or {}),
    }


def run_cli(
    args: Sequence[str | Path],
    home: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    stdin: str = "",
) -> Answer:
    """Run ``openclaw-tunnel`` once and wait for it.

    It returns when the program has ended *and* its stdout and stderr are closed: a background daemon that keeps them
    open makes this time out, as it would hang a script that reads them.

    Args:
        home: HOME of the command; keep its path short, a Unix socket lies in it.
        env: added to :func:`environment`.
        timeout: seconds.
        stdin: what it can read; it is no terminal.

    Raises:
        subprocess.TimeoutExpired: it took longer, and was killed.
    """
    began = time.monotonic()
    done = subprocess.run(
        list(map(str, command(*args))),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(home, env),
        cwd=home,
    )
    return Answer(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


class Cli:
    """A user with an empty home who runs commands; a context manager that leaves no process and no file.

    Attributes:
        home: HOME; ``ssh_config`` in it is what ``ssh -G`` reads.
        env: added to the environment of every command.
        grace: seconds that processes have to end in, as of :func:`wait_until`.
    """

    def __init__(self, env: Mapping[str, str] | None = None, *, grace: float = 5.0) -> None:
        self._grace = grace
        # /tmp by name: the temporary folder of macOS is too deep for the path of a Unix socket.
        self.home = Path(tempfile.mkdtemp(prefix="oct-", dir="/tmp"))
        self.env = dict(env or {})
        self._children: list[Child] = []

    @property
    def tunnel_home(self) -> Path:
        """OPENCLAW_TUNNEL_HOME: settings, socket, state and logs of this user."""
        return self.home / "t"

    def __call__(
        self, *args: str | Path, timeout: float = 120.0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Answer:
        """Run one command; as :func:`run_cli`."""
        return run_cli(args, self.home, {**self.env, **(env or {})}, timeout, stdin)

    def start(self, *args: str | Path, env: Mapping[str, str] | None = None) -> Child:
        """Start a command that goes on, such as ``up`` in the foreground, and return at once."""
        log = self.home / f"command.{len(self._children)}.log"
        child = Child(command(*args), log, environment(self.home, {**self.env, **(env or {})}))
        self._children.append(child)
        return child

    def start_in_shell(
        self, script: str, args: Sequence[str | Path], *, env: Mapping[str, str], descriptors: Sequence[int]
    ) -> Child:
        """As :meth:`start`, by a shell that runs ``script`` (``"$@"`` is the command) and inherits descriptors."""
        log = self.home / f"command.{len(self._children)}.log"
        shell = ["bash", "-c", script, "bash", *command(*args)]
        child = Child(shell, log, environment(self.home, {**self.env, **env}), descriptors=descriptors)
        self._children.append(child)
        return child

    def use_ssh_config(self, config: Path) -> None:
        """Let every command read this ssh_config, such as the one of ``Sshd.ssh_config``."""
        self.env["OPENCLAW_TUNNEL_SSH_CONFIG"] = str(config)

    def set_policy(self, **numbers: float) -> None:
        """Write numbers of the behaviour, by their names in the file, into tunnels.json5."""
        self.tunnel_home.mkdir(mode=0o700, exist_ok=True)
        (self.tunnel_home / "tunnels.json5").write_text(json.dumps({"policy": numbers}))

    def processes(self) -> list[int]:
        """The ids of this user's living processes: daemons and whatever they started. Linux only."""
        return pids_with_environment(f"OPENCLAW_TUNNEL_HOME={self.tunnel_home}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self._end_everything()
        finally:
            for child in self._children:
                child.kill()
            shutil.rmtree(self.home)

    def _end_everything(self) -> None:
        """``down --all``, after which nothing of this user may run.

        Raises:
            AssertionError: something did; it has been killed.
        """
        for child in self._children:
            child.stop()
        if not self.processes():
            return
        down = self("down", "--all")
        try:
            wait_until(lambda: not self.processes(), self._grace, f"the end of every process after {down}")
        except DeadlinePassed as passed:
            left = self.processes()
            commands = [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in left]
            kill_and_wait_gone(left)
            raise AssertionError(f"{passed}: {commands}") from None
