"""``demo``: the real daemon and a real tunnel between an SSH server and a small gateway of our own, and an outage."""

import asyncio
import contextlib
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from openclaw_tunnel.core.spec import Endpoint, Forward, TunnelSpec
from openclaw_tunnel.core.states import LINK_STATES, State
from openclaw_tunnel.core.status import Snapshot
from openclaw_tunnel.daemon.process import open_daemon
from openclaw_tunnel.daemon.tunnels import Daemon
from openclaw_tunnel.demo.gateway import StandIn
from openclaw_tunnel.demo.sshserver import USER, DemoServer
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.host.logs import close_logging, setup_logging
from openclaw_tunnel.host.loop.tasks import Tasks
from openclaw_tunnel.host.paths import HOME_VARIABLE, Paths, ensure_private_dir
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.dial import Resolve
from openclaw_tunnel.ssh_config.target import SshTarget
from openclaw_tunnel.ui import output, tunnelrows

NAME = "demo"
OUTAGE = 1.5
"""Seconds for which the SSH server is away: long enough to be seen, short enough to be watched."""

DEADLINE = 14.0


class DemoFailed(TunnelError):
    """Something that the demo is there to show did not happen."""


def run(keep: bool) -> int:
    """Show everything; the exit code. ``keep``: go on afterwards, until Ctrl-C."""
    try:
        return asyncio.run(show(keep))
    except asyncio.CancelledError:  # SIGTERM, or the terminal was closed
        return ExitCode.INTERRUPTED
    finally:
        close_logging()


async def show(
    keep: bool = False, *, make_server: Callable[[tuple[str, int]], DemoServer] = DemoServer, deadline: float = DEADLINE
) -> ExitCode:
    """Tell the whole story on stdout; OK if all of it has happened.

    Args:
        keep: go on afterwards, until cancelled or until the tunnel is closed.
        make_server: makes the SSH server that leads to an address.
        deadline: seconds for everything but ``keep``.

    Raises:
        DemoFailed: something did not happen, or not in time.
    """
    _end_in_order_on((signal.SIGTERM, signal.SIGHUP))
    story = _Story()
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(deadline):
                stage = await stack.enter_async_context(_set_the_stage(story, make_server))
                await _first_request(stage)
                await _outage(stage)
        except TimeoutError:
            text = f"the demo was not through after {deadline:g} s; the last that happened: {story.last}"
            raise DemoFailed(text, hint=_REPORT) from None
        if keep:
            await _keep(stage)
    await _check_that_nothing_is_left(stage)
    if not keep:
        output.say("\nIt works, and nothing of it is left. Your own: openclaw-tunnel setup me@gateway-host")
    return ExitCode.OK


_REPORT = "please report this with what is printed above; openclaw-tunnel --version says which version it is"


