"""The gateway's host, as ``setup`` deals with it: its key, a login, what is read and asked there."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from openclaw_tunnel.core.spec import LOOPBACK, Endpoint, Probe
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.gateway.probe import probe
from openclaw_tunnel.gateway.verdict import Judgement
from openclaw_tunnel.openclaw.remote_host import RemoteGateway, read_remote_gateway
from openclaw_tunnel.ssh.auth.prompts import Asker
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn, SetupConnection, log_in
from openclaw_tunnel.ssh.enroll.installkey import install_key, prove_key
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey, KeyToMake, choose_key, make_key
from openclaw_tunnel.ssh.enroll.remote import read_remote_settings
from openclaw_tunnel.ssh.hostkeys.trust import Found, look_at, remember
from openclaw_tunnel.ui.output import waits_for_you

PROBE_TIMEOUT = 5.0
"""Seconds for each question to the gateway."""


class RemoteHost:
    """The host. Everything may raise TunnelError; what stands below ``log_in`` needs it to have returned.

    Args:
        typed: the destination.
        identity: private key file; empty: ssh_config decides.
        ssh_config: a file for ``-F``; empty: the user's and the system's.
    """

    def __init__(self, typed: str, *, identity: str, ssh_config: str, env: Mapping[str, str]) -> None:
        self._options = DialOptions(typed, env, identity, ssh_config, asks=waits_for_you)
        self._connection: SetupConnection | None = None
        self._made: ChosenKey | None = None

    async def look(self) -> Found:
        """Its key, without a login."""
        return await look_at(replace(self._options, identity=""))

    def remember(self, found: Found) -> Path:
        """Write the key into known_hosts; the file."""
        return remember(found, replace=False)

    async def log_in(self, ask: Asker | None) -> HowIn:
        """Log in, and stay."""
        self._connection = await log_in(self._options, ask)
        return self._connection.how

    async def choose_key(self) -> ChosenKey | KeyToMake:
        """The key to install."""
        return await choose_key(self._logged_in.target, self._logged_in.hop, self._options.env)

    def make_key(self, path: str) -> None:
        """Make a key, to be installed next."""
        self._made = make_key(path)

    async def install(self, key: ChosenKey | KeyToMake) -> ChosenKey:
        """Let the host know the key, or the one that was made, and see that it lets it in; which one it was."""
        if isinstance(key, KeyToMake):
            assert self._made is not None  # noqa: S101  the step before made it
            key = self._made
        installed = await install_key(self._logged_in, key)
        await prove_key(self._options, key, installed)
        return key

    async def gateway(self) -> RemoteGateway:
        """What OpenClaw's settings there say."""
        return read_remote_gateway(await read_remote_settings(self._logged_in))

    async def probe(self, port: int) -> Judgement:
        """Ask a port of its loopback whether it is a gateway."""
        return await probe(self._logged_in.link, Probe.GATEWAY, Endpoint(LOOPBACK, port), timeout=PROBE_TIMEOUT)

    async def close(self) -> None:
        """Leave; idempotent."""
        if self._connection is not None:
            await self._connection.close()

    @property
    def _logged_in(self) -> SetupConnection:
        if self._connection is None:
            raise TunnelError("not logged in")
        return self._connection
