"""Tells what becomes of the tunnels: the desktop by notices, the user's commands by hooks."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from openclaw_tunnel.core.notify.hook_events import HookEvents
from openclaw_tunnel.core.notify.notices import Notices
from openclaw_tunnel.core.notify.wishes import Announce
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.host.hooks import Hook, HookRunner
from openclaw_tunnel.host.logs import tunnel_logger
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.notify import Desktop, SystemDesktop

logger = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds that hooks get to end when the daemon ends; service managers give it 20 for all it has to do."""


@dataclass(slots=True)
class _Told:
    """What belongs to one tunnel, through all its starts."""

    runner: HookRunner
    events: HookEvents = field(default_factory=HookEvents)
    announce: Announce = field(default_factory=Announce)
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


class Announcer:
    """Gets every change of every tunnel, and lets nothing that goes wrong get back to them."""

    def __init__(
        self, desktop: Desktop | None = None, *, has_desktop: Callable[[str], bool] = lambda name: True
    ) -> None:
        """Args: ``desktop`` shows the notices, by default the system's; ``has_desktop``: whether a tunnel has one."""
        self._desktop = desktop or SystemDesktop()
        self._has_desktop = has_desktop
        self._notices = Notices()
        self._tunnels: dict[str, _Told] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = Tasks()
        self._complained = False

    def see(self, tunnel: Snapshot, announce: Announce, env: Mapping[str, str]) -> None:
        """A tunnel has changed.

        Args:
            announce: whom to tell.
            env: of the tunnel; hooks and the desktop's program run with it.
        """
        try:
            if tunnel.name not in self._tunnels:
                self._tunnels[tunnel.name] = _Told(HookRunner(tunnel_logger(tunnel.name)))
            told = self._tunnels[tunnel.name]
            told.announce, told.env = announce, env
            self._run_hooks(told, tunnel)
            self._notices.see(tunnel, self._now())
            self._set_timer()
        except Exception:  # a bug of ours: nothing that a tunnel minds, and it may come with every change
            if not self._complained:
                logger.exception("%s: what became of it could not be told", tunnel.name)
            self._complained = True

    def woke(self) -> None:
        """The computer slept until just now."""
        self._notices.woke(self._now())
        self._set_timer()

    async def close(self, grace: float = GRACE) -> None:
        """Give the hooks that run or wait ``grace`` seconds in all, then end them; no notice is shown any more."""
        if self._timer:
            self._timer.cancel()
        await self._tasks.cancel_all()
        runners = [told.runner for told in self._tunnels.values()]
        await asyncio.gather(*(runner.close(grace) for runner in runners))

    def kill(self) -> None:
        """End the hooks that run, at once: so does this process."""
        for told in self._tunnels.values():
            told.runner.kill()

    def _run_hooks(self, told: _Told, tunnel: Snapshot) -> None:
        for event in told.events.see(tunnel):
            if command := told.announce.command(event):
                own = {
                    "OPENCLAW_TUNNEL_NAME": tunnel.name,
                    "OPENCLAW_TUNNEL_EVENT": str(event),
                    "OPENCLAW_TUNNEL_STATE": str(tunnel.state),
                }
                about = json.dumps(tunnel.to_json()).encode() + b"\n"
                told.runner.add(Hook(str(event), command, {**told.env, **own}, about))

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        at = self._notices.next_at()
        self._timer = None if at is None else asyncio.get_running_loop().call_at(at, self._show)

    def _show(self) -> None:
        for name, told in self._tunnels.items():
            if not (told.announce.notifications and self._has_desktop(name)):
                self._notices.forget(name)
        for notice in self._notices.tell(self._now()):
            logger.debug("notice: %s", notice.title)
            env = self._tunnels[notice.names[0]].env
            self._tasks.start(self._desktop.show(notice, env), name="notice")
        self._set_timer()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