class _Story:
    """Tells what happens, with the seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.last = "it never began"

    def tell(self, text: str) -> None:
        """One line."""
        self.last = text
        output.say(f"{time.monotonic() - self._began:5.1f} s  {text}")


@dataclass(slots=True)
class _Stage:
    """Everything that takes part."""

    story: _Story
    home: Path
    port: int
    gateway: StandIn
    server: DemoServer
    daemon: Daemon
    changed: asyncio.Event

    @property
    def tunnel(self) -> Snapshot:
        """The tunnel at this moment."""
        supervisor = self.daemon.supervisor(NAME)
        if supervisor is None:
            raise DemoFailed("the demo's tunnel was closed by somebody else")
        return supervisor.snapshot()

    async def until(self, happened: Callable[[Snapshot], bool]) -> Snapshot:
        """Wait for something to be true of the tunnel."""
        while not happened(tunnel := self.tunnel):
            if tunnel.state is State.FAILED:
                raise DemoFailed(tunnelrows.change(tunnel), hint=_REPORT)
            self.changed.clear()
            await self.changed.wait()
        return tunnel

    def show_status(self) -> None:
        """What ``status`` shows."""
        output.say("")
        output.print_rows([output.rows_of(self.tunnel)])
        output.say("")


@contextlib.asynccontextmanager
async def _set_the_stage(story: _Story, make_server: Callable[[tuple[str, int]], DemoServer]) -> AsyncIterator[_Stage]:
    greeting = f"Hello from the gateway, your number is {secrets.randbelow(10**6):06}."
    changed = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="octunnel-demo-") as folder:
        env = {HOME_VARIABLE: folder}
        paths = Paths.from_env(env)
        ensure_private_dir(paths.log_dir)
        setup_logging(paths.log_file)
        async with StandIn(greeting) as gateway, make_server(("127.0.0.1", gateway.port)) as server:
            story.tell(f"a small gateway listens on 127.0.0.1:{gateway.port}")
            story.tell(f"an SSH server that leads there, and nowhere else, listens on 127.0.0.1:{server.port}")
            resolve = _resolver(server, Path(folder))
            async with open_daemon(
                paths,
                env,
                make_connector=lambda spec: SshConnector(spec, env=env, resolve=resolve),
                on_change=lambda _: changed.set(),
            ) as daemon:
                spec = _spec(server, gateway)
                await daemon.up(spec)
                yield _Stage(story, Path(folder), spec.main.listen.port, gateway, server, daemon, changed)


def _spec(server: DemoServer, gateway: StandIn) -> TunnelSpec:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local = probe.getsockname()[1]
    forward = Forward(Endpoint("127.0.0.1", local), Endpoint("127.0.0.1", gateway.port))
    target = f"{USER}@127.0.0.1:{server.port}"
    return TunnelSpec(NAME, target, (forward,), address=target)


def _resolver(server: DemoServer, folder: Path) -> Resolve:
    """What ``ssh -G`` would say of the demo's server, said without ssh and without the user's settings."""
    key, known_hosts = folder / "id_ed25519", folder / "known_hosts"
    key.touch(mode=0o600)
    key.write_bytes(server.client_key)
    known_hosts.write_text(server.known_hosts_line)
    target = SshTarget(
        original=f"{USER}@127.0.0.1:{server.port}",
        hostname="127.0.0.1",
        user=USER,
        port=server.port,
        alias="127.0.0.1",
        identity_files=(str(key),),
        identities_only=True,
        identity_agent="",
        user_known_hosts_files=(str(known_hosts),),
        host_key_algorithms=("ssh-ed25519",),
    )

    async def resolve(*_: object, **__: object) -> SshTarget:
        return target

    return resolve


async def _first_request(stage: _Stage) -> None:
    stage.story.tell(tunnelrows.change(await stage.until(lambda tunnel: tunnel.state is State.UP)))
    stage.show_status()
    stage.story.tell(f"GET http://127.0.0.1:{stage.port}/ is answered: {await _ask(stage)}")


async def _outage(stage: _Stage) -> None:
    """Cut the link while a client comes, and see that the client is served."""
    story, before = stage.story, stage.tunnel.counters
    await stage.server.fail()
    story.tell("the SSH server drops the connection and refuses new ones")
    story.tell(tunnelrows.change(await stage.until(lambda tunnel: tunnel.state is State.BACKOFF)))
    began = time.monotonic()
    tasks = Tasks()
    try:
        client = tasks.start(_ask(stage), name="a client of the demo")
        held = await stage.until(lambda tunnel: tunnel.forwards[0].clients.waiting == 1 or client.done())
        if held.state in LINK_STATES or client.done():
            raise DemoFailed("the client did not have to wait", hint=_REPORT)
        story.tell(f"a client connects to 127.0.0.1:{stage.port} all the same: it is accepted, and waits")
        await asyncio.sleep(OUTAGE - (time.monotonic() - began))
        await stage.server.begin()
        story.tell("the SSH server is back")
        answer = await client
    finally:
        await tasks.cancel_all()
    story.tell(f"the client is answered after {time.monotonic() - began:.1f} s: {answer}")
    tunnel = await stage.until(lambda tunnel: tunnel.state is State.UP)
    story.tell(tunnelrows.change(tunnel))
    after = tunnel.counters
    if (after.losses, after.held_clients) == (before.losses, before.held_clients) or after.connects <= before.connects:
        raise DemoFailed("the tunnel does not know of an outage", hint=_REPORT)
    stage.show_status()
    times = f"{after.losses} connection lost, {after.connects} made, {after.held_clients} client held, none refused"
    story.tell(times)


async def _ask(stage: _Stage) -> str:
    """Be a client of the tunnel; the words on the page.

    Raises:
        DemoFailed: it was refused or cut off, or what came is not the gateway's page.
    """
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            answer = (await reader.read()).decode(errors="replace")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()  # else the loop may end before the socket is closed
    except OSError as error:
        raise DemoFailed(f"a client was not served: {error}", hint=_REPORT) from error
    if not answer.startswith("HTTP/1.1 200 OK\r\n") or stage.gateway.greeting not in answer:
        raise DemoFailed("what came back through the tunnel is not the gateway's page", hint=_REPORT)
    return stage.gateway.greeting


async def _keep(stage: _Stage) -> None:
    """Go on until Ctrl-C, or until ``down`` closes the tunnel."""
    output.say(f"\nIt goes on until Ctrl-C: http://127.0.0.1:{stage.port}/")
    output.say(f"From another terminal: {HOME_VARIABLE}={stage.home} openclaw-tunnel status")
    with contextlib.suppress(asyncio.CancelledError):
        await stage.daemon.ending


async def _check_that_nothing_is_left(stage: _Stage) -> None:
    if stage.home.exists():
        raise DemoFailed(f"the demo's folder is still there: {stage.home}", hint="remove it")
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.close()
        await writer.wait_closed()
        raise DemoFailed(f"something still listens on 127.0.0.1:{stage.port}", hint=_REPORT)


def _end_in_order_on(numbers: tuple[signal.Signals, ...]) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  called from one
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
