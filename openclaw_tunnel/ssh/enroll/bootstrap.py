"""The first login to a gateway's host: on the way that a tunnel takes, with a person at hand."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import asyncssh

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Asks, DialFailed, nobody_asked
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.ssh.auth.prompts import Asker, AuthPrompts
from openclaw_tunnel.ssh.connection import under_deadline
from openclaw_tunnel.ssh.dial import Dial, LoggedIn, Resolve, Way
from openclaw_tunnel.ssh.enroll.shell import Ran, run_script
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.knownhosts import describe_key
from openclaw_tunnel.ssh.hostkeys.trust import as_error
from openclaw_tunnel.ssh.link import SshLink
from openclaw_tunnel.ssh.words import clean
from openclaw_tunnel.ssh_config.query import resolve_ssh
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


class SetupConnection:
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
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


async def log_in(
    typed: str,
    *,
    identity: str = "",
    ssh_config: str = "",
    env: Mapping[str, str],
    ask: Asker | None = None,
    resolve: Resolve = resolve_ssh,
    policy: Policy | None = None,
    asks: Asks = nobody_asked,
) -> SetupConnection:
    """Log in with the keys and the agent; where these are refused, and ssh would ask a person, ask.

    The host's key must be known. On jump hosts only keys are tried: a tunnel has nothing else, either.

    Args:
        typed: the destination.
        identity: the private key file to try first; empty: ssh_config decides.
        ssh_config: a file for ``ssh -F``; empty: the user's and the system's.
        ask: asks the person; None: keys and the agent only. The connect deadline stands still meanwhile.
        asks: takes what the agent, the server or a ProxyCommand asks a person to do.

    Raises:
        TunnelError: with the exit code of the failure; what ``ask`` raised comes out as it was.
    """
    prompts: AuthPrompts | None = None

    async def enter(dial: Dial, target: SshTarget, hop: Hop, way: Way) -> LoggedIn:
        nonlocal prompts
        try:
            return await dial.log_in(target, hop, way, ask)
        finally:
            prompts = dial.prompts

    try:
        logged_in, stack = await under_deadline(
            typed,
            enter,
            identity=identity,
            ssh_config=ssh_config,
            env=env,
            resolve=resolve,
            policy=policy or Policy(),
            asks=asks,
        )
    except DialFailed as exc:
        if prompts and prompts.problem:
            raise prompts.problem from None
        raise _unconvinced(exc.failure, prompts) from exc
    return SetupConnection(logged_in, stack)


def how_in(logged_in: LoggedIn) -> HowIn:
    """By which method, and with which key, a login has succeeded."""
    method, offer = logged_in.login.method, logged_in.ring.current
    if method != "publickey" or offer is None:
        return HowIn(method)
    key = logged_in.ring.offered[-1] if logged_in.ring.offered else describe_key(offer.public)
    return HowIn(method, key, offer.path, offer.from_agent, offer.public)


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
