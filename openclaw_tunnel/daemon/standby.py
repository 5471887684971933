"""The background process, from the side of the command that starts it. Imports little: it comes before all else.

``up -d`` starts it before it reads its own command line: while the one finds out what is wanted, the other imports its
modules. Until it is told to begin it is nothing to anybody: it has no lock, no socket and no file, and it ends as soon
as the command does. Both talk over a pair of sockets, which is all that it has for stdin, stdout and stderr.
"""

import os
import site
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import openclaw_tunnel
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.host.paths import Paths, absolute_path

BEGIN = b"b"
"""Tells it to be the daemon."""

READY = b"\0"
"""Its answer, once it takes requests; no byte of a message."""

COMMAND = ("daemon", "--standby")

_PATHS = (
    "OPENCLAW_TUNNEL_HOME",
    "OPENCLAW_TUNNEL_SSH_CONFIG",
    "OPENCLAW_HOME",
    "OPENCLAW_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
)
"""Variables that name a file or a folder, maybe relative to the folder we were started in."""


class Standby:
    """A process that stands by to be the daemon.

    Attributes:
        said: what it has written so far; once it has begun, it writes into its file.
    """

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        """Args: ``channel`` to ``process``, which has the other end."""
        self._process = process
        self._channel = channel
        self.said = b""

    def begin(self, timeout: float) -> bool:
        """Have it be the daemon; whether it is within ``timeout`` seconds. False where it has ended, too."""
        self._channel.settimeout(timeout)
        with suppress(OSError):  # it has ended: what it said is there to be read all the same
            self._channel.sendall(BEGIN)
        try:
            while READY not in self.said:
                said = self._channel.recv(4096)
                if not said:
                    return False
                self.said += said
        except OSError:  # it ended before it read ours, or the time is up
            return False
        return True

    def ended(self, timeout: float) -> int | None:
        """Its exit code, if it ends within ``timeout`` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def dismiss(self) -> None:
        """End it: nobody wants it, and it has nothing that it would have to close."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def release(self) -> None:
        """Let go of it: it is the daemon, or has ended."""
        self._channel.close()
        # it outlives us: Popen shall not warn that nobody waited
        self._process.returncode = self._process.returncode or 0


_early: list[Standby] = []
"""The one that was started before the command was read, until it is taken."""


def start_early(arguments: Sequence[str], env: Mapping[str, str]) -> None:
    """Start the background process where this command line is going to want one, and none answers."""
    if not wants_background(arguments):
        return
    try:
        if not _listens(Paths.from_env(env).socket_path):
            _early.append(start(env))
    except (TunnelError, OSError):
        return  # the command comes to it again, and says so


def is_standing_by() -> bool:
    """Whether :func:`start_early` has started one that nobody has taken yet."""
    return bool(_early)


def take_early() -> Standby | None:
    """What :func:`start_early` has started; the caller has to release it."""
    return _early.pop() if _early else None


def dismiss_early() -> None:
    """End what nobody has taken."""
    while _early:
        _early.pop().dismiss()


def wants_background(arguments: Sequence[str]) -> bool:
    """Whether a command line looks like ``up -d``. Wrong guesses cost time, nothing else."""
    options = [word for word in arguments[1:] if word.startswith("-")]
    detach = any(word == "--detach" or word.startswith("-d") for word in options)
    return arguments[:1] == ["up"] and detach and not {"-h", "--help"} & set(options)


def start(env: Mapping[str, str]) -> Standby:
    """Start it, in a session of its own, so that neither Ctrl-C nor a closed terminal reaches it.

    Raises:
        ConfigError: a variable names a file relative to a folder that was removed.
        OSError: no process can be had.
    """
    package = Path(openclaw_tunnel.__file__).resolve().parent.parent
    known = [*site.getsitepackages(), site.getusersitepackages()]
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            end = theirs.fileno()
            process = subprocess.Popen(
                [sys.executable, "-m", "openclaw_tunnel", *COMMAND],
                stdin=end,
                stdout=end,
                stderr=end,
                cwd="/",
                env=child_environment(env, package, known),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    return Standby(process, ours)


def last_words(paths: Paths) -> Path:
    """The file that gets what a daemon writes to stdout and stderr."""
    return paths.log_dir / "daemon.err"


def child_environment(env: Mapping[str, str], package: Path, known: list[str]) -> dict[str, str]:
    """The environment of the daemon: :func:`absolute_environment`, and the way to this package where Python would
    not find it alone.

    Args:
        package: the folder that holds the package.
        known: folders in which Python looks by itself, whatever the working directory is.
    """
    changed = absolute_environment(env)
    if str(package) not in known:
        changed["PYTHONPATH"] = os.pathsep.join(filter(None, [str(package), env.get("PYTHONPATH", "")]))
    return changed


def absolute_environment(env: Mapping[str, str]) -> dict[str, str]:
    """``env`` for the daemon, which works in ``/``: paths relative to the current folder become absolute."""
    changed = dict(env)
    for name in _PATHS:
        value = env.get(name, "")
        if value and value != "none" and not value.startswith("~"):  # -F none: no ssh_config; ~: expanded by the reader
            changed[name] = absolute_path(value, name)
    return changed


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        try:
            sock.connect(str(path))
        except BlockingIOError:
            return True  # one that does not keep up
        except OSError:
            return False
        return True
