"""Large known_hosts, a revocation list and a silent resolver: the loop goes on turning, for all other tunnels."""

import asyncio
import itertools
import os
import selectors
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from openclaw_tunnel.host.loop.watch import LongTurn, LoopWatch
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.hostkeys import knownhosts
from openclaw_tunnel.ssh.link import SshLink
from openclaw_tunnel.ssh.lookup import Address, look_up
from support.servers import Sshd
from support.sshtargets import make_spec

LINES = 50_000
TUNNELS = 50


def key_lines() -> Iterator[str]:
    """Different ED25519 keys, as far as known_hosts looks at them."""
    for number in itertools.count():
        yield knownhosts.key_line(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + number.to_bytes(32, "big"))


def hashed() -> Iterator[str]:
    for number in itertools.count():
        yield knownhosts.hash_name(f"host{number}.example", number.to_bytes(20, "big"))


def plain() -> Iterator[str]:
    for number in itertools.count():
        yield f"host{number}.example,10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def patterns() -> Iterator[str]:
    for number in itertools.count():
        yield f"*?*?*?.zone{number}.example,!*.old.zone{number}.example"


@pytest.fixture(scope="module")
def server() -> Iterator[Sshd]:
    with Sshd() as running:
        yield running


@pytest.fixture(scope="module")
def configs(server: Sshd, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """An ssh_config for each kind of lines; the server's own is the last one of its file."""
    folder = tmp_path_factory.mktemp("large")
    text = server.ssh_config().read_text()
    (folder / "revoked").write_text("".join(f"{line}\n" for line in itertools.islice(key_lines(), LINES)))
    configs = []
    for kind in (hashed, plain, patterns):
        lines = (f"{hosts} {key}\n" for hosts, key in zip(kind(), itertools.islice(key_lines(), LINES), strict=False))
        known = folder / kind.__name__
        known.write_text("".join(lines) + f"{server.host_key_line()}\n")
        config = folder / f"{kind.__name__}.conf"
        config.write_text(
            f"RevokedHostKeys {folder}/revoked\n" + text.replace(str(server.folder / "known_hosts"), str(known))
        )
        configs.append(config)
    return configs


async def connect(config: Path) -> SshLink:
    return await SshConnector(make_spec(ssh_config=str(config)), env={"PATH": os.environ["PATH"]}).connect()


@asynccontextmanager
async def silent_resolver() -> AsyncIterator[None]:
    """So many tunnels wait for the address of one host, and as many others for one of their own each."""
    end = threading.Event()

    def silent(*question: object) -> list[Address]:
        end.wait(60)
        return []

    async with asyncio.TaskGroup() as group:
        for number in range(TUNNELS):
            for host in ("gw.example", f"gw{number}.example"):
                group.create_task(look_up(host, 22, ask=silent, again=0.05))
        try:
            yield
        finally:
            end.set()


def test_no_turn_of_the_loop_takes_more_than_its_budget(server: Sshd, configs: list[Path]) -> None:
    long: list[LongTurn] = []

    async def others(first: SshLink) -> None:
        async with silent_resolver():
            for config in configs:
                links = await asyncio.gather(*(connect(config) for _ in range(3)))
                await first.ping(timeout=10)
                for link in links:
                    await link.close()

    selector = selectors.DefaultSelector()
    watch = LoopWatch(selector, long.append)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        first = runner.run(connect(server.ssh_config()))  # what is imported only now is not counted
        with watch:
            runner.run(others(first))
        runner.run(first.close())
    assert [str(turn) for turn in long] == []
