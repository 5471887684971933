"""All settings files, read once: tunnels.json5, and openclaw.json with all that belongs to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openclaw_tunnel.openclaw.credentials.contracts import Surface
from openclaw_tunnel.openclaw.credentials.load import Explicit, load_credentials
from openclaw_tunnel.openclaw.credentials.values import CredentialChoice
from openclaw_tunnel.openclaw.settings import OpenClawSettings, load_openclaw
from openclaw_tunnel.settings.tunnels_file import TunnelsFile, load_tunnels


@dataclass(frozen=True, slots=True)
class Settings:
    """What the files say; those that are not there say nothing. ``openclaw`` holds secrets."""

    tunnels: TunnelsFile
    openclaw: OpenClawSettings

    @classmethod
    def load(cls, env: Mapping[str, str], tunnels_file: Path, cwd: Path | None = None) -> "Settings":
        """Read all of them.

        Args:
            env: the process's environment, which says where openclaw.json is.
            cwd: the working folder, whose ``.env`` is read; by default the process's own.

        Raises:
            ConfigError: a file cannot be used, with file, line and key.
        """
        return cls(load_tunnels(tunnels_file), load_openclaw(env, cwd))

    async def credentials(
        self, surface: Surface, *, explicit: Explicit | None = None, way_is_known: bool = False
    ) -> CredentialChoice:
        """The credentials to send to a gateway: :func:`load_credentials` with what the files say.

        Raises:
            CredentialError: there are none to be had.
        """
        return await load_credentials(
            surface,
            settings=self.openclaw,
            explicit=explicit,
            contract=self.tunnels.contract,
            way_is_known=way_is_known,
        )
