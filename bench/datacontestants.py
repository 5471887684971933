"""The programs whose data path is compared: how tunnels of each are started, and what their processes use."""

import itertools
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datasite import Site

from support.cli import Cli
from support.process import Child, program

OURS = "openclaw-tunnel"
OTHERS = ("ssh", "autossh")
_ALIVE = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
_ECHO = b"e" + bytes(8)
"""What ``load.c`` sends first on a connection that wants an echo."""
_DEADLINE = 60.0
_ports = itertools.count(20001)
"""Local ports: each tunnel has its own, in a namespace that nobody else is in."""


@dataclass(frozen=True, slots=True)
class Tunnels:
    """Some that are up: a byte went through each.

    Attributes:
        ports: where their clients connect.
        pids: all processes on the client's side.
        started_in: seconds from the first command to the last tunnel's byte.
    """

    ports: Sequence[int]
    pids: Sequence[int]
    started_in: float

    @property
    def port(self) -> int:
        """Of the first one."""
        return self.ports[0]

    def cpu_seconds(self) -> float:
        """What the processes have used so far, those that have ended left out."""
        return sum(map(_cpu_seconds, self.pids))

    def memory(self) -> int:
        """Bytes, what processes share divided among them (PSS)."""
        return sum(map(_memory, self.pids))


def _cpu_seconds(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3): the clock of another process
    except OSError:
        return 0.0


def _memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program that is compared.

    Attributes:
        name: as tables show it.
        env: of ours, more of the environment: which checkout it is.
    """

    name: str
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """It is this project, of whatever checkout."""
        return self.name not in OTHERS

    @contextmanager
    def up(self, site: Site, count: int = 1) -> Iterator[Tunnels]:
        """Fresh tunnels to the service: of ours all in one process, of the others each in its own."""
        with ExitStack() as stack:
            ports = list(itertools.islice(_ports, count))
            began = time.monotonic()
            with site.client.inside():
                pids = (_start_ours if self.ours else _start_others)(self, site, ports, stack)
                for port in ports:
                    _first_byte(port)
            took = time.monotonic() - began
            yield Tunnels(ports, pids(), took)


def _start_ours(
    contestant: Contestant, site: Site, ports: Sequence[int], stack: ExitStack
) -> Callable[[], Sequence[int]]:
    cli = stack.enter_context(Cli({"PYTHONWARNINGS": "", **contestant.env}))
    cli.use_ssh_config(site.ssh_config)
    for number, port in enumerate(ports):
        options = ("-n", f"t{number}", "-p", str(port), "-r", str(site.far_port), "--probe", "tcp")
        answer = cli("up", "-d", "gw", *options, timeout=_DEADLINE)
        if answer.exit_code:
            raise RuntimeError(f"{contestant.name} does not come up: {answer.stderr}")
    return cli.processes


def _start_others(
    contestant: Contestant, site: Site, ports: Sequence[int], stack: ExitStack
) -> Callable[[], Sequence[int]]:
    alone = contestant.name == "ssh"
    before = [program("ssh")] if alone else [program("autossh"), "-M", "0", *_ALIVE]
    children = []
    for port in ports:
        forward = f"127.0.0.1:{port}:127.0.0.1:{site.far_port}"
        argv: list[str | Path] = [*before, "-F", site.ssh_config, "-N", "-L", forward, "gw"]
        child = Child(argv, site.folder / f"{contestant.name}.log")
        stack.callback(child.kill)
        children.append(child)
    return lambda: [pid for child in children for pid in (child.pid, *child.descendants())]


def _first_byte(port: int) -> None:
    """Return when a byte went through and back."""
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), _DEADLINE) as client:
                client.sendall(_ECHO + b"x")
                if client.recv(1):
                    return
        except OSError:
            time.sleep(0.001)
    raise RuntimeError(f"nothing comes through port {port}")
