"""launchd for tests on other systems: a ``launchctl`` that really runs the job of a LaunchAgent.

It knows launchd's bare environment, KeepAlive, ThrottleInterval (from the last start on), Sockets, the log files,
SIGTERM and, after ExitTimeOut, SIGKILL, the end of the process group, the database of what is disabled, and that
``bootout`` returns before the job is gone. Words and exit codes are those seen on Macs.
"""

import contextlib
import json
import os
import plistlib
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from support.process import kill_and_wait_gone, program

_STEP = 0.02
_IO_ERROR = "Bootstrap failed: 5: Input/output error\nTry re-running the command as root for richer errors."
_CRASHES = {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE}


class FakeLaunchd:
    """The Mac of a test: where ``launchctl`` is, what was asked of it, and what it shall refuse.

    Attributes:
        bin: folder with ``launchctl``, for PATH.
        env: what the program needs in its environment.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "launchd"
        self.bin = folder / "bin"
        for path in (self.folder / "jobs", self.bin):
            path.mkdir(parents=True)
        script = self.bin / "launchctl"
        support = Path(__file__).parents[1]
        script.write_text(
            f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(support)!r})\n"
            "from support.fakelaunchd import main\nmain(sys.argv[1:])\n"
        )
        script.chmod(0o755)
        search = f"{self.bin}:{os.environ.get('PATH', os.defpath)}"
        self.env = {"FAKE_LAUNCHD": str(self.folder), "PATH": search}

    def refuse(self, verb: str, *codes: int) -> None:
        """Let the next calls of ``verb`` end with these exit codes; 0: that one is carried out."""
        (self.folder / f"refuse.{verb}").write_text(json.dumps(codes))

    def no_screen(self) -> None:
        """Nobody is logged in at the screen: there is no gui domain."""
        (self.folder / "no-gui").touch()

    def linger_on(self, seconds: float) -> None:
        """Keep a label that long after its job has ended."""
        (self.folder / "lag").write_text(str(seconds))

    def calls(self) -> list[str]:
        """Every call so far."""
        log = self.folder / "calls"
        return log.read_text().splitlines() if log.exists() else []

    def job(self, label: str) -> dict[str, Any] | None:
        """What it knows of a job: ``state``, ``pid``, ``runs``, ``domain``."""
        return _load(self.folder, label)

    def sockets_library(self) -> None:
        """Have jobs find launch_activate_socket(3)."""
        source = Path(__file__).with_name("launchsocket.c")
        target = self.folder / "launch.so"
        subprocess.run([program("cc"), "-shared", "-fPIC", "-o", str(target), str(source)], check=True, timeout=60)

    def end(self) -> None:
        """End every job."""
        for path in (self.folder / "jobs").glob("*.json"):
            job = _load(self.folder, path.stem)
            if job:
                kill_and_wait_gone([pid for pid in (job["keeper"], job["pid"]) if pid])


def _load(folder: Path, label: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "jobs" / f"{label}.json").read_text())
    except (OSError, ValueError):
        return None
    return found


class _Keeper:
    """What launchd does for one job, in a process of its own."""

    def __init__(self, folder: Path, path: Path, domain: str) -> None:
        self.folder = folder
        self.plist = plistlib.loads(path.read_bytes())
        self.job: dict[str, Any] = {
            "label": self.plist["Label"],
            "domain": domain,
            "path": str(path),
            "state": "not running",
            "pid": None,
            "runs": 0,
            "last": "(never exited)",
            "keeper": os.getpid(),
        }
        self.booted_out = self.kicked = False
        self.started = float("-inf")
        self.sockets = {name: _listen(made) for name, made in self.plist.get("Sockets", {}).items()}
        self.pause = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "booted_out", True))
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "kicked", True))
        self.save()

    def save(self, **changes: Any) -> None:
        self.job.update(changes)
        target = self.folder / "jobs" / f"{self.job['label']}.json"
        fresh = target.with_suffix(".tmp")
        fresh.write_text(json.dumps(self.job))
        fresh.replace(target)

    def run(self) -> None:
        keep = self.plist.get("KeepAlive", False)
        wanted = bool(self.plist.get("RunAtLoad") or keep)
        while not self.booted_out:
            wanted = wanted or self.kicked or self._client_waits()
            if not wanted:
                self.pause.wait(_STEP)
            elif time.monotonic() - self.started < self.plist.get("ThrottleInterval", 10):
                self.save(state="spawn scheduled")
                self.pause.wait(_STEP)
            else:
                self.kicked = False
                wanted = _again(keep, self._run_once())
        for sock in self.sockets.values():
            sock.close()
        with contextlib.suppress(OSError):
            self.pause.wait(float((self.folder / "lag").read_text()))
        (self.folder / "jobs" / f"{self.job['label']}.json").unlink()

    def _client_waits(self) -> bool:
        return bool(self.sockets) and bool(select.select(list(self.sockets.values()), [], [], 0)[0])

    def _run_once(self) -> int:
        self.started = time.monotonic()
        arguments = self.plist["ProgramArguments"]
        try:
            with (
                Path(self.plist.get("StandardOutPath", os.devnull)).open("ab") as out,
                Path(self.plist.get("StandardErrorPath", os.devnull)).open("ab") as err,
            ):
                child = subprocess.Popen(
                    arguments,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=self.plist.get("WorkingDirectory", "/"),
                    pass_fds=[sock.fileno() for sock in self.sockets.values()],
                    start_new_session=True,
                )
        except OSError:
            self.save(state="not running", last="78: EX_CONFIG", runs=self.job["runs"] + 1)
            return os.EX_CONFIG
        self.save(state="running", pid=child.pid, runs=self.job["runs"] + 1)
        code = self._until_it_ends(child)
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
        self.save(state="not running", pid=None, last=str(max(code, 0)))
        return code

    def _until_it_ends(self, child: "subprocess.Popen[bytes]") -> int:
        asked: float | None = None
        while child.poll() is None:
            if (self.booted_out or self.kicked) and asked is None:
                asked = time.monotonic()
                child.terminate()
                self.save(state="SIGTERMed")
            if asked and time.monotonic() - asked > self.plist.get("ExitTimeOut", 5):
                child.kill()
            self.pause.wait(_STEP)
        return child.returncode

    def _environment(self) -> dict[str, str]:
        bare = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": os.environ["HOME"],
            "USER": "u",
            "SHELL": "/bin/zsh",
            "TMPDIR": "/tmp/",
            "XPC_SERVICE_NAME": self.job["label"],
        }
        library = self.folder / "launch.so"
        if self.sockets and library.exists():
            bare["LD_PRELOAD"] = str(library)
            bare["FAKE_LAUNCH_SOCKETS"] = ",".join(f"{name}={sock.fileno()}" for name, sock in self.sockets.items())
        given = self.plist.get("EnvironmentVariables", {})
        return {**bare, **{name: value for name, value in given.items() if isinstance(value, str)}}


def _listen(made: dict[str, Any]) -> socket.socket:
    family = socket.AF_INET6 if made["SockFamily"] == "IPv6" else socket.AF_INET
    return socket.create_server((made["SockNodeName"], int(made["SockServiceName"])), family=family)


def _again(keep: Any, code: int) -> bool:
    """Whether KeepAlive wants it started once more; the conditions are ORed."""
    if not isinstance(keep, dict):
        return bool(keep)
    clean, crashed = keep.get("SuccessfulExit"), keep.get("Crashed")
    return (
        (clean is False and code != 0)
        or (clean is True and code == 0)
        or (crashed is True and code in _CRASHES)
        or (crashed is False and code >= 0)
    )


def main(arguments: Sequence[str]) -> NoReturn:
    """``launchctl``."""
    folder = Path(os.environ["FAKE_LAUNCHD"])
    with (folder / "calls").open("a") as log:
        log.write(" ".join(arguments) + "\n")
    verb, rest = (arguments[0] if arguments else ""), list(arguments[1:])
    _refuse_as_told(folder, verb)
    if verb == "bootstrap":
        _bootstrap(folder, *rest)
    if verb in ("enable", "disable"):
        disabled = _disabled(folder)
        disabled[_split(folder, rest[0])[1]] = verb == "disable"
        (folder / "disabled").write_text(json.dumps(disabled))
        sys.exit(0)
    flags = [word for word in rest if word.startswith("-")]
    if verb not in ("bootout", "kickstart", "print") or (verb == "bootout" and flags):
        _die(64, "Unrecognized target specifier, or subcommand\nUsage: launchctl <subcommand> ...")
    _about_a_job(folder, verb, flags, *_split(folder, next(word for word in rest if word not in flags)))


def _refuse_as_told(folder: Path, verb: str) -> None:
    told = folder / f"refuse.{verb}"
    codes = json.loads(told.read_text()) if told.exists() else []
    if codes:
        told.write_text(json.dumps(codes[1:]))
        if codes[0]:
            name = {5: "Input/output error", 37: "Operation already in progress", 119: "Service is disabled"}
            _die(codes[0], f"{verb.capitalize()} failed: {codes[0]}: {name.get(codes[0], 'unknown error')}")


def _bootstrap(folder: Path, domain: str, file: str) -> NoReturn:
    _split(folder, domain)
    path = Path(file).resolve()
    try:
        plist = plistlib.loads(path.read_bytes())
        label = plist["Label"]
    except Exception:  # whatever plistlib and its parser raise
        _die(5, _IO_ERROR)
    if path.stat().st_mode & 0o022 or _load(folder, label):
        _die(5, _IO_ERROR)
    if _disabled(folder).get(label):
        _die(119, f"{path}: Service is disabled\nBootstrap failed: 119: Service is disabled")
    wanted = plist.get("LimitLoadToSessionType", "Aqua")
    if domain.startswith("user/") and "Background" not in wanted:
        _die(125, "Bootstrap failed: 125: Domain does not support specified action")
    if os.fork() == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        _Keeper(folder, path, domain).run()
        os._exit(0)
    for _ in range(500):
        if _load(folder, label):
            break
        time.sleep(0.01)
    sys.exit(0)


def _about_a_job(folder: Path, verb: str, flags: list[str], domain: str, label: str) -> NoReturn:
    if verb == "print" and not label:
        print(f"{domain} = {{\n\ttype = login\n}}")  # noqa: T201  this is a program
        sys.exit(0)
    job = _load(folder, label)
    if not job or job["domain"] != domain:
        if verb == "bootout":
            _die(3, "Boot-out failed: 3: No such process")
        _die(113, f'Could not find service "{label}" in domain for {domain}')
    if verb == "bootout":
        os.kill(job["keeper"], signal.SIGTERM)  # and returns at once, as on a Mac
    elif verb == "kickstart" and ("-k" in flags or job["state"] != "running"):
        os.kill(job["keeper"], signal.SIGUSR1)
    elif verb == "print":
        _print(job)
    sys.exit(0)


def _print(job: dict[str, Any]) -> None:
    pid = f"\n\tpid = {job['pid']}" if job["pid"] else ""
    print(  # noqa: T201  this is a program
        f"{job['domain']}/{job['label']} = {{\n\tactive count = {int(bool(pid))}\n\tpath = {job['path']}\n"
        f"\ttype = LaunchAgent\n\tstate = {job['state']}\n\n\targuments = {{\n\t\tpid = 1\n\t}}\n\n"
        f"\tminimum runtime = 10\n\truns = {job['runs']}{pid}\n\tlast exit code = {job['last']}\n\n"
        "\tresource coalition = {\n\t\tstate = active\n\t}\n\tspawn type = interactive (4)\n}"
    )


def _disabled(folder: Path) -> dict[str, bool]:
    try:
        found: dict[str, bool] = json.loads((folder / "disabled").read_text())
    except OSError:
        return {}
    return found


def _split(folder: Path, target: str) -> tuple[str, str]:
    match = re.fullmatch(r"(gui|user)/(\d+)(?:/(.+))?", target)
    if not match:
        _die(64, f"Unrecognized target specifier, did you mean: {target}\nUsage: launchctl <subcommand> ...")
    if match[1] == "gui" and ((folder / "no-gui").exists() or int(match[2]) != os.getuid()):
        _die(125, "Domain does not support specified action")
    return f"{match[1]}/{match[2]}", match[3] or ""


def _die(code: int, words: str) -> NoReturn:
    sys.stderr.write(words + "\n")
    sys.exit(code)
