"""What happens around a tunnel and concerns it: addresses of this computer, files that its settings come from."""

import asyncio
import ipaddress
import itertools
from enum import Enum

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.link import Connector
from openclaw_tunnel.core.retry import Plan
from openclaw_tunnel.core.status import RetryStatus
from openclaw_tunnel.host.loop.offloop import OffLoop
from openclaw_tunnel.host.loop.tracebacks import Tracebacks
from openclaw_tunnel.host.watch import LOOK_SECONDS, Looks, fingerprints

LOOK = 1.0
"""Seconds between two looks at the files that a tunnel in FAILED depends on; only while FAILED."""

LOOKS_AN_AGENT = 3
"""The SSH agent is asked for its keys with one look in so many."""


def has_moved(local_address: str, addresses: frozenset[str] | None) -> bool:
    """Whether a connection made from ``local_address`` has lost its footing: this computer is no longer there.

    Args:
        local_address: as ``core.link.Link.local_address``.
        addresses: those of this computer; None where they are not known.
    """
    if addresses is None or not local_address:
        return False
    address = ipaddress.ip_address(local_address.partition("%")[0])
    return not address.is_loopback and str(address) not in addresses


class Change(Enum):
    """What a stopped tunnel was waiting for."""

    DEPENDENCY = "something that the dial depends on"
    SETTINGS = "a settings file"


class Dependencies:
    """What may make a difference to a tunnel in FAILED: files and agent of its dials, and the settings it came from.

    Args:
        connector: knows what its last dial depended on.
        settings_files: where the tunnel's own settings come from.
        tracebacks: for what nobody foresaw; it counts as no change.
        off_loop: makes the looks at the settings, which may hang.
    """

    def __init__(
        self,
        connector: Connector,
        settings_files: tuple[str, ...],
        tracebacks: Tracebacks,
        *,
        off_loop: OffLoop[Looks] | None = None,
    ) -> None:
        self._connector = connector
        self._settings_files = settings_files
        self._tracebacks = tracebacks
        self._off_loop = off_loop or OffLoop[Looks]("settings of a tunnel")
        self._settings: Looks | None = None

    async def begin(self) -> None:
        """The tunnel has its settings: those that differ from now on are others, even if it fails only later."""
        self._settings = await self._look_at_settings()

    def retry(self, failure: Failure | None, attempt: int, next_in_s: float | None, *, flapping: bool) -> RetryStatus:
        """When it is tried again, and what is watched for ``failure``; None: it is not about being in FAILED."""
        if failure is None:
            return RetryStatus(attempt, next_in_s, flapping)
        on = failure.plan.triggers
        files = (*self._connector.files, *self._settings_files) if "files" in on else ()
        agent = self._connector.agent if "agent" in on else ""
        on = tuple(name for name in on if name != "agent" or agent)
        return RetryStatus(attempt, next_in_s, flapping, on, tuple(dict.fromkeys(files)), agent or None)

    async def wait(self, plan: Plan, every: float = LOOK) -> Change:
        """Return when one has changed since the last dial began, or a settings file since it was last looked at.

        Args:
            plan: what of them counts; the settings always do.
            every: seconds between two looks at the files.
        """
        for look in itertools.count(1):
            await asyncio.sleep(every)
            agent = plan.on_agent and look % LOOKS_AN_AGENT == 0
            if plan.on_files and await self._dial_changed(agent=agent):
                return Change.DEPENDENCY
            if await self._settings_changed():
                return Change.SETTINGS
        raise AssertionError("unreachable")

    async def _settings_changed(self) -> bool:
        now, before = await self._look_at_settings(), self._settings
        self._settings = now or before
        return None not in (now, before) and now != before

    async def _look_at_settings(self) -> Looks | None:
        """None where that cannot be done now, as in a home on a network that is away."""
        try:
            return await self._off_loop.run(lambda: fingerprints(self._settings_files), timeout=LOOK_SECONDS)
        except Exception as error:
            self._tracebacks.log("looking at the settings", error)
            return None

    async def _dial_changed(self, *, agent: bool) -> bool:
        try:
            return await self._connector.changed(agent=agent)
        except Exception as error:
            self._tracebacks.log("looking at what the connection depends on", error)
            return False
