"""Where settings, control socket, state and logs live. Imports little: ``status`` waits for it."""

import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from openclaw_tunnel.errors import ConfigError

APP = "openclaw-tunnel"
HOME_VARIABLE = "OPENCLAW_TUNNEL_HOME"
_LONGEST_SOCKET_PATH = 100  # bytes; sun_path holds 104 on macOS and 108 on Linux, one of them for the final NUL
_SHORT_FOLDERS = "/tmp"  # noqa: S108  TMPDIR may be long, and may differ between a service and a shell; see below


@dataclass(frozen=True, slots=True)
class Folders:
    """What the system has for the files of one program of one user."""

    config: Path
    runtime: Path
    state: Path
    log: Path


@dataclass(frozen=True, slots=True)
class Paths:
    """All the files of this program; none of them need exist. All paths are absolute.

    ``runtime_dir`` holds the control socket and the daemon's lock side by side. Who binds or connects checks it
    first with :func:`ensure_private_dir`.
    """

    tunnels_file: Path
    runtime_dir: Path
    socket_path: Path
    lock_path: Path
    state_dir: Path
    log_dir: Path
    log_file: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str], platform: str = sys.platform) -> "Paths":
        """The places for this user.

        ``OPENCLAW_TUNNEL_HOME`` of ``env`` puts all into that one folder. A socket path of more than 100 bytes,
        which the kernel would refuse, is replaced by one in a folder of ``/tmp`` named after the user and the long
        path; the same for every process, and refused by ``ensure_private_dir`` if somebody else made it.
        """
        if home := env.get(HOME_VARIABLE, ""):
            one = Path(absolute_path(home, HOME_VARIABLE))
            folders = Folders(one, one, one, one)
        else:
            folders = _mac_folders() if platform == "darwin" else xdg_folders(env)
        runtime = _short_enough(folders.runtime)
        return cls(
            tunnels_file=folders.config / "tunnels.json5",
            runtime_dir=runtime,
            socket_path=runtime / "control.sock",
            lock_path=runtime / "daemon.lock",
            state_dir=folders.state,
            log_dir=folders.log,
            log_file=folders.log / f"{APP}.log",
        )


def absolute_path(path: str, source: str) -> str:
    """``path``, made absolute from the current folder; ``source`` (an option, a variable) is for the error.

    Raises:
        ConfigError: it is relative, and the current folder was removed.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise ConfigError(
            f"{source}: {path} is relative to the current folder, which no longer exists",
            hint="change to a folder that exists, or give the path from / on",
        ) from None


def ensure_private_dir(path: str | os.PathLike[str]) -> None:
    """Make sure that ``path`` is a folder that only this user can look into; create it and its parents if need be.

    A folder of ours with a wider mode is narrowed to 0700.

    Raises:
        ConfigError: it is a symbolic link, no folder, somebody else's, or read-only; or it cannot be created.
    """
    hint = f"remove it, or set {HOME_VARIABLE} to a folder of your own"
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            raise ConfigError(f"{path} is a symbolic link, not a private folder", hint=hint)
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"{path} is not a folder", hint=hint)
        if found.st_uid != os.getuid():
            raise ConfigError(f"{path} belongs to another user (id {found.st_uid})", hint=hint)
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(path, 0o700)
        if not os.access(path, os.W_OK):  # it is ours and has the right mode: the file system does not let us
            raise ConfigError(f"folder {path} cannot be used: it is read-only", hint=hint)
    except OSError as error:
        at = error.filename or path  # a parent of it, where that is to blame
        raise ConfigError(f"folder {path} cannot be used: {at}: {error.strerror}", hint=hint) from None


def xdg_folders(env: Mapping[str, str], is_ours: Callable[[str], bool] | None = None) -> Folders:
    """The folders of the XDG base directory specification, as platformdirs has them, without its import.

    The runtime folder is below ``XDG_RUNTIME_DIR``, else ``/run/user/UID``, whichever is a folder of ours. Where
    there is neither (root, containers, cron) it is in the state folder: platformdirs would warn and take /tmp.
    """
    ours = is_ours or _is_ours
    home = Path(env.get("HOME") or os.path.expanduser("~"))
    state = _xdg(env, "XDG_STATE_HOME", home / ".local/state") / APP
    candidates = (env.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}")
    runtime = next((Path(c) / APP for c in candidates if os.path.isabs(c) and ours(c)), state / "run")
    return Folders(_xdg(env, "XDG_CONFIG_HOME", home / ".config") / APP, runtime, state, state / "log")


def _xdg(env: Mapping[str, str], name: str, default: Path) -> Path:
    value = env.get(name, "").strip()
    return Path(value) if os.path.isabs(value) else default  # the specification has relative paths ignored


def _is_ours(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _mac_folders() -> Folders:
    from platformdirs.macos import MacOS

    dirs = MacOS(APP, appauthor=False)
    return Folders(
        Path(dirs.user_config_dir), Path(dirs.user_runtime_dir), Path(dirs.user_state_dir), Path(dirs.user_log_dir)
    )


def _short_enough(runtime: Path) -> Path:
    long = os.fsencode(runtime / "control.sock")
    if len(long) <= _LONGEST_SOCKET_PATH:
        return runtime
    import hashlib  # slow to import, rarely needed: status has to answer at once

    mark = hashlib.sha256(long).hexdigest()[:8]
    return Path(_SHORT_FOLDERS) / f"{APP}-{os.getuid()}-{mark}"
