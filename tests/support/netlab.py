"""Two computers and a network between them that can be broken in every way, each a network namespace.

The client's side is where tunnels and their clients run, the server's has a real sshd and, on its loopback, the service
behind the tunnels. Several labs run at once: the addresses exist in their namespaces only.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from support.cli import Cli
from support.clockshim import SleepyClocks
from support.droppers import Dropper, LoginDropper
from support.farserver import FarServer
from support.netns import Namespace
from support.process import make, program
from support.servers import Sshd
from support.threaded import in_thread
from support.waiting import free_port, wait_until

SERVER = "10.99.0.2"
_CLIENT = "10.99.0.1"
_MOVED = "10.99.0.11"
_LINK = "link0"
_FIRST_PORT = 2201

# Drops belong on the receiving side of both: one in the sender's output hook is a local error, after which TCP sends
# again every half second without its usual patience.
_TABLE = "table inet %s { chain drops { type filter hook prerouting priority -300; %s }; }"


class LabSshd(Sshd):
    """An sshd in a namespace, on several ports.

    Args:
        ports: all of them; the first is ``port``.
    """

    def __init__(self, place: Namespace, ports: Sequence[int]) -> None:
        # The loopback stays in as well: the base class looks there whether it accepts.
        super().__init__([f"ListenAddress {SERVER}", *(f"Port {port}" for port in ports[1:])])
        self._place = place
        self.ports = tuple(ports)
        self.port = ports[0]

    def start(self) -> None:
        """As ``Sshd``, in the namespace."""
        with self._place.inside():
            super().start()

    def host_key_line(self) -> str:
        """The line of known_hosts for all ports."""
        names = ",".join(f"[{SERVER}]:{port}" for port in self.ports)
        return f"{names} {' '.join(self.host_key_pub.split()[:2])}"

    def ssh_config_for(self, number: int) -> Path:
        """An ssh_config with the alias ``gw``NUMBER for the port of that number, counted from 0."""
        return self.ssh_config(f"gw{number}", extra=[f"HostName {SERVER}", f"Port {self.ports[number]}"])


class Lab:
    """Two namespaces, joined; a context manager.

    Args:
        ports: how many ports sshd listens on: one for each tunnel that is to be told from the others.

    Attributes:
        client, server: the two sides.
        sshd: in the server's side.
        far: the service on the loopback of the server's side.
        folder: for files of the test, removed at the end.
    """

    def __init__(self, ports: int = 1) -> None:
        self.client = Namespace("c")
        self.server = Namespace("s")
        self._ports = [_FIRST_PORT + n for n in range(ports)]
        self._stack = ExitStack()

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
        for side in (self.client, self.server):
            self._stack.enter_context(side)
        self.client.ip("link", "add", _LINK, "type", "veth", "peer", "name", _LINK, "netns", self.server.name)
        for side, address in ((self.client, _CLIENT), (self.server, SERVER)):
            side.ip("addr", "add", f"{address}/24", "dev", _LINK)
            side.ip("link", "set", _LINK, "up")
        with self.server.inside():
            self.far = FarServer()
        self._stack.callback(self.far.close)
        self.sshd = self._stack.enter_context(LabSshd(self.server, self._ports))

    @cached_property
    def clocks(self) -> SleepyClocks:
        """Those of the client's computer, for :meth:`wake`."""
        return SleepyClocks(self.folder)

    def up(self, cli: Cli, *options: str) -> int:
        """Bring our tunnel ``default`` up in the client's side, in the background; its port there.

        It leads through sshd's first port to ``far``.
        """
        cli.use_ssh_config(self.sshd.ssh_config_for(0))
        with self.client.inside():
            port = free_port()
            answer = cli("up", "-d", "gw0", "-p", str(port), "-r", str(self.far.port), *options)
        assert answer.exit_code == 0, answer.stderr
        return port

    # Faults

    def blackhole(self, on: bool) -> None:
        """Let every packet vanish, both ways, without a word; or end that."""
        for side in (self.client, self.server):
            side.nft(_TABLE % ("blackhole", f"iifname {_LINK} drop;") if on else "delete table inet blackhole")

    def forget_flows(self, port: int | None = None) -> list[int]:
        """Drop the connections there are for ever, as a NAT that forgot them; new ones are fine.

        Args:
            port: of sshd's; None: all.

        Returns:
            The client's ports of what was dropped.
        """
        flows = self.client.flows_to(self._ports if port is None else [port])
        for flow in flows:
            self.server.nft(_TABLE % (f"nat{flow}", f"iifname {_LINK} tcp sport {flow} drop;"))
            self.client.nft(_TABLE % (f"nat{flow}", f"iifname {_LINK} tcp dport {flow} drop;"))
        return flows

    def change_address(self) -> None:
        """Take the client's address away and give it another one, as another Wi-Fi does."""
        # in this order: when a first address goes, those of the same network go as well
        self.client.ip("addr", "del", f"{_CLIENT}/24", "dev", _LINK)
        self.client.ip("addr", "add", f"{_MOVED}/24", "dev", _LINK)

    def slow_down(self, kbit: int) -> None:
        """Let the client send no more than so many kilobit a second, with a queue of 0.4 s."""
        shape = ["tbf", "rate", f"{kbit}kbit", "burst", "4kb", "latency", "400ms"]
        make([program("tc"), "-n", self.client.name, "qdisc", "add", "dev", _LINK, "root", *shape])

    def link(self, up: bool) -> None:
        """Switch the client's network card off, or on."""
        self.client.ip("link", "set", _LINK, "up" if up else "down")

    def kill_connections(self) -> None:
        """Kill the processes of sshd that serve connections; returns when they are gone, and sshd goes on."""
        victims = self.sshd.connections()
        self.sshd.cut()
        wait_until(lambda: not set(victims) & set(self.sshd.connections()), 5, "the end of sshd's children")

    def wake(self, seconds: int = 3600) -> None:
        """Let the client wake from a sleep in which the NAT forgot its connections; for what has ``clocks``."""
        self.forget_flows()
        self.clocks.sleep(seconds)

    @contextmanager
    def dropping(self, *, after_login: bool) -> Iterator[Mapping[int, Sequence[float]]]:
        """Let a server take sshd's place that drops everyone: as soon as they connect, or after their login.

        Yields:
            When (``time.monotonic()``) each port was connected to; it grows.
        """
        self.sshd.kill()
        with ExitStack() as stack:
            with self.server.inside():
                dropper = stack.enter_context(in_thread(lambda: self._dropper(after_login)))
            yield dropper.dials
        self.sshd.start()

    def _dropper(self, after_login: bool) -> Dropper:
        if not after_login:
            return Dropper(SERVER, self._ports)
        return LoginDropper(SERVER, self._ports, self.sshd.folder / "host_ed25519", self.sshd.authorized_keys)
