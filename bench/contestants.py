"""The programs that are compared, in the client's side of a lab: each has a local port and a port of sshd to itself."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from sys import executable
from typing import Any

from openclaw_tunnel.control.client import ControlClient
from openclaw_tunnel.control.messages import Status
from openclaw_tunnel.errors import TunnelError
from support.cli import Cli
from support.netlab import SERVER, Lab
from support.process import Child, program
from support.waiting import accepts, wait_until

FIRST_LOCAL_PORT = 18801
ALIVE = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
NAMES = ("openclaw-tunnel", "ssh", "ssh + ServerAlive", "autossh + ServerAlive", "sshtunnel")
OURS = NAMES[0]


class Contestant:
    """One running program.

    Attributes:
        name: one of ``NAMES``.
        local_port: what its clients use.
        far_port: the port of sshd that it dials; nobody else does.
        tells: it says itself how it is.
    """

    tells = False

    def __init__(self, name: str, lab: Lab) -> None:
        number = NAMES.index(name)
        self.name = name
        self.local_port = FIRST_LOCAL_PORT + number
        self.far_port = lab.sshd.ports[number]
        self._config = lab.sshd.ssh_config_for(number)
        self._alias = f"gw{number}"
        self._forward = f"127.0.0.1:{self.local_port}:127.0.0.1:{lab.far.port}"
        self._lab = lab

    def start(self, stack: ExitStack, env: Mapping[str, str]) -> None:
        """Start it; what ends it is pushed on ``stack``."""
        self._child = Child(self._argv(), self._lab.folder / f"{self._alias}.log", dict(env))
        stack.callback(self._child.kill)

    def _argv(self) -> Sequence[str | Path]:
        ssh: list[str | Path] = ["-F", self._config, "-N", "-L", self._forward, self._alias]
        match self.name:
            case "ssh":
                return [program("ssh"), *ssh]
            case "ssh + ServerAlive":
                return [program("ssh"), *ALIVE, *ssh]
            case "autossh + ServerAlive":
                return [program("autossh"), "-M", "0", *ALIVE, *ssh]
        sshd = self._lab.sshd
        address = [SERVER, str(self.far_port), sshd.user, str(sshd.client_key)]
        script = Path(__file__).with_name("sshtunnel_forward.py")
        return [executable, script, *address, str(self.local_port), str(self._lab.far.port)]

    def wait_ready(self) -> None:
        """Return when its port accepts; call it in the client's side."""
        wait_until(lambda: accepts(self.local_port) or self.gone, 30, f"{self.name} to listen")
        assert not self.gone, self._child.output()

    @property
    def gone(self) -> bool:
        """Whether it has ended for good."""
        return not self._child.running

    def pulse(self) -> object:
        """Something that changes when the program notices that its connection is dead: it ends, or replaces its ssh."""
        if self.gone:
            return "ended"
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children")
        return children.read_text() if self.name.startswith("autossh") else "running"

    def flapping(self) -> bool:
        """Whether it says that the connection does not last."""
        return False


class Ours(Contestant):
    """This project, with its defaults, in the background."""

    tells = True

    def start(self, stack: ExitStack, env: Mapping[str, str]) -> None:
        """As ``Contestant``."""
        self._cli = stack.enter_context(Cli())
        self._cli.use_ssh_config(self._config)
        self._cli.env.update(env)
        ports = ("-p", str(self.local_port), "-r", str(self._lab.far.port))
        up = self._cli("up", "-d", self._alias, *ports, timeout=60)
        assert up.exit_code == 0, up.stderr
        self._control = ControlClient(self._cli.tunnel_home / "control.sock")

    def wait_ready(self) -> None:
        """It is: ``up -d`` has returned."""

    @property
    def gone(self) -> bool:
        """It ends when it is told to, and not before."""
        return False

    def pulse(self) -> object:
        """State, losses and connects, as ``status --json`` shows them: a state may come and go between two looks."""
        tunnel = self._tunnel()
        return tunnel and (tunnel["state"], tunnel["counters"]["losses"], tunnel["counters"]["connects"])

    def flapping(self) -> bool:
        """As ``status --json`` shows it."""
        tunnel = self._tunnel()
        return bool(tunnel and tunnel["retry"]["flapping"])

    def _tunnel(self) -> dict[str, Any]:
        try:
            tunnels = self._control.call(Status()).data["tunnels"]
        except TunnelError:
            return {}
        return dict(tunnels[0]) if tunnels else {}


def contestants(lab: Lab) -> list[Contestant]:
    """All of them, not started."""
    return [Ours(name, lab) if name == OURS else Contestant(name, lab) for name in NAMES]
