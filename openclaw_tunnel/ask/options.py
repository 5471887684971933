"""From the options of ``health``, ``probe`` and ``call`` to the question that is asked. Quick to import."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw_tunnel.errors import ConfigError, UsageError

LARGEST_SECRET = 16 * 1024
LARGEST_PARAMS = 24 << 20
LONGEST = 3600.0
SHORTEST = 0.1

_RELATIVE_PATHS = ("HOME", "OPENCLAW_HOME", "OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH")
_STDIN = "-"


def read_question(kind: str, given: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The question as JSON, for the daemon or for ``ask_alone``; it holds secrets.

    Args:
        kind: ``health``, ``probe`` or ``call``.
        given: the options, by the names that click gives them.
        more: what goes into the question as it is.

    Raises:
        UsageError: options contradict each other, or one has a value that it cannot have.
        ConfigError: a file with a secret cannot be used.
    """
    _check(given)
    return {
        "kind": kind,
        "timeout": given["timeout"],
        "url": given["url"] or "",
        "token": given["token"] or read_secret(given["token_file"], "--token-file"),
        "password": read_secret(given["password_file"], "--password-file"),
        "device": given["device"],
        "env": _environment(os.environ),
        "cwd": _working_folder(),
        **more,
    }


def _check(given: Mapping[str, Any]) -> None:
    if not SHORTEST <= given["timeout"] <= LONGEST:
        raise UsageError(f"--timeout cannot be {given['timeout']:g}", hint="0.1 to 3600 seconds")
    for option in ("url", "token", "token_file", "password_file", "name"):
        if given[option] is not None and not given[option].strip():
            raise UsageError(f"--{option.replace('_', '-')} is empty", hint="give it a value, or leave it out")
    if given["token"] and given["token_file"]:
        raise UsageError("--token and --token-file exclude each other", hint="--token-file is the one nobody sees")
    if given["name"] and (given["url"] or given["direct"]):
        other = "--url" if given["url"] else "--direct"
        raise UsageError(
            f"--name and {other} exclude each other", hint=f"--name asks through a tunnel, {other} does not"
        )
    readers = [given["token_file"], given["password_file"], given.get("params")]
    if readers.count(_STDIN) > 1:
        raise UsageError("standard input can be read once only", hint="give one of them as a file")


def read_params(text: str) -> dict[str, Any]:
    """The parameters of ``call``: a JSON object, or ``-`` for one on standard input.

    Raises:
        UsageError: it is none.
    """
    hint = "write an object, as in --params '{\"limit\": 5}'"
    try:
        if text == _STDIN:
            data = sys.stdin.buffer.read(LARGEST_PARAMS + 1)
            if len(data) > LARGEST_PARAMS:
                raise UsageError(f"--params is larger than {LARGEST_PARAMS >> 20} MiB", hint="a gateway takes no more")
            text = data.decode()
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--params is not JSON: {error}", hint=hint) from None
    if not isinstance(found, dict):
        raise UsageError("--params is not a JSON object", hint=hint)
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with absolute paths: the daemon works in another folder."""
    made = dict(env)
    for name in _RELATIVE_PATHS:
        value = made.get(name, "").strip()
        if value not in ("", "undefined", "null") and not value.startswith(("/", "~")):
            made[name] = os.path.join(_working_folder(), value)
    return made


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return "/"


def read_secret(path: str | None, option: str) -> str:
    """A secret from a file that holds it and nothing else; empty where no file is given.

    Raises:
        ConfigError: the file cannot be read, or holds something else; ``option`` is for the message.
    """
    if not path:
        return ""
    hint = "it has to hold the secret, on one line, and nothing else"
    try:
        if path == _STDIN:
            data = sys.stdin.buffer.read(LARGEST_SECRET + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(LARGEST_SECRET + 1)
        text = data.decode().removeprefix("\ufeff").strip()
    except OSError as error:
        raise ConfigError(f"{option} {path} cannot be read: {error.strerror}", hint="check its path and mode") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{option} {path} is not text", hint=hint) from None
    if not text or not text.isprintable() or len(data) > LARGEST_SECRET:
        raise ConfigError(f"{option} {path} does not hold one line of text", hint=hint)
    return text
