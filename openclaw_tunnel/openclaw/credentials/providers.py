"""SecretRefs: what OpenClaw's providers ``env``, ``file`` and ``exec`` hold, under the checks OpenClaw 2026.9.6 makes.

No message ever holds a value, or anything a provider printed.
"""

import asyncio
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw_tunnel.openclaw.credentials.execprovider import ExecProvider, ask, whole
from openclaw_tunnel.openclaw.credentials.secretref import (
    DEFAULT_PROVIDER,
    PLACEHOLDERS,
    PROVIDER_NAME,
    SINGLE_VALUE,
    Secret,
    SecretRef,
    Unresolved,
    is_id,
)
from openclaw_tunnel.openclaw.credentials.values import section
from openclaw_tunnel.openclaw.paths import dotenv_files, full_path, openclaw_home

FILE_MILLISECONDS = 5000
FILE_BYTES = 1024 * 1024

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class NotFound(Exception):
    """The provider does not give the secret; the text completes "its provider ...".

    Args:
        step: what would repair it.
    """

    def __init__(self, why: str, step: str = "") -> None:
        super().__init__(why)
        self.step = step


async def resolve_ref(ref: SecretRef, config: Mapping[str, Any], env: Mapping[str, str]) -> Secret | Unresolved:
    """The secret a reference leads to, or why there is none. Raises nothing of its own.

    Args:
        config: openclaw.json, for ``secrets.providers`` and ``secrets.defaults``.
        env: what provider ``env`` reads and what ``passEnv`` of an exec provider passes on.
    """
    try:
        value = await _value(ref, config, env)
    except NotFound as reason:
        return Unresolved(f"is the SecretRef {_shown(ref)}, which cannot be resolved: {reason}", reason.step)
    if not isinstance(value, str) or not value.strip():
        return Unresolved(f"is the SecretRef {_shown(ref)}, which is not a text or an empty one")
    if value.strip() in PLACEHOLDERS:
        return Unresolved(f"is the SecretRef {_shown(ref)}, which holds the placeholder OpenClaw shows for a secret")
    return Secret(value.strip())


def _shown(ref: SecretRef) -> str:
    text = str(ref)
    return text if len(text) <= 120 and text.isprintable() else f"{ref.source}:(an id that is none)"


async def _value(ref: SecretRef, config: Mapping[str, Any], env: Mapping[str, str]) -> Any:
    if not is_id(ref.source, ref.id.strip()) or not PROVIDER_NAME.fullmatch(ref.provider):
        raise NotFound("its provider or id is not of the form that OpenClaw accepts")
    secrets = section(config, "secrets")
    providers = section(secrets, "providers")
    settings = section(providers, ref.provider)
    default = str(section(secrets, "defaults").get(ref.source) or "").strip() or DEFAULT_PROVIDER
    if ref.source == "store":
        raise NotFound("it is kept in OpenClaw's own store, which only OpenClaw reads")
    if settings.get("source") != ref.source:
        if ref.source != "env" or ref.provider != default:
            lacks = "configured" if providers.get(ref.provider) is None else f"of source {ref.source}"
            raise NotFound(f"secrets.providers.{ref.provider} is not {lacks}")
        settings = {}
    match ref.source:
        case "env":
            return _from_env(ref, settings, env)
        case "file":
            return await _from_file(ref, settings, env)
        case _:
            return await _from_exec(ref, settings, env)


def _from_env(ref: SecretRef, settings: Mapping[str, Any], env: Mapping[str, str]) -> str:
    name, allowed = ref.id.strip(), settings.get("allowlist")
    if allowed is not None and (not isinstance(allowed, list) or name not in allowed):
        raise NotFound(f"{name} is not in secrets.providers.{ref.provider}.allowlist")
    value = env.get(name, "")
    if not value.strip():
        file = dotenv_files(env)[0]
        raise NotFound(f"environment variable {name} is not set", f"put a line {name}=VALUE into {file}")
    return value


async def _from_file(ref: SecretRef, settings: Mapping[str, Any], env: Mapping[str, str]) -> Any:
    path = settings.get("path")
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise NotFound(f"secrets.providers.{ref.provider}.path is no path")
    full = full_path(path.strip(), openclaw_home(env))
    limit = whole(settings.get("maxBytes"), FILE_BYTES)
    seconds = whole(settings.get("timeoutMs"), FILE_MILLISECONDS) / 1000
    try:
        async with asyncio.timeout(seconds):
            text = await asyncio.to_thread(read_private, full, limit)
    except TimeoutError:
        raise NotFound(f"{full} could not be read in {seconds:g} s") from None
    if settings.get("mode") == "singleValue":
        if ref.id.strip() != SINGLE_VALUE:
            raise NotFound(f'the id in a file of mode singleValue is "{SINGLE_VALUE}"')
        return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise NotFound(f"{full} is not JSON") from None
    if not isinstance(content, dict):
        raise NotFound(f"{full} does not hold a JSON object")
    return at_pointer(content, ref.id.strip(), full)


def secret_files(config: Mapping[str, Any], env: Mapping[str, str]) -> tuple[Path, ...]:
    """The files of all providers of source ``file``; they need not exist."""
    providers = section(section(config, "secrets"), "providers")
    files = (p.get("path") for p in providers.values() if isinstance(p, dict) and p.get("source") == "file")
    paths = [path.strip() for path in files if isinstance(path, str)]
    return tuple(full_path(path, openclaw_home(env)) for path in paths if path and "\0" not in path)


def read_private(path: Path, limit: int) -> str:
    """A file that is this user's alone: no link of either sort, mode 0600 or less, at most ``limit`` bytes.

    Raises:
        NotFound: it is not, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _check_private(path, os.fstat(descriptor))
            data = file.read(limit + 1)
    except OSError as error:
        what = "must not be a symbolic link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise NotFound(f"{path} {what}") from None
    if len(data) > limit:
        raise NotFound(f"{path} is larger than {limit} bytes")
    return data.decode("utf-8", "replace").removeprefix("\ufeff")


def _check_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotFound(f"{path} is not a regular file")
    if found.st_nlink > 1:
        raise NotFound(f"{path} must not have other names (hard links)")
    if stat.S_IMODE(found.st_mode) & 0o066:
        raise NotFound(f"{path} can be read or written by others: chmod 600 {path}")
    if found.st_uid != os.geteuid():
        raise NotFound(f"{path} belongs to another user")


def at_pointer(content: Any, pointer: str, path: Path) -> Any:
    """What a JSON pointer (RFC 6901) leads to.

    Raises:
        NotFound: nothing is there.
    """
    if not pointer.startswith("/"):
        raise NotFound(f'the id in a JSON file is a pointer such as "/gateway/token", not "{SINGLE_VALUE}"')
    for token in pointer[1:].split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(content, list) and _INDEX.fullmatch(key) and int(key) < len(content):
            content = content[int(key)]
        elif isinstance(content, dict) and key in content:
            content = content[key]
        else:
            raise NotFound(f"{path} has nothing at {pointer}")
    return content


async def _from_exec(ref: SecretRef, settings: Mapping[str, Any], env: Mapping[str, str]) -> Any:
    if "pluginIntegration" in settings:
        raise NotFound("it belongs to a plugin of OpenClaw, which only OpenClaw can ask")
    try:
        provider = ExecProvider.from_settings(ref.provider, settings, env)
        return await ask(provider, ref.id.strip())
    except ValueError as reason:
        raise NotFound(str(reason)) from None
