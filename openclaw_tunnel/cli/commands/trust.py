"""``trust``: show a host's key and remember it."""

import asyncio
import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING

import click

from openclaw_tunnel.control.follow import client_of
from openclaw_tunnel.errors import ExitCode, TunnelError, UsageError
from openclaw_tunnel.ui import output, progress

if TYPE_CHECKING:
    from openclaw_tunnel.ssh.hostkeys.trust import Found

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")


@click.command()
@click.argument("target")
@click.option("-F", "--ssh-config", default="", metavar="FILE", help="ssh_config to read instead of yours.")
@click.option("-p", "--port", type=click.IntRange(1, 65535), metavar="PORT", help="The host's SSH port.")
@click.option("--fingerprint", default="", metavar="SHA256:...", help="Remember the key only if it is this one.")
@click.option("--replace", is_flag=True, help="Remember it in place of an old key.")
@click.option("--yes", is_flag=True, help="Do not ask: this network is trusted.")
def trust(target: str, ssh_config: str, port: int | None, fingerprint: str, replace: bool, yes: bool) -> int:
    """Show the key of the host that TARGET leads to, and remember it in known_hosts.

    Compare the fingerprint with one that you got in another way: on the host itself, ssh-keygen -l -f
    /etc/ssh/ssh_host_ed25519_key.pub prints it.
    """
    # Imported late: asyncssh takes longer to load than most commands take to run.
    from openclaw_tunnel.ssh.hostkeys.trust import look_at, remember, where_to_write, with_port

    check_fingerprint(fingerprint)
    with progress.working(f"asking {target} for its key"):
        typed = with_port(target, port)
        found = asyncio.run(look_at(typed, ssh_config=ssh_config, env=os.environ, asks=output.waits_for_you))
    output.say(f"host  {found.place.host}")
    output.say(f"key   {found.shown}")
    if check_key(found, fingerprint, replace):
        output.say(f"known already: {found.verdict.entries[0].place}")
        return ExitCode.OK
    output.say(f"file  {where_to_write(found)}")
    if not fingerprint and not yes and not _ask(found):
        raise TunnelError("the key is not remembered", exit_code=ExitCode.NO)
    remember(found, replace=replace)
    output.say("remembered")
    _let_tunnels_try_again()
    return ExitCode.OK


def check_fingerprint(text: str) -> None:
    """The argument of ``--fingerprint``; empty where it was not given.

    Raises:
        UsageError: it is none.
    """
    if text and not _FINGERPRINT.fullmatch(text):
        raise UsageError(f"not a fingerprint: {text!r}", hint="write SHA256: and 43 characters, as ssh-keygen -l")


def _let_tunnels_try_again() -> None:
    """A tunnel that failed for want of this key need not wait for its next look at the file."""
    with contextlib.suppress(TunnelError):  # mostly there is no daemon; one that hangs looks at the file later
        client_of().call("retry", timeout=2.0)


def check_key(found: "Found", fingerprint: str, replace: bool) -> bool:
    """True for a key that is known already.

    Args:
        fingerprint: what the key has to be; empty: nobody said.
        replace: a changed key may take the place of the old one.

    Raises:
        TunnelError: it must not be remembered.
    """
    from openclaw_tunnel.core.failures import Code
    from openclaw_tunnel.ssh.hostkeys.trust import as_error

    if found.failure and found.failure.code is not Code.HOST_KEY_UNKNOWN:
        if not (replace and found.failure.code is Code.HOST_KEY_CHANGED):
            raise as_error(found.failure)
        output.say(f"note  {found.failure.message}")
    if fingerprint and fingerprint.rstrip("=") != found.fingerprint:
        raise TunnelError(
            f"the key of {found.place.host} has another fingerprint: {found.fingerprint}, not {fingerprint}",
            hint="nothing was remembered: is this the right host, and the fingerprint of its key of this type?",
            exit_code=ExitCode.HOST_KEY,
        )
    return found.failure is None


def _ask(found: "Found") -> bool:
    if not output.is_terminal(sys.stdin):
        raise UsageError(
            f"whether to remember the key of {found.place.host} must be asked, and there is no terminal",
            hint=f"compare the fingerprint, then add: --fingerprint {found.fingerprint}",
        )
    return click.confirm("Remember this key?", default=False, err=True)
