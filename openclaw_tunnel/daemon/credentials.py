"""What the daemon itself logs in to a gateway with: the credentials of OpenClaw's own settings."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from openclaw_tunnel.config.contracts import Surface
from openclaw_tunnel.config.loadcredentials import load_credentials
from openclaw_tunnel.config.openclaw import config_file, load_openclaw
from openclaw_tunnel.config.tunnels import load_tunnels
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.gateway.hello import Credentials
from openclaw_tunnel.gateway.inquiry import revealed
from openclaw_tunnel.host.watch import Fingerprint, fingerprint

logger = logging.getLogger(__name__)


class SettingsCredentials:
    """Looks the credentials up, and again only when a settings file has changed: a SecretRef may run a program."""

    def __init__(self, env: Mapping[str, str], tunnels_file: Path) -> None:
        self._env = env
        self._tunnels_file = tunnels_file
        self._seen: tuple[Fingerprint, ...] | None = None
        self._known = Credentials()

    async def __call__(self) -> Credentials:
        """The credentials for the status of a remote gateway; empty ones where there are none to be had."""
        files = (config_file(self._env), self._tunnels_file)
        seen = tuple(fingerprint(str(path)) for path in files)
        if seen != self._seen:
            self._seen = seen
            self._known = await self._look_up()
        return self._known

    async def _look_up(self) -> Credentials:
        try:
            settings = await asyncio.to_thread(load_openclaw, self._env)
            contract = (await asyncio.to_thread(load_tunnels, self._tunnels_file)).contract
            choice = await load_credentials(
                Surface.PROBE_REMOTE, settings=settings, contract=contract, way_is_known=True
            )
        except TunnelError as error:
            logger.warning("the gateway is not asked with credentials: %s", error.message)
            return Credentials()
        if choice.warning:
            logger.warning("the gateway is not asked with credentials: %s", choice.warning)
        return revealed(choice)
