"""The first login to a gateway's host: on the way that a tunnel takes, with a person at hand."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial

import asyncssh

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ssh.auth.prompts import Asker, AuthPrompts
from openclaw_tunnel.ssh.connection import under_deadline
from openclaw_tunnel.ssh.dial import Dial, DialOptions, LoggedIn
from openclaw_tunnel.ssh.enroll.shell import Ran, run_script
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.trust import as_error
from openclaw_tunnel.ssh.link import SshLink
from openclaw_tunnel.ssh.words import clean
from openclaw_tunnel.ssh_config.target import SshTarget

SCRIPT_SECONDS = 15.0
_MOST_OUTPUT = 1 << 16


@dataclass(frozen=True, slots=True)
class HowIn:
    """How a login succeeded.

    Attributes:
        method: ``publickey``, ``password``, ``keyboard-interactive``, or ``none`` where the server asked for nothing.
        key: as sentences show it; empty where it was no key.
        path: the key's file; empty for a key that only the agent has.
        from_agent: the agent signed.
        public: the public key in wire format.
    """

    method: str
    key: str = ""
    path: str = ""
    from_agent: bool = False
    public: bytes = b""

    @property
    def by_key(self) -> bool:
        """A tunnel will get in, too: no key has to be installed."""
        return self.method in ("publickey", "none")


class SetupConnection(AbstractAsyncContextManager["SetupConnection"]):
    """A logged-in connection for setting up; an async context manager that closes it.

    Attributes:
        target: what ssh_config says of the host.
        hop: how sentences call it.
        how: how the login succeeded.
        link: for channels to the gateway.
    """

    def __init__(self, logged_in: LoggedIn, stack: AsyncExitStack) -> None:
        self.target: SshTarget = logged_in.target
        self.hop: Hop = logged_in.hop
        self.how = how_in(logged_in)
        self.link = SshLink(logged_in, stack)
        self._connection = logged_in.connection

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection and all that is behind it; idempotent."""
        await self.link.close()

    async def run(self, script: str, *, timeout: float = SCRIPT_SECONDS, limit: int = _MOST_OUTPUT) -> Ran:
        """Run a script with the host's POSIX shell; see ``shell.run_script``. A server that runs nothing is an answer.

        Raises:
            TunnelError: the connection is gone.
        """
        try:
            ran = await run_script(self._connection, script, timeout=timeout, limit=limit)
        except (asyncssh.Error, OSError) as exc:
            ran = Ran(False, words=clean(getattr(exc, "reason", "")))
        await asyncio.sleep(0)  # a connection that ends closes its channels first, and says so afterwards
        if self.link.lost and ran.status is None:
            text = f"the connection to {self.hop.host} was lost"
            raise TunnelError(text, hint="call the same command again", exit_code=ExitCode.UNREACHABLE)
        return ran


async def log_in(options: DialOptions, ask: Asker | None = None) -> SetupConnection:
    """Log in with the keys and the agent; where these are refused, and ssh would ask a person, ask.

    The host's key must be known. On jump hosts only keys are tried: a tunnel has nothing else, either.

    Args:
        ask: asks the person; None: keys and the agent only. The connect deadline stands still meanwhile.

    Raises:
        TunnelError: with the exit code of the failure; what ``ask`` raised comes out as it was.
    """
    dial = Dial(options)
    try:
        logged_in, stack = await under_deadline(dial, partial(Dial.log_in, ask=ask))
    except DialFailed as exc:
        if dial.prompts and dial.prompts.problem:
            raise dial.prompts.problem from None
        raise _unconvinced(exc.failure, dial.prompts) from exc
    return SetupConnection(logged_in, stack)


def how_in(logged_in: LoggedIn) -> HowIn:
    """By which method, and with which key, a login has succeeded."""
    method, offer = logged_in.login.method, logged_in.ring.current
    if method != "publickey" or offer is None:
        return HowIn(method)
    return HowIn(method, logged_in.ring.offered[-1], offer.path, offer.from_agent, offer.public)


def _unconvinced(failure: Failure, prompts: AuthPrompts | None) -> TunnelError:
    """The error of a login in which a person was, or could have been, asked."""
    if prompts and prompts.waiting:
        text = f"{failure.message}, while it waited for an answer"
        return TunnelError(text, hint="try again", exit_code=failure.exit_code)
    if prompts and prompts.gave_up:
        return TunnelError(f"no answer was given: {failure.message}", hint=failure.hint, exit_code=failure.exit_code)
    if prompts and prompts.answered and (failure.exit_code is ExitCode.LOGIN or failure.code is Code.NOT_SSH):
        tries = "one answer" if prompts.answered == 1 else f"{prompts.answered} answers"
        hint = "check the user and the password; is that the account's name on that computer?"
        return TunnelError(f"{failure.message}; {tries} refused", hint=hint, exit_code=ExitCode.LOGIN)
    return as_error(failure)
