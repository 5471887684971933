"""Which SSH agent a service gets from its manager: often another one than the shell has, or none."""

from collections.abc import Mapping

from openclaw_tunnel.errors import ServiceError
from openclaw_tunnel.service.manager import ask

VARIABLE = "SSH_AUTH_SOCK"
_TIMEOUT = 5.0


def agent_of_services(manager: str, env: Mapping[str, str]) -> str | None:
    """The socket in the environment that ``launchd`` or ``systemd`` of this user gives to services.

    Returns:
        Empty for none; None where the manager does not say.
    """
    try:
        if manager == "launchd":
            done = ask(["launchctl", "getenv", VARIABLE], env, _TIMEOUT)
            return done.stdout.strip() if done.code == 0 else None
        done = ask(["systemctl", "--user", "show-environment"], env, _TIMEOUT)
    except ServiceError:
        return None
    if done.code:
        return None
    lines = (line.partition("=") for line in done.stdout.splitlines())
    return next((_unquoted(value) for name, _, value in lines if name == VARIABLE), "")


def to_pass_on(manager: str, socket: str) -> str:
    """The command that gives services the agent of this shell, until the next login."""
    if manager == "launchd":
        return f"launchctl setenv {VARIABLE} {socket}"
    return f"systemctl --user import-environment {VARIABLE}"


def _unquoted(value: str) -> str:
    """systemd writes values with odd characters as ``$'...'``."""
    return value[2:-1] if value.startswith("$'") and value.endswith("'") else value
