"""Trust a host's key: fetch it, hold it against what is known and what a person says it is, remember it."""

import asyncio
import contextlib
import os

from openclaw_tunnel.actions.agreement import Agree, Question
from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.control.orders import Retry
from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.errors import ExitCode, TunnelError, UsageError
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.hostkeys.trust import Found, as_error, look_at, remember, with_port
from openclaw_tunnel.ui import output, progress


def look_at_key(target: str, *, ssh_config: str = "", port: int | None = None) -> Found:
    """Fetch the key of the host that ``target`` leads to.

    Args:
        ssh_config: of ``-F``; empty: the user's and the system's.
        port: the host's SSH port where ``target`` has none.

    Raises:
        TunnelError: with the exit code of the failure.
    """
    with progress.working(f"asking {target} for its key"):
        typed = with_port(target, port)
        options = DialOptions(typed, os.environ, ssh_config=ssh_config, asks=output.waits_for_you)
        return asyncio.run(look_at(options))


def described(found: Found) -> tuple[str, ...]:
    """Whose key it is, and which."""
    return f"host  {found.hop.host}", f"key   {found.shown}"


def has_changed(found: Found) -> bool:
    """Whether another key of this host is remembered."""
    return found.failure is not None and found.failure.code is Code.HOST_KEY_CHANGED


def check_key(found: Found, fingerprint: str, replace: bool) -> bool:
    """True for a key that is known already.

    Args:
        fingerprint: what the key has to be; empty: nobody said.
        replace: a changed key may take the place of the old one.

    Raises:
        TunnelError: it must not be remembered.
    """
    if found.failure and found.failure.code is not Code.HOST_KEY_UNKNOWN and not (replace and has_changed(found)):
        raise as_error(found.failure)
    if fingerprint and fingerprint.rstrip("=") != found.fingerprint:
        raise TunnelError(
            f"the key of {found.hop.host} has another fingerprint: {found.fingerprint}, not {fingerprint}",
            hint="nothing was remembered: is this the right host, and the fingerprint of its key of this type?",
            exit_code=ExitCode.HOST_KEY,
        )
    return found.failure is None


def agree_to_key(found: Found, agree: Agree, shown: tuple[str, ...] = ()) -> None:
    """Have a person say whether it is the right key.

    Args:
        shown: lines to read before the question.

    Raises:
        UsageError: nobody can be asked.
        TunnelError: the answer is no.
    """
    unasked = UsageError(
        f"whether to remember the key of {found.hop.host} must be asked, and there is no terminal",
        hint=f"compare the fingerprint, then add: --fingerprint {found.fingerprint}",
    )
    if not agree(Question("Remember this key?", shown, unasked)):
        raise TunnelError("the key is not remembered", exit_code=ExitCode.NO)


def remember_key(found: Found, *, replace: bool = False) -> None:
    """Write the key into known_hosts, and let tunnels that wait for it try again.

    Raises:
        TunnelError: it cannot be written.
    """
    remember(found, replace=replace)
    with contextlib.suppress(TunnelError):  # mostly there is no daemon; one that hangs looks at the file later
        client_of().call(Retry(), timeout=2.0)
