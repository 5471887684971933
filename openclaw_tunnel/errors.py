"""The exceptions of this program, split by who has to act, and its exit codes.

Each carries a message (what happened, to what), a hint (the next step, where there is one) and the exit
code of the command line contract. The command line prints them as ``error: ...`` and ``hint: ...``.
"""

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What the process answers; scripts rely on the numbers."""

    OK = 0
    NO = 1
    USAGE = 2
    NOT_RUNNING = 3
    CONFIG = 10
    CREDENTIAL = 11
    UNREACHABLE = 20
    LOGIN = 21
    HOST_KEY = 22
    LOCAL_PORT = 23
    FORWARDING = 24
    NOT_LISTENING = 30
    GATEWAY_REFUSED = 31
    NOT_A_GATEWAY = 32
    SERVICE = 40
    BUG = 70
    INTERRUPTED = 130


class TunnelError(Exception):
    """Anything that ends a command with a sentence for the user.

    Args:
        message: what happened and to what, one line, no full stop.
        hint: the next step for the user; empty where there is none.
        exit_code: overrides the code of the class.
    """

    exit_code: ExitCode = ExitCode.NO

    def __init__(self, message: str, *, hint: str = "", exit_code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(TunnelError):
    """The command was called in a way that cannot be carried out: the caller rewords it."""

    exit_code = ExitCode.USAGE


class ConfigError(TunnelError):
    """A settings file cannot be used: its author mends it. The message names file, line and key."""

    exit_code = ExitCode.CONFIG


class HelperError(TunnelError):
    """A program that was asked (``ssh -G``) did not answer this time, and no file is to blame: it may the next time.

    Args:
        command: what to type to see it happen; empty where that is not known.
    """

    exit_code = ExitCode.CONFIG

    def __init__(self, message: str, *, hint: str = "", command: str = "") -> None:
        super().__init__(message, hint=hint)
        self.command = command


class NameNotFound(HelperError):
    """What was asked needed the address of a host name, and the resolver did not have it."""


class CredentialError(TunnelError):
    """No usable credential, or a reference to one that cannot be resolved."""

    exit_code = ExitCode.CREDENTIAL


class DaemonUnreachable(TunnelError):
    """No daemon answers on the control socket: nothing runs, or it died."""

    exit_code = ExitCode.NOT_RUNNING


class RequestRefused(TunnelError):
    """The daemon understood a request and said no; it chose message, hint and exit code."""


class ServiceError(TunnelError):
    """launchctl or systemctl refused."""

    exit_code = ExitCode.SERVICE


_PASSING = frozenset({ExitCode.NOT_RUNNING, ExitCode.UNREACHABLE, ExitCode.NOT_LISTENING})


def failure_json(code: str, message: str, hint: str, exit_code: ExitCode) -> dict[str, Any]:
    """The ``failure`` object of ``--json`` for what is no row of ``core/failures.py``; the same fields."""
    permanent = exit_code not in _PASSING
    return {
        "code": code,
        "message": message,
        "hint": hint,
        "permanent": permanent,
        "exit_code": int(exit_code),
        "at": None,
    }
