"""Which host a sentence speaks of."""

import shlex
from dataclasses import dataclass
from types import MappingProxyType

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.ssh_config.destination import as_ssh_words


@dataclass(frozen=True, slots=True)
class Hop:
    """One SSH server on the way.

    Attributes:
        typed: how the user, or ProxyJump, calls it: what to put after ``ssh`` to get there.
        host: ``host:port`` or ``[v6]:port``, after ssh_config.
        ssh_config: the file given with ``-F``; empty for none.
    """

    typed: str
    host: str
    ssh_config: str = ""

    @property
    def name(self) -> str:
        """``host`` without the port."""
        return self.host.rpartition(":")[0]

    def failure(self, code: Code, message: str, **facts: str) -> Failure:
        """A failure at this hop, with the facts that the hints of ``core/failures.py`` use."""
        ssh = as_ssh_words(self.typed, self.ssh_config)
        return Failure(code, message, MappingProxyType({"target": self.typed, "ssh": ssh, "host": self.host, **facts}))

    def trust_command(self, *, replace: bool = False) -> str:
        """The line a user can copy to remember the host's key."""
        words = ["openclaw-tunnel", "trust"]
        words += ["--replace"] if replace else []
        words += ["-F", self.ssh_config] if self.ssh_config else []
        return shlex.join([*words, self.typed])


def show_address(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
