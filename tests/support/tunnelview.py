"""Our daemon, looked at while it runs: what it says of a tunnel, and what it takes of the computer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.control.orders import Ping, Restart
from support.cli import Cli
from support.netlab import Lab
from support.waiting import wait_until

TIRELESS = {"dialGap": 0.1, "backoffFirst": 0.01, "backoffMax": 0.01, "flapLosses": 1000}
"""A policy in which losses do not slow the next dial down."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process takes.

    Attributes:
        counts: open file descriptors, and threads.
        resident_kb: memory.
    """

    counts: tuple[int, int]
    resident_kb: int


class TunnelView:
    """Asks the daemon of a user about their only tunnel, without starting a program for each question."""

    def __init__(self, cli: Cli) -> None:
        self._control = ControlClient(cli.tunnel_home / "control.sock")

    def __call__(self) -> dict[str, Any]:
        """The tunnel's object in ``status --json``."""
        tunnels = self._control.call(Status()).data["tunnels"]
        assert len(tunnels) == 1
        return dict(tunnels[0])

    @property
    def state(self) -> str:
        """Where it stands."""
        return str(self()["state"])

    @property
    def pid(self) -> int:
        """Of the daemon."""
        return self._control.call(Ping()).pid or 0

    def footprint(self) -> Footprint:
        """What the daemon takes at this moment."""
        proc = Path("/proc", str(self.pid))
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
        counts = (len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir())))
        return Footprint(counts, int(status["VmRSS"].split()[0]))

    def wait_up(self, connects: int = 1, deadline: float = 30.0) -> None:
        """Return when it is up, over connection number ``connects`` or a later one."""

        def is_up() -> bool:
            tunnel = self()
            return bool(tunnel["state"] == "up" and tunnel["counters"]["connects"] >= connects)

        wait_until(is_up, deadline, f"up over connection {connects}")

    def restart(self) -> None:
        """As ``restart``; returns when it is up again."""
        connects = self()["counters"]["connects"]
        self._control.call(Restart("default"))
        self.wait_up(connects + 1)

    def lose(self, lab: Lab) -> None:
        """Kill the connection at the server's side; returns when the tunnel is up again."""
        connects = self()["counters"]["connects"]
        lab.kill_connections()
        self.wait_up(connects + 1)
