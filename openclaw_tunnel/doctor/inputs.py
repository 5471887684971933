"""What ``doctor`` was asked, and what it makes of that: the values that its parts share."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.host.paths import Paths
from openclaw_tunnel.settings.load import Settings
from openclaw_tunnel.settings.resolve import Choice, Resolved
from openclaw_tunnel.settings.up_options import UpOptions, up_arguments


@dataclass(frozen=True, slots=True)
class Asked:
    """The command.

    Attributes:
        options: of ``up``: the tunnel that is meant.
        env: of this process: what the user's shell has.
        parse: reads the arguments of ``up`` that a service has; raises TunnelError where they are none.
        timeout: seconds for the questions to the gateway.
    """

    options: UpOptions
    env: Mapping[str, str] = field(repr=False)
    paths: Paths
    parse: Callable[[Sequence[str]], UpOptions]
    timeout: float = 10.0

    def command(self, *words: str) -> str:
        """A command line that takes the options of ``up``, with those that were typed."""
        return shlex.join(["openclaw-tunnel", *words, *up_arguments(self.options)])


@dataclass(frozen=True, slots=True)
class DaemonView:
    """What the daemon of this user says.

    Attributes:
        about: its ``pid``, ``version``, ``installed``, ``services``; empty where none runs.
        trouble: why it says nothing although it runs.
    """

    about: Mapping[str, Any] = field(default_factory=dict)
    tunnels: tuple[Snapshot, ...] = ()
    trouble: TunnelError | None = None

    @property
    def services(self) -> Mapping[str, Any]:
        """The tunnels that a service keeps."""
        return self.about.get("services") or {}

    def tunnel(self, name: str) -> Snapshot | None:
        """The tunnel of that name; None where it does not run."""
        return next((tunnel for tunnel in self.tunnels if tunnel.name == name), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """The tunnel that is checked, and the settings it comes from."""

    options: UpOptions
    choice: Choice
    resolved: Resolved
    settings: Settings
