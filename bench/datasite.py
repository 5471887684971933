"""Where the data path is measured: two sides, a line or the loopback between them, a real sshd, and the service behind it."""

import itertools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from support.cli import Cli
from support.netlab import SERVER, LabSshd
from support.netns import Namespace
from support.process import Child, make, program
from support.waiting import accepts, wait_until

HERE = Path(__file__).resolve().parent
CLIENT = "10.99.0.1"
SSHD_PORT = 2201
GCM = ("Ciphers aes128-gcm@openssh.com",)
ALIVE = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
_OURS_ENV = {"PYTHONWARNINGS": ""}
_ports = itertools.count(20001)
"""Local ports: each tunnel has its own, in a namespace that nobody else is in."""


@dataclass(frozen=True, slots=True)
class Line:
    """What lies between the two sides, both ways alike.

    Attributes:
        delay_ms: one way.
        rate_mbit: of the bottleneck; 0: there is none.
        queue_kb: in front of the bottleneck.
        loss_percent: of the packets.
    """

    delay_ms: float
    rate_mbit: float = 0
    queue_kb: float = 256
    loss_percent: float = 0

    @property
    def arguments(self) -> list[str]:
        """As ``line.c`` takes them, at its start and while it runs."""
        return [f"{value:g}" for value in astuple(self)]


class Site:
    """Both sides; a context manager.

    Args:
        line: None: the loopback, with both sides in one namespace.

    Attributes:
        client, server: the namespaces.
        far_port: of the service, on the server's loopback.
    """

    def __init__(self, line: Line | None) -> None:
        self._first = line
        self._stack = ExitStack()
        self.server = Namespace("s")
        self.client = self.server if line is None else Namespace("c")

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def _build(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="oct-", dir="/tmp"))
        self._stack.callback(shutil.rmtree, self.folder)
        self._load = self._compiled("load", "-pthread")
        self._stack.enter_context(self.server)
        if self._first is None:
            self.server.ip("addr", "add", f"{SERVER}/24", "dev", "lo")
        else:
            self._stack.enter_context(self.client)
            self._lay(self._first)
        self.sshd = self._stack.enter_context(LabSshd(self.server, [SSHD_PORT]))
        self._service = Child(self.server.argv([self._load, "serve"]), self.folder / "service.log")
        self._stack.callback(self._service.kill)
        wait_until(lambda: "\n" in self._service.output(), 10, "the service's port")
        self.far_port = int(self._service.output().split()[0])

    def _compiled(self, name: str, *options: str) -> Path:
        path = self.folder / name
        make([program("cc"), "-O2", *options, "-o", path, HERE / f"{name}.c"])
        return path

    def _lay(self, line: Line) -> None:
        for side in (self.client, self.server):
            with side.inside():  # a loss that one tunnel met is nothing that the next one shall start with
                Path("/proc/sys/net/ipv4/tcp_no_metrics_save").write_text("1")
        ends = [self.client.name, self.server.name, f"{CLIENT}/24", f"{SERVER}/24"]
        argv = [str(self._compiled("line")), *ends, *line.arguments]
        self._line = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._stack.callback(self._end_line)
        assert self._line.stdout is not None
        assert self._line.stdout.readline() == "ready\n", "the line does not start"

    def _end_line(self) -> None:
        self._line.terminate()
        self._line.communicate()

    def change(self, line: Line) -> None:
        """Let the line be another one from now on."""
        assert self._line.stdin is not None
        self._line.stdin.write(" ".join(line.arguments) + "\n")
        self._line.stdin.flush()

    def ssh_config(self, extra: Sequence[str] = ()) -> Path:
        """An ssh_config with the alias ``gw`` for the server."""
        return self.sshd.ssh_config("gw", extra=[*extra, f"HostName {SERVER}", f"Port {SSHD_PORT}"])

    def load(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a client (``load.c``) on the client's side."""
        argv = list(map(str, self.client.argv([self._load, *map(str, arguments)])))
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def uploaded(self) -> list[tuple[float, float]]:
        """How many bytes uploads have brought to the service, over time."""
        return pairs(self._service.output().partition("\n")[2])


def pairs(text: str) -> list[tuple[float, float]]:
    """Lines of two numbers; one that is not whole yet is left out."""
    lines = text.rpartition("\n")[0].splitlines()
    return [(float(first), float(second)) for first, second in map(str.split, lines)]


def result(client: subprocess.Popen[str], timeout: float) -> str:
    """What a client printed, once it has ended."""
    try:
        out, _ = client.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        raise
    if client.returncode:
        raise RuntimeError(f"a client failed: {client.args!r}")
    return out


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program that is compared: how its tunnels are started.

    Attributes:
        name: as tables show it.
        env: of ours, more of the environment.
    """

    name: str
    env: Mapping[str, str]

    @property
    def ours(self) -> bool:
        """It is this project, of whatever checkout."""
        return self.name not in OTHERS

    @contextmanager
    def tunnel(self, site: Site, extra: Sequence[str] = ()) -> Iterator["Tunnel"]:
        """A fresh tunnel to the service, up.

        Args:
            extra: lines of ssh_config.
        """
        config, port = site.ssh_config(extra), next(_ports)
        with ExitStack() as stack:
            began = time.monotonic()
            start = _start_ours if self.ours else _start_other
            with site.client.inside():
                pids = start(self, site, config, port, stack)
            yield Tunnel(port, began, pids)


OTHERS = ("ssh", "autossh")


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One that is up.

    Attributes:
        port: where its clients connect.
        began: when its command was started.
        pids: the processes on the client's side.
    """

    port: int
    began: float
    pids: Sequence[int]


def _start_ours(contestant: Contestant, site: Site, config: Path, port: int, stack: ExitStack) -> list[int]:
    cli = stack.enter_context(Cli({**_OURS_ENV, **contestant.env}))
    cli.use_ssh_config(config)
    up = cli("up", "-d", "gw", "-p", str(port), "-r", str(site.far_port), "--probe", "tcp", timeout=60)
    assert up.exit_code == 0, up.stderr
    return cli.processes()


def _start_other(contestant: Contestant, site: Site, config: Path, port: int, stack: ExitStack) -> list[int]:
    ssh: list[str | Path] = ["-F", config, "-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{site.far_port}", "gw"]
    before: list[str | Path] = (
        [program("autossh"), "-M", "0", *ALIVE] if contestant.name == "autossh" else [program("ssh")]
    )
    child = Child([*before, *ssh], site.folder / f"{contestant.name}.log")
    stack.callback(child.kill)
    wait_until(lambda: accepts(port) or not child.running, 30, f"{contestant.name} to listen")
    assert child.running, child.output()
    return [child.pid, *child.descendants()]
