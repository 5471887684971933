"""Asks the user's own ``ssh`` what ssh_config says of a destination: every Include, Match and token as ssh means it."""

import asyncio
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from openclaw_tunnel.errors import ConfigError, HelperError
from openclaw_tunnel.host.process import kill_group
from openclaw_tunnel.ssh_config.complaint import complaint
from openclaw_tunnel.ssh_config.destination import Destination, as_ssh_words, parse_destination
from openclaw_tunnel.ssh_config.parse import Printed, Surroundings, build_target, parse_printed
from openclaw_tunnel.ssh_config.target import SshTarget
from openclaw_tunnel.ssh_config.tokens import NO_FILE, Account, expand_home

__all__ = ["SSH_CONFIG_VARIABLE", "SshTarget", "resolve_ssh"]

SSH_CONFIG_VARIABLE = "OPENCLAW_TUNNEL_SSH_CONFIG"
"""Names the file that stands in for ``-F`` where none is given."""

_SYSTEM_CONFIG = "/etc/ssh/ssh_config"
_READ = re.compile(r"debug1: Reading configuration data (.+?)\r?")


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
        ConfigError: no such file, or a mistake in a file (named with its line and directive).
        HelperError: what may pass: no ssh, one that cannot be started, was killed, did not answer in time or failed
            for want of something; NameNotFound where CanonicalizeHostname needs a name that the resolver does not have.
    """
    asked = parse_destination(target)
    config = _given(ssh_config, env)
    command = f"ssh -G {as_ssh_words(target, config)}"
    ssh = find_ssh(env, sys.platform, command)
    if "\0" in config + identity:  # no program can be called with it
        _check_files(config, identity)
    try:
        async with asyncio.timeout(timeout):
            argv = build_argv(ssh, asked, ssh_config=config, identity=identity)
            answer, plain = await _both(argv, [ssh, "-G", "-F", NO_FILE, "--", asked.host], env, command)
    except TimeoutError:
        raise HelperError(
            f"ssh -G {asked.host} did not answer within {timeout:g} s",
            hint=f"a Match exec of the ssh configuration may hang: try: {command}",
            command=command,
        ) from None
    # Only now: in a home that is away ssh hangs, and has been killed; our own look would stop all tunnels.
    _check_files(config, identity)
    printed = parse_printed(answer.stdout)
    if answer.code != 0 or "hostname" not in printed:
        raise complaint(answer.code, answer.stderr, command)
    if plain.code < 0:
        raise complaint(plain.code, plain.stderr, command)
    defaults: Printed = parse_printed(plain.stdout) if plain.code == 0 else {}
    around = Surroundings(Account.of_process(), env, _folder())
    files = config_files(answer.stderr, config, around)
    return build_target(target, asked, printed, defaults, around, files)


def find_ssh(env: Mapping[str, str], platform: str, command: str = "") -> str:
    """The ssh to ask: the first on PATH; on macOS the system's, which alone knows UseKeychain.

    Args:
        command: for the error, what was to be run.

    Raises:
        HelperError: there is none; while a package is being replaced, that passes.
    """
    if platform == "darwin" and os.access("/usr/bin/ssh", os.X_OK):
        return "/usr/bin/ssh"
    found = shutil.which("ssh", path=env.get("PATH", os.defpath))
    if not found:
        hint = "install the OpenSSH client (package openssh-client)"
        raise HelperError("there is no ssh on PATH", hint=hint, command=command)
    return os.path.abspath(found)


def build_argv(ssh: str, asked: Destination, *, ssh_config: str = "", identity: str = "") -> list[str]:
    """The command line; ``-v`` makes ssh name each file it reads."""
    options = [("-F", ssh_config), ("-p", str(asked.port or "")), ("-l", asked.user), ("-i", identity)]
    return [ssh, "-G", "-v", *(word for flag, value in options if value for word in (flag, value)), "--", asked.host]


def _given(ssh_config: str, env: Mapping[str, str]) -> str:
    return ssh_config or expand_home(env.get(SSH_CONFIG_VARIABLE, ""), SSH_CONFIG_VARIABLE)


def config_roots(ssh_config: str, env: Mapping[str, str], home: str) -> tuple[tuple[str, str], ...]:
    """The files ssh begins with, each with the folder that relative paths of its Include lines start from.

    Raises:
        ConfigError: the file that stands in for them is in the home of a user that does not exist.
    """
    user = os.path.join(home, ".ssh")
    given = _given(ssh_config, env)
    if given:
        return () if given == NO_FILE else ((os.path.join(_folder(), given), user),)
    return (os.path.join(user, "config"), user), (_SYSTEM_CONFIG, os.path.dirname(_SYSTEM_CONFIG))


def config_files(stderr: str, ssh_config: str, around: Surroundings) -> tuple[str, ...]:
    """The files ssh read, and those it would read if they existed."""
    asked = (path for path, _ in config_roots(ssh_config, around.env, around.account.home))
    read = (os.path.join(around.folder, m[1]) for line in stderr.split("\n") if (m := _READ.fullmatch(line)))
    return tuple(dict.fromkeys((*asked, *read)))


def _check_files(config: str, identity: str) -> None:
    _check_readable(config, "ssh configuration file", "give another file with -F, or leave -F out")
    _check_readable(identity, "identity file", "give the private key file with -i FILE")


def _check_readable(path: str, what: str, hint: str) -> None:
    """ssh ignores a missing key file and a folder given as -F, and continues without them."""
    if not path or path == NO_FILE:
        return
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise ConfigError(f"{what} {path} is a folder", hint=hint)
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(f"{what} {path} cannot be read: {reason}", hint=hint) from None


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


async def _run(argv: list[str], env: Mapping[str, str], command: str) -> _Answer:
    """Run to the end; whatever ends this call early kills the program and its children.

    The output goes to files: a pipe would be held open by a child that outlives ssh.

    Raises:
        HelperError: it cannot be started.
    """
    try:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = await _wait_for(argv, env, out, err)
            out.seek(0)
            err.seek(0)
            return _Answer(code, os.fsdecode(out.read()), err.read().decode("utf-8", "replace"))
    except OSError as error:  # the program, a process, a descriptor or room for the output cannot be had
        hint = "check the OpenSSH client with: ssh -V"
        raise HelperError(f"{argv[0]} cannot be started: {error.strerror}", hint=hint, command=command) from None


async def _both(first: list[str], second: list[str], env: Mapping[str, str], command: str) -> tuple[_Answer, _Answer]:
    """What both answer, run side by side; an error of one ends the other."""
    try:
        async with asyncio.TaskGroup() as group:
            one, other = (group.create_task(_run(argv, env, command)) for argv in (first, second))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return one.result(), other.result()


async def _wait_for(argv: list[str], env: Mapping[str, str], out: IO[bytes], err: IO[bytes]) -> int:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=err, env=dict(env), start_new_session=True
    )
    try:
        return await process.wait()
    except BaseException:
        kill_group(process.pid)
        await process.wait()
        raise
