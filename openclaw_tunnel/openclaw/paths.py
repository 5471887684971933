"""Where OpenClaw's own files are, and what its variables and profiles mean, by the rules of OpenClaw 2026.9.6."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from openclaw_tunnel.errors import UsageError
from openclaw_tunnel.ssh_config.tokens import home_of

_UNSET = ("", "undefined", "null")
_PROFILE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII | re.IGNORECASE)
_DEFAULT_PROFILE = "default"
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619
_PORT = re.compile(r"(?:\[[^\]]+\]:|[^:]+:)?(\d{1,8})", re.ASCII)


def config_file(env: Mapping[str, str], exists: Callable[[Path], bool] = Path.exists) -> Path:
    """The file OpenClaw reads in this environment.

    ``OPENCLAW_CONFIG_PATH``, else ``openclaw.json`` of ``OPENCLAW_STATE_DIR``, else of ``.openclaw`` in the home;
    ``.clawdbot`` and ``clawdbot.json`` of earlier releases where the new names do not exist.
    ``OPENCLAW_PROFILE`` alone moves nothing.
    """
    home = openclaw_home(env)
    if path := variable(env, "OPENCLAW_CONFIG_PATH"):
        return full_path(path, home)
    if folder := variable(env, "OPENCLAW_STATE_DIR"):
        state = full_path(folder, home)
    else:
        state, legacy = home / ".openclaw", home / ".clawdbot"
        if not exists(state) and exists(legacy):
            state = legacy
    current, old = state / "openclaw.json", state / "clawdbot.json"
    return old if not exists(current) and exists(old) else current


def dotenv_files(env: Mapping[str, str]) -> tuple[Path, ...]:
    """The user's ``.env`` files, the one that wins first: that of the state folder, then ``gateway.env``.

    ``gateway.env`` belongs to the default state folder. The ``.env`` of the working folder is another matter: it may
    come with somebody else's project.
    """
    home = openclaw_home(env)
    default = home / ".openclaw" / ".env"
    if folder := variable(env, "OPENCLAW_STATE_DIR"):
        own = full_path(folder, home) / ".env"
        return (own, *((_gateway_env(home),) if own == default else ()))
    if path := variable(env, "OPENCLAW_CONFIG_PATH"):
        return (full_path(path, home).parent / ".env", _gateway_env(home))
    return (default, _gateway_env(home))


def _gateway_env(home: Path) -> Path:
    return home / ".config" / "openclaw" / "gateway.env"


def include_roots(env: Mapping[str, str]) -> tuple[Path, ...]:
    """The folders of ``OPENCLAW_INCLUDE_ROOTS`` that files outside of the settings' folder may be included from."""
    home = openclaw_home(env)
    texts = (text.strip() for text in env.get("OPENCLAW_INCLUDE_ROOTS", "").split(":"))
    return tuple(full_path(text, home) for text in texts if text.startswith(("/", "~")) and "\0" not in text)


def openclaw_home(env: Mapping[str, str]) -> Path:
    """``OPENCLAW_HOME``, else ``HOME``, else the home of the password database; absolute."""
    system = Path(variable(env, "HOME") or home_of())
    own = variable(env, "OPENCLAW_HOME")
    return full_path(own, system) if own else Path(os.path.abspath(system))


def variable(env: Mapping[str, str], name: str) -> str:
    """A variable without blanks around it; empty where it is not set or holds "undefined" or "null"."""
    value = env.get(name, "").strip()
    return "" if value in _UNSET else value


def full_path(path: str, home: Path) -> Path:
    """``path`` made absolute, with ``~`` for ``home``; ``..`` resolved by name only."""
    if path == "~" or path.startswith("~/"):
        path = str(home / path[2:])
    return Path(os.path.abspath(path))


def profile_of(env: Mapping[str, str]) -> str:
    """``OPENCLAW_PROFILE``; empty for "default" and for what cannot name a profile."""
    name = env.get("OPENCLAW_PROFILE", "").strip()
    return name if _PROFILE.fullmatch(name) and name.lower() != _DEFAULT_PROFILE else ""


def profile_environment(name: str, env: Mapping[str, str]) -> dict[str, str]:
    """The environment in which ``openclaw --profile NAME`` runs: what is set already stays.

    Raises:
        UsageError: ``name`` cannot name a profile.
    """
    if not _PROFILE.fullmatch(name):
        raise UsageError(f"not a profile: {name!r}", hint="letters, digits, - and _, at most 64")
    if name.lower() == _DEFAULT_PROFILE:
        return dict(env)
    changed = {**env, "OPENCLAW_PROFILE": name}
    state = variable(env, "OPENCLAW_STATE_DIR") or str(openclaw_home(env) / f".openclaw-{name}")
    changed["OPENCLAW_STATE_DIR"] = state
    if not variable(env, "OPENCLAW_CONFIG_PATH"):
        changed["OPENCLAW_CONFIG_PATH"] = str(full_path(state, openclaw_home(env)) / "openclaw.json")
    return changed


def profile_port(name: str) -> int:
    """The gateway's port under a profile: 20000 and the profile's FNV-1a hash (32 bits) modulo 40000."""
    code = _FNV_OFFSET
    for byte in name.encode():
        code = (code ^ byte) * _FNV_PRIME % 2**32
    return 20000 + code % 40000


def environment_port(env: Mapping[str, str]) -> int | None:
    """The port in ``OPENCLAW_GATEWAY_PORT``: digits, ``host:port`` or ``[v6]:port``; None for anything else."""
    match = _PORT.fullmatch(env.get("OPENCLAW_GATEWAY_PORT", "").strip())
    port = int(match[1]) if match else 0
    return port if 0 < port < 65536 else None
