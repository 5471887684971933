"""The exec provider of SecretRefs: a program of the user's that is asked for a secret by id.

It gets ``{"protocolVersion": 1, "provider": NAME, "ids": [ID]}`` on its stdin and answers with
``{"protocolVersion": 1, "values": {ID: SECRET}}`` on its stdout, as OpenClaw 2026.9.6 has it.
"""

import asyncio
import contextlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclaw_tunnel.host.process import kill_group
from openclaw_tunnel.openclaw.paths import full_path, openclaw_home

SECONDS = 5.0
OUTPUT_BYTES = 1024 * 1024
_KILL_SECONDS = 2.0
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class ExecProvider:
    """What is run: ``argv`` in the program's folder, with ``env`` and no other variable.

    ``seconds`` for all of it, ``quiet_seconds`` without any output; ``limit`` bytes of output at most. ``json_only``:
    the answer must be the JSON object; else a bare text is the secret.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    seconds: float = SECONDS
    quiet_seconds: float = SECONDS
    limit: int = OUTPUT_BYTES
    json_only: bool = True

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any], env: Mapping[str, str]) -> "ExecProvider":
        """Read and check ``secrets.providers.NAME``.

        Raises:
            ValueError: a setting is not usable, or the command is not one to trust; the text says which.
        """
        command = settings.get("command")
        where = f"secrets.providers.{name}"
        if not isinstance(command, str) or not command.strip() or "\0" in command:
            raise ValueError(f"{where}.command is no path")
        home = openclaw_home(env)
        if not command.strip().startswith(("/", "~/")):
            raise ValueError(f"{where}.command must be an absolute path")
        path = full_path(command.strip(), home)
        _check_command(path, [full_path(d, home) for d in _texts(settings, "trustedDirs", where)], where)
        own = settings.get("env", {})
        if not isinstance(own, dict) or not all(isinstance(v, str) for v in own.values()):
            raise ValueError(f"{where}.env must be an object of strings")
        passed = {key: env[key] for key in _texts(settings, "passEnv", where) if key in env}
        milliseconds = whole(settings.get("timeoutMs"), int(SECONDS * 1000))
        return cls(
            name=name,
            argv=(str(path), *_texts(settings, "args", where)),
            env={**passed, **own},
            seconds=milliseconds / 1000,
            quiet_seconds=whole(settings.get("noOutputTimeoutMs"), milliseconds) / 1000,
            limit=whole(settings.get("maxOutputBytes"), OUTPUT_BYTES, most=64 * OUTPUT_BYTES),
            json_only=settings.get("jsonOnly") is not False,
        )


async def ask(provider: ExecProvider, secret_id: str) -> Any:
    """Run the provider once for one secret.

    Returns:
        The value it gives; not necessarily a text.

    Raises:
        ValueError: it gives none; the text says why and quotes nothing of what the program printed.
    """
    request = json.dumps({"protocolVersion": 1, "provider": provider.name, "ids": [secret_id]})
    try:
        process = await asyncio.create_subprocess_exec(
            *provider.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(provider.env),
            cwd=os.path.dirname(provider.argv[0]),
            start_new_session=True,  # so that what it starts ends with it
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "an argument holds a NUL character"
        raise ValueError(f"{provider.argv[0]} cannot be run: {reason}") from None
    try:
        async with asyncio.timeout(provider.seconds):
            output = await _talk(process, request.encode(), provider)
            code = await process.wait()
    except BaseException as error:
        await _end(process)
        if isinstance(error, TimeoutError):
            raise ValueError(f"{provider.argv[0]} took longer than {provider.seconds:g} s") from None
        raise
    if code != 0:
        raise ValueError(f"{provider.argv[0]} ended with code {code}")
    return answer(output, secret_id, provider)


def answer(output: bytes, secret_id: str, provider: ExecProvider) -> Any:
    """The value in what a provider printed.

    Raises:
        ValueError: there is none for ``secret_id``.
    """
    who = provider.argv[0]
    text = output.decode("utf-8", "replace").strip()
    if not text:
        raise ValueError(f"{who} printed nothing")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        if provider.json_only:
            raise ValueError(f"{who} did not answer in JSON") from None
        return text
    if isinstance(content, str) and not provider.json_only:
        return content
    if not isinstance(content, dict) or content.get("protocolVersion") != 1:
        raise ValueError(f"{who} did not answer with an object of protocolVersion 1")
    values, errors = content.get("values"), content.get("errors")
    if not isinstance(values, dict):
        raise ValueError(f"{who} answered without values")
    if (isinstance(errors, dict) and secret_id in errors) or secret_id not in values:
        raise ValueError(f"{who} does not have this id")
    return values[secret_id]


async def _talk(process: asyncio.subprocess.Process, request: bytes, provider: ExecProvider) -> bytes:
    """Send the request, collect stdout until both outputs end."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None  # noqa: S101  pipes were asked for
    assert stdout is not None  # noqa: S101
    assert stderr is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a program need not read its stdin
        stdin.write(request)
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()
    collected = bytearray()
    seen = 0
    quiet = asyncio.timeout(provider.quiet_seconds)

    async def read(stream: asyncio.StreamReader, keep: bool) -> None:
        nonlocal seen
        while data := await stream.read(_CHUNK):
            seen += len(data)
            if seen > provider.limit:
                raise ValueError(f"{provider.argv[0]} printed more than {provider.limit} bytes")
            quiet.reschedule(asyncio.get_running_loop().time() + provider.quiet_seconds)
            if keep:
                collected.extend(data)

    try:
        async with quiet, asyncio.TaskGroup() as group:
            group.create_task(read(stdout, True))
            group.create_task(read(stderr, False))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    except TimeoutError:
        raise ValueError(f"{provider.argv[0]} printed nothing for {provider.quiet_seconds:g} s") from None
    return bytes(collected)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave nothing of it running: it, and what it started."""
    kill_group(process.pid)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILL_SECONDS):
            await process.wait()
    transport = getattr(process, "_transport", None)  # the pipes stay open while a grandchild lives: close our ends
    if transport is not None:
        transport.close()


def _check_command(path: Path, trusted: list[Path], where: str) -> None:
    """OpenClaw's checks: a regular file of this user's, no link, written by nobody else, in a trusted folder.

    Raises:
        ValueError: it is not.
    """
    try:
        found = os.lstat(path)
    except OSError as error:
        raise ValueError(f"{where}.command {path} cannot be used: {error.strerror}") from None
    if stat.S_ISLNK(found.st_mode):
        raise ValueError(f"{where}.command {path} must not be a symbolic link")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{where}.command {path} is not a file")
    if trusted and not any(path.is_relative_to(folder) for folder in trusted):
        raise ValueError(f"{where}.command {path} is outside of trustedDirs")
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise ValueError(f"{where}.command {path} can be written by others: chmod go-w {path}")
    if found.st_uid != os.getuid():
        raise ValueError(f"{where}.command {path} belongs to another user")


def _texts(settings: Mapping[str, Any], key: str, where: str) -> list[str]:
    values = settings.get(key, [])
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{where}.{key} must be an array of strings")
    return values


def whole(value: Any, default: int, *, most: int = 2**31 - 1) -> int:
    """A positive whole number of a settings file, ``most`` at most; else ``default``."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most
    return max(1, int(value)) if usable else default
