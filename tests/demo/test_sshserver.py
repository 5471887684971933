"""The demo's SSH server lets one key in, leads to one address, and can have an outage."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import asyncssh
import pytest

from openclaw_tunnel.demo.gateway import StandIn
from openclaw_tunnel.demo.sshserver import USER, DemoServer


async def connect(server: DemoServer, **changes: object) -> asyncssh.SSHClientConnection:
    """Log in with the server's own key, or otherwise."""
    options: dict[str, object] = {
        "username": USER,
        "client_keys": [asyncssh.import_private_key(server.client_key)],
        "known_hosts": asyncssh.import_known_hosts(server.known_hosts_line),
        "agent_path": None,
        "config": None,
    }
    return await asyncssh.connect("127.0.0.1", server.port, **{**options, **changes})


def run(scenario: Callable[[StandIn, DemoServer], Awaitable[None]]) -> None:
    """Run a scenario with a gateway and the server in front of it."""

    async def play() -> None:
        async with StandIn("Hello") as gateway, DemoServer(("127.0.0.1", gateway.port)) as server:
            await asyncio.wait_for(scenario(gateway, server), 20)

    asyncio.run(play())


def test_it_leads_to_the_gateway() -> None:
    async def scenario(gateway: StandIn, server: DemoServer) -> None:
        async with await connect(server) as link:
            reader, writer = await link.open_connection("127.0.0.1", gateway.port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")

    run(scenario)


def test_it_leads_nowhere_else() -> None:
    async def scenario(gateway: StandIn, server: DemoServer) -> None:
        async with await connect(server) as link:
            for host, port in (("127.0.0.1", server.port), ("localhost", gateway.port)):
                with pytest.raises(asyncssh.ChannelOpenError) as refused:
                    await link.open_connection(host, port)
                assert refused.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED

    run(scenario)


def test_it_runs_no_commands_and_forwards_no_ports_back() -> None:
    async def scenario(gateway: StandIn, server: DemoServer) -> None:
        async with await connect(server) as link:
            with pytest.raises(asyncssh.ChannelOpenError):
                await link.run("true")
            with pytest.raises(asyncssh.ChannelListenError):
                await link.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 1)
            with pytest.raises(asyncssh.ChannelOpenError):
                await link.open_unix_connection("/run/x.sock")

    run(scenario)


@pytest.mark.parametrize("changes", [{"username": "root"}, {"client_keys": "another"}, {"client_keys": None}])
def test_nobody_else_is_let_in(changes: dict[str, object]) -> None:
    async def scenario(gateway: StandIn, server: DemoServer) -> None:
        other = [asyncssh.generate_private_key("ssh-ed25519")]
        with pytest.raises(asyncssh.PermissionDenied):
            await connect(server, **{k: other if v == "another" else v for k, v in changes.items()})

    run(scenario)


def test_an_outage_cuts_and_refuses_and_ends_on_the_same_port() -> None:
    async def scenario(gateway: StandIn, server: DemoServer) -> None:
        port = server.port
        link = await connect(server)
        await server.fail()
        await link.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await connect(server)
        await server.fail()  # twice is as good as once
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        await server.begin()
        assert server.port == port
        async with await connect(server):
            pass

    run(scenario)
