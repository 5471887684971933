"""Where the data path is measured: two sides, a line or a loopback between them, a real sshd, the service behind it."""

import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from figures import Ask, Samples
from lines import Line

from support.netlab import SERVER, LabSshd
from support.netns import Namespace
from support.process import Child, make, program
from support.waiting import wait_until

HERE = Path(__file__).resolve().parent
_CLIENT = "10.99.0.1"
_NETWORK = "10.99.0.0/24"
_SSHD_PORT = 2201
_GRACE = 60.0


class Site:
    """Both sides; a context manager.

    Args:
        line: None: the loopback, with both sides in one namespace, and the same fast cipher for everybody.
        congestion: TCP's congestion control on a line, both sides; empty: this computer's.

    Attributes:
        client, server: the namespaces.
        folder: for files, removed at the end.
        far_port: of the service, on the server's loopback.
    """

    def __init__(self, line: Line | None, congestion: str = "") -> None:
        self._first = line
        self._congestion = congestion
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
        sshd = self._stack.enter_context(LabSshd(self.server, [_SSHD_PORT]))
        extra = ["Ciphers aes128-gcm@openssh.com"] if self._first is None else []
        self.ssh_config = sshd.ssh_config("gw", extra=[*extra, f"HostName {SERVER}", f"Port {_SSHD_PORT}"])
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
        ends = [self.client.name, self.server.name, f"{_CLIENT}/24", f"{SERVER}/24"]
        argv = [str(self._compiled("line")), *ends, *line.words]
        self._line = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._stack.callback(self._end_line)
        assert self._line.stdout is not None
        assert self._line.stdout.readline() == "ready\n", "the line does not start"
        if self._congestion:  # by route: a namespace's default can only be what the computer allows everybody
            for side in (self.client, self.server):
                side.ip("route", "replace", _NETWORK, "dev", "line0", "congctl", self._congestion)

    def _end_line(self) -> None:
        self._line.terminate()
        self._line.communicate()

    def change(self, line: Line) -> None:
        """Let the line be another one from now on."""
        assert self._line.stdin is not None
        self._line.stdin.write(" ".join(line.words) + "\n")
        self._line.stdin.flush()

    def load(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a client (``load.c``) on the client's side."""
        argv = list(map(str, self.client.argv([self._load, *map(str, arguments)])))
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def uploaded(self) -> Samples:
        """How many bytes uploads have brought to the service, over time."""
        return pairs(self._service.output().partition("\n")[2])


def result(client: subprocess.Popen[str], seconds: float) -> str:
    """What a client printed; it ends within so many seconds, and some for a tunnel that stands still.

    Raises:
        RuntimeError: it did not, or lost its connection.
    """
    try:
        out, _ = client.communicate(timeout=seconds + _GRACE)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        raise RuntimeError(f"a client does not end: {client.args!r}") from None
    if client.returncode:
        raise RuntimeError(f"a client failed: {client.args!r}")
    return out


def stopped(client: subprocess.Popen[str]) -> str:
    """As :func:`result`, of a client that is to end now."""
    client.terminate()
    return result(client, 0)


def asks(text: str) -> list[Ask]:
    """The lines of ``load ask``."""
    lines = map(str.split, text.splitlines())
    return [Ask(float(sent), float(took), int(client)) for sent, took, client in lines]


def pairs(text: str) -> Samples:
    """Lines of two numbers; one that is not whole yet is left out."""
    lines = text.rpartition("\n")[0].splitlines()
    return [(float(first), float(second)) for first, second in map(str.split, lines)]


def seconds(text: str) -> list[float]:
    """Lines of one number."""
    return list(map(float, text.split()))
