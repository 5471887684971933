"""What the daemon itself logs in to a gateway with: the credentials of OpenClaw's own settings."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from openclaw_tunnel.ask.question import revealed
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.host.loop.offloop import OffLoop
from openclaw_tunnel.host.watch import LOOK_SECONDS, Looks, fingerprints
from openclaw_tunnel.openclaw.credentials.contracts import Surface
from openclaw_tunnel.openclaw.credentials.providers import secret_files
from openclaw_tunnel.openclaw.paths import config_file, dotenv_files
from openclaw_tunnel.openclaw.settings import OpenClawSettings
from openclaw_tunnel.settings.load import Settings

logger = logging.getLogger(__name__)


def is_for(settings: OpenClawSettings, spec: TunnelSpec) -> bool:
    """Whether ``gateway.remote`` means the gateway behind a tunnel, so that its secrets may go there unasked.

    It does where its ``sshTarget`` is the tunnel's, where its ``url`` leads to the tunnel's local port (OpenClaw
    itself sends the secrets there), and where it says neither.
    """
    target, port = settings.remote_ssh_target, settings.remote_url_port
    if not target and port is None:
        return True
    return (target != "" and target in (spec.target, spec.address)) or port == spec.main.listen.port


RETRY = 600.0
"""Seconds after which a SecretRef that could not be resolved is tried again: a keyring may be open by then, but a
provider may also ask a person each time."""


class SettingsCredentials:
    """Looks the credentials up, and again only when a file they come from has changed: a SecretRef may run a program.

    The files: openclaw.json and what it includes, the ``.env`` files, those of SecretRefs of source ``file``, and
    tunnels.json5. Settings that cannot be used are looked at every time.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        tunnels_file: Path,
        spec: TunnelSpec,
        *,
        clock: Callable[[], float] = time.monotonic,
        off_loop: OffLoop[Looks] | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            clock: gives seconds and does not go back.
            off_loop: makes the looks at the files, which may hang; what was known holds meanwhile.
        """
        self._env = env
        self._spec = spec
        self._clock = clock
        self._files: tuple[Path, ...] = (config_file(env), tunnels_file, *dotenv_files(env))
        self._tunnels_file = tunnels_file
        self._seen: Looks = {}
        self._again_at = float("-inf")
        self._known = Credentials()
        self._said = ""
        self._off_loop = off_loop or OffLoop[Looks]("files of the gateway's credentials")

    async def __call__(self) -> Credentials:
        """The credentials for the status of a remote gateway; empty ones where there are none to be had."""
        seen = await self._look()
        if seen is not None and (seen != self._seen or self._clock() >= self._again_at):
            self._known = await self._look_up()
            # What was known before is compared with how it was before: it may have changed while it was read.
            self._seen = {**(await self._look() or {}), **seen}
        return self._known

    async def _look(self) -> Looks | None:
        """None where it takes too long, as in a home on a network that is away."""
        files = [str(path) for path in self._files]
        return await self._off_loop.run(lambda: fingerprints(files), timeout=LOOK_SECONDS)

    async def _look_up(self) -> Credentials:
        try:
            settings = await asyncio.to_thread(Settings.load, self._env, self._tunnels_file)
            self._note_files(settings.openclaw)
            if not is_for(settings.openclaw, self._spec):
                self._say(f"gateway.remote of {settings.openclaw.path} means another one than tunnel {self._spec.name}")
                self._again_at = float("inf")
                return Credentials()
            choice = await settings.credentials(Surface.PROBE_REMOTE, way_is_known=True)
        except TunnelError as error:
            self._say(error.message)
            self._again_at = self._clock()
            return Credentials()
        self._say(choice.warning)
        self._again_at = self._clock() + RETRY if choice.warning else float("inf")
        return revealed(choice)

    def _note_files(self, settings: OpenClawSettings) -> None:
        more = (settings.path, *settings.loaded.included, *secret_files(settings.config, settings.env))
        self._files = tuple(dict.fromkeys((*self._files, *more)))

    def _say(self, problem: str) -> None:
        """Warn, once for as long as it is the same."""
        if problem and problem != self._said:
            logger.warning("the gateway is not asked with credentials: %s", problem)
        self._said = problem
