"""Asks the user's own ``ssh`` what ssh_config says of a destination: every Include, Match and token as ssh means it."""

import asyncio
import os
import re
import shlex
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from openclaw_tunnel.config.destination import Destination, as_ssh_words, parse_destination
from openclaw_tunnel.config.sshoutput import Printed, Surroundings, build_target, parse_printed
from openclaw_tunnel.config.sshtarget import SshTarget
from openclaw_tunnel.config.sshtokens import Account, expand_home
from openclaw_tunnel.errors import ConfigError

__all__ = ["SSH_CONFIG_VARIABLE", "SshTarget", "resolve_ssh"]

SSH_CONFIG_VARIABLE = "OPENCLAW_TUNNEL_SSH_CONFIG"
"""Names the file that stands in for ``-F`` where none is given."""

_SYSTEM_CONFIG = "/etc/ssh/ssh_config"
_NO_FILE = "none"  # what -F takes for "read no file at all"
_READ = re.compile(r"debug1: Reading configuration data (.+?)\r?")
_PLACE = re.compile(r"(?P<file>.+?):? line (?P<line>\d+): (?P<what>.*?)\.?\r?")
_OPEN = re.compile(r"Bad owner or permissions on (.+?)\r?")
_TALK = re.compile(r"debug\d: |OpenSSH_|Pseudo-terminal|Warning: |.*: terminating, \d+ bad ")


async def resolve_ssh(
    target: str, *, ssh_config: str = "", identity: str = "", env: Mapping[str, str], timeout: float = 5.0
) -> SshTarget:
    """Resolve a destination with ``ssh -G``.

    Args:
        target: the destination as the user typed it.
        ssh_config: file to read instead of the user's and the system's; empty: ``OPENCLAW_TUNNEL_SSH_CONFIG`` of
            ``env``, else those two.
        identity: private key file that comes before all others; empty: ssh_config decides.
        env: the environment ssh runs with; its PATH says which ssh.
        timeout: seconds for everything, a ``Match exec`` of the user's included. ssh and what it started are then
            killed, as they are when the call is cancelled.

    Raises:
        UsageError: ``target`` is no destination.
        ConfigError: no ssh, no such file, a mistake in a file (named with its line and directive), or no answer in
            time.
    """
    asked = parse_destination(target)
    config = ssh_config or expand_home(env.get(SSH_CONFIG_VARIABLE, ""), SSH_CONFIG_VARIABLE)
    ssh = find_ssh(env, sys.platform)
    _check_readable(config, "ssh configuration file", "give another file with -F, or leave -F out")
    _check_readable(identity, "identity file", "give the private key file with -i FILE")
    try:
        async with asyncio.timeout(timeout):
            answer = await _run(build_argv(ssh, asked, ssh_config=config, identity=identity), env)
            plain = await _run([ssh, "-G", "-F", _NO_FILE, "--", asked.host], env)
    except TimeoutError:
        raise ConfigError(
            f"ssh -G {asked.host} did not answer within {timeout:g} s",
            hint=f"a Match exec of the ssh configuration may hang: try: {_retry(config, target)}",
        ) from None
    if answer.code != 0:
        raise _complaint(answer.stderr, _retry(config, target))
    defaults: Printed = parse_printed(plain.stdout) if plain.code == 0 else {}
    around = Surroundings(Account.of_process(), env, _folder())
    files = config_files(answer.stderr, config, around)
    return build_target(target, asked, parse_printed(answer.stdout), defaults, around, files)


def find_ssh(env: Mapping[str, str], platform: str) -> str:
    """The ssh to ask: the first on PATH; on macOS the system's, which alone knows UseKeychain.

    Raises:
        ConfigError: there is none.
    """
    if platform == "darwin" and os.access("/usr/bin/ssh", os.X_OK):
        return "/usr/bin/ssh"
    found = shutil.which("ssh", path=env.get("PATH", os.defpath))
    if not found:
        raise ConfigError("there is no ssh on PATH", hint="install the OpenSSH client (package openssh-client)")
    return os.path.abspath(found)


def build_argv(ssh: str, asked: Destination, *, ssh_config: str = "", identity: str = "") -> list[str]:
    """The command line; ``-v`` makes ssh name each file it reads."""
    options = [("-F", ssh_config), ("-p", str(asked.port or "")), ("-l", asked.user), ("-i", identity)]
    return [ssh, "-G", "-v", *(word for flag, value in options if value for word in (flag, value)), "--", asked.host]


def config_files(stderr: str, ssh_config: str, around: Surroundings) -> tuple[str, ...]:
    """The files ssh read, and those it would read if they existed."""
    asked = (ssh_config,) if ssh_config else (os.path.join(around.account.home, ".ssh", "config"), _SYSTEM_CONFIG)
    read = tuple(m[1] for line in stderr.split("\n") if (m := _READ.fullmatch(line)))
    full = (os.path.join(around.folder, p) for p in (*asked, *read) if p != _NO_FILE)
    return tuple(dict.fromkeys(full))


def _check_readable(path: str, what: str, hint: str) -> None:
    """ssh passes over a key file that is not there, and over a folder given as -F, and goes on without."""
    if not path or path == _NO_FILE:
        return
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise ConfigError(f"{what} {path} is a folder", hint=hint)
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(f"{what} {path} cannot be read: {reason}", hint=hint) from None


def _retry(ssh_config: str, target: str) -> str:
    return f"ssh -G {as_ssh_words(target, ssh_config)}"


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"  # the folder was removed; ssh does not mind either


@dataclass(frozen=True, slots=True)
class _Answer:
    code: int
    stdout: str
    stderr: str


async def _run(argv: list[str], env: Mapping[str, str]) -> _Answer:
    """Run to the end; whatever ends this call early kills the program and its children.

    The output goes to files: a pipe would be held open by a child that outlives ssh.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=err, env=dict(env), start_new_session=True
            )
        except OSError as error:
            raise ConfigError(
                f"{argv[0]} cannot be started: {error.strerror}", hint="check the OpenSSH client with: ssh -V"
            ) from None
        try:
            code = await process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return _Answer(code, os.fsdecode(out.read()), err.read().decode("utf-8", "replace"))


def _complaint(stderr: str, retry: str) -> ConfigError:
    """ssh's own words, with the directive where they do not name it."""
    lines = [line.strip() for line in stderr.split("\n") if line.strip() and not _TALK.match(line)]
    placed = next((m for line in lines if (m := _PLACE.fullmatch(line))), None)
    if not placed:
        said = "; ".join(lines) or "it gave no reason"
        open_to_others = next((m[1] for line in lines if (m := _OPEN.fullmatch(line))), "")
        hint = f"let nobody else write to it: chmod 600 {shlex.quote(open_to_others)}" if open_to_others else ""
        return ConfigError(f"ssh cannot use its configuration: {said}", hint=hint or f"try: {retry}")
    directive = _directive(placed["file"], int(placed["line"]))
    what = placed["what"]
    if directive and directive.lower() not in what.lower():
        what += f" ({directive})"
    return ConfigError(
        f"{placed['file']} line {placed['line']}: {what}", hint=f"mend that line of the ssh configuration, try: {retry}"
    )


def _directive(path: str, number: int) -> str:
    """The keyword of a line; never its value, which may be private."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            line = next((text for n, text in enumerate(file, 1) if n == number), "")
    except OSError:
        return ""
    match = re.match(r"\s*([A-Za-z0-9]+)", line)
    return match[1] if match else ""
