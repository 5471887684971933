"""Dialling: ``core.link.Connector`` carried out with asyncssh, under one deadline for everything."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import TypeVar

from openclaw_tunnel.core.link import DIAL_SECONDS, Asks, DialFailed, nobody_asked
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.ssh.deadline import Deadline, Patience
from openclaw_tunnel.ssh.dial import Dial, DialOptions, Resolve, Way
from openclaw_tunnel.ssh.failures import of_bug
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.inputs import DialInputs
from openclaw_tunnel.ssh.link import SshLink
from openclaw_tunnel.ssh_config.query import resolve_ssh
from openclaw_tunnel.ssh_config.target import SshTarget

T = TypeVar("T")

# Every channel is worth several of asyncssh's INFO lines. A level that somebody has set before is respected.
if (_theirs := logging.getLogger("asyncssh")).level == logging.NOTSET:
    _theirs.setLevel(logging.WARNING)


class SshConnector:
    """Dials the SSH server of one tunnel, each time with what ssh_config says at that moment.

    Args:
        spec: the tunnel.
        env: the environment: SSH_AUTH_SOCK, PATH, and what ProxyCommand gets.
        resolve: asks ``ssh -G``.
        patience: how long persons are waited for.
    """

    def __init__(
        self,
        spec: TunnelSpec,
        *,
        env: Mapping[str, str],
        resolve: Resolve = resolve_ssh,
        patience: Patience | None = None,
    ) -> None:
        self._spec = spec
        self._ask = resolve
        self._options = DialOptions.of_tunnel(spec, env, resolve=self._resolve, patience=patience)
        self._inputs = DialInputs(spec, env)

    @property
    def agent(self) -> str:
        """See ``core.link.Connector.agent``."""
        return self._inputs.agent

    async def changed(self, *, agent: bool) -> bool:
        """See ``core.link.Connector.changed``; the agents of jump hosts are asked too."""
        return await self._inputs.changed(agent=agent)

    @property
    def files(self) -> tuple[str, ...]:
        """See ``core.link.Connector.files``; those of jump hosts are among them."""
        return self._inputs.files

    async def _resolve(
        self, target: str, *, ssh_config: str = "", identity: str = "", env: Mapping[str, str], timeout: float = 5.0
    ) -> SshTarget:
        found = await self._ask(target, ssh_config=ssh_config, identity=identity, env=env, timeout=timeout)
        await self._inputs.learn(target, found)
        return found

    async def connect(self, *, asks: Asks = nobody_asked) -> SshLink:
        """Dial once; cancelling gives it up and leaves nothing behind; see ``core.link.Connector.connect``.

        Raises:
            DialFailed: with the failure.
        """
        spec = self._spec
        dial = Dial(replace(self._options, asks=asks))
        await self._inputs.begin()
        try:
            logged_in, stack = await under_deadline(dial, Dial.log_in)
        except (DialFailed, asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # a panic of cryptography is no Exception
            raise DialFailed(of_bug(exc, Hop(spec.target, spec.target, spec.ssh_config))) from exc
        finally:
            for ring in dial.rings:
                if ring.asked:
                    self._inputs.saw_keys(ring.target, ring.agent_keys)
        self._inputs.logged_in()
        return SshLink(logged_in, stack)


async def under_deadline(
    dial: Dial, then: Callable[[Dial, SshTarget, Hop, Way], Awaitable[T]]
) -> tuple[T, AsyncExitStack]:
    """Find the way to an SSH server and do something there, all under one deadline.

    It is ConnectTimeout where ssh_config sets it, else the policy's, and covers everything: ssh -G, name lookup, jump
    hosts, key exchange and login. It stands still while the agent lists its keys, which has a limit of its own, and
    while a person is asked, for which ``DialOptions.patience`` has another.

    Args:
        then: what to do once the server is reached: ``Dial.log_in`` or ``Dial.fetch_host_key``.

    Returns:
        What ``then`` returned, and what closes everything that was opened.

    Raises:
        DialFailed: with the failure; nothing is left open.
    """
    options = dial.options
    timer = asyncio.timeout(options.policy.connect_timeout)
    deadline = dial.deadline = _deadline(options, timer)
    try:
        async with timer:
            target, hop = await dial.resolve(options.typed, identity=options.identity)
            if target.connect_timeout:
                deadline.limit(min(target.connect_timeout, DIAL_SECONDS))
            return await then(dial, target, hop, await dial.open_way(target, hop)), dial.stack
    except BaseException as exc:
        too_late = dial.out_of_time() if timer.expired() and isinstance(exc, TimeoutError) else None
        await dial.stack.aclose()
        if too_late:
            raise DialFailed(too_late) from exc
        raise
    finally:
        deadline.close()


def _deadline(options: DialOptions, timer: asyncio.Timeout) -> Deadline:
    def expire_at(when: float | None) -> None:
        with suppress(RuntimeError):  # the time is up, and whoever would have more of it is cancelled in a moment
            timer.reschedule(when)

    seconds, clock = options.policy.connect_timeout, asyncio.get_running_loop()
    return Deadline(seconds, patience=options.patience, asks=options.asks, clock=clock, expire_at=expire_at)
