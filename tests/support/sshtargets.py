"""SshTargets made by hand, and a connector that gets them without asking ssh -G."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.deadline import Patience
from openclaw_tunnel.ssh_config.query import SshTarget
from support.sshserver import SshTestServer

_PLAIN = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
HOST_KEY_ALGORITHMS = (*(f"{name}-cert-v01@openssh.com" for name in (*_PLAIN, *_RSA)), *_PLAIN, *_RSA)
"""What ssh -G prints where nobody has chosen, without security keys."""


def make_target(**fields: Any) -> SshTarget:
    """A target for ``me`` on 127.0.0.1 with no agent, no keys and no known hosts, and what ``fields`` say."""
    defaults: dict[str, Any] = {
        "original": "gw",
        "hostname": "127.0.0.1",
        "user": "me",
        "port": 22,
        "identities_only": True,
        "identity_agent": "",
        "host_key_algorithms": HOST_KEY_ALGORITHMS,
    }
    return SshTarget(**{**defaults, **fields})


class Resolver:
    """Answers what ssh -G would, from a table."""

    def __init__(self, **targets: SshTarget) -> None:
        self.targets: dict[str, SshTarget] = targets

    async def __call__(
        self, target: str, *, ssh_config: str = "", identity: str = "", env: Mapping[str, str], timeout: float = 5.0
    ) -> SshTarget:
        return self.targets[target]


def make_spec(**fields: Any) -> TunnelSpec:
    """A tunnel to ``gw`` with a short deadline."""
    forward = Forward(Endpoint("127.0.0.1", 18789), Endpoint("127.0.0.1", 18789))
    defaults: dict[str, Any] = {"name": "t", "target": "gw", "forwards": (forward,)}
    return TunnelSpec(**{**defaults, "policy": Policy(connect_timeout=30), **fields})


def target_for(server: SshTestServer, folder: Path, **fields: Any) -> SshTarget:
    """A target that knows ``server``'s host key."""
    known_hosts = folder / f"known_hosts.{server.port}"
    if not known_hosts.exists():
        known_hosts.write_text(server.known_hosts_line())
    return make_target(port=server.port, **{"user_known_hosts_files": (str(known_hosts),), **fields})


def make_connector(
    target: SshTarget, *, env: Mapping[str, str] | None = None, patience: Patience | None = None, **fields: Any
) -> SshConnector:
    """A connector whose ``gw`` is ``target``."""
    return SshConnector(make_spec(**fields), env=env or {}, resolve=Resolver(gw=target), patience=patience)
