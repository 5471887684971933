"""ssh/heard.py: what a server or a ProxyCommand says arrives, and a person who is asked for something gets the time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Asks, DialFailed, nobody_asked
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.deadline import Patience
from openclaw_tunnel.ssh.dial import DialOptions
from openclaw_tunnel.ssh.enroll.authorized import Answer
from openclaw_tunnel.ssh.enroll.bootstrap import log_in
from openclaw_tunnel.ssh.enroll.installkey import prove_key
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey
from openclaw_tunnel.ssh.hostkeys.trust import look_at
from openclaw_tunnel.ssh.trace import trace
from support.aio import async_test, settle
from support.sshserver import SshTestServer
from support.sshtargets import Resolver, make_connector, make_spec, make_target, target_for

ENV = {"PATH": "/usr/bin:/bin"}
SHORT = Policy(connect_timeout=0.5)
LONG = Patience(person=20.0, notice=0.1)
LOG_IN = "Open the following URL to log in: https://login.example/abc123"
TAILSCALE = (
    "# Tailscale SSH requires an additional check.\n# To authenticate, visit: https://login.tailscale.com/a/abc\n"
)
VISIT = "To authenticate, visit: https://login.tailscale.com/a/abc"


async def failure_of(connector: SshConnector, asks: Asks = nobody_asked) -> Failure:
    with pytest.raises(DialFailed) as caught:
        await connector.connect(asks=asks)
    return caught.value.failure


def new_key(folder: Path) -> tuple[asyncssh.SSHKey, str]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = folder / "id"
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    return key, str(path)


def asking_proxy(folder: Path, server: SshTestServer) -> str:
    """A ProxyCommand that wants a person to log in, waits for the file ``done``, and connects."""
    script = folder / "proxy"
    script.write_text(f"""#!/bin/sh
echo start >> {folder}/starts
printf 'Open the following URL to log in:\\nhttps://login.' >&2
printf 'example/abc123\\n' >&2
until [ -e {folder}/done ]; do sleep 0.02; done
exec socat - TCP:127.0.0.1:{server.port}
""")
    script.chmod(0o755)
    return str(script)


@async_test
async def test_a_proxy_command_that_wants_a_login_gets_the_time_for_it(tmp_path: Path) -> None:
    """And the URL is shown for as long."""
    key, path = new_key(tmp_path)
    asked: list[str] = []
    async with SshTestServer([key]) as server:
        proxy = asking_proxy(tmp_path, server)
        target = target_for(server, tmp_path, identity_files=(path,), proxy_command=proxy)
        connector = make_connector(target, env=ENV, policy=SHORT, patience=LONG)
        async with asyncio.TaskGroup() as group:
            dial = group.create_task(connector.connect(asks=asked.append))
            await settle(lambda: asked)
            loop = asyncio.get_running_loop()
            loop.call_later(2 * SHORT.connect_timeout, (tmp_path / "done").touch)
        await dial.result().close()
    assert asked[-2:] == [LOG_IN, ""]
    assert (tmp_path / "starts").read_text() == "start\n"


@async_test
async def test_nobody_logs_in_for_the_proxy_command(tmp_path: Path) -> None:
    async with SshTestServer() as server:
        target = target_for(server, tmp_path, proxy_command=asking_proxy(tmp_path, server))
        patience = Patience(person=0.5)
        failure = await failure_of(make_connector(target, env=ENV, policy=SHORT, patience=patience))
    assert failure.code is Code.NOT_CONFIRMED
    assert failure.message == f"ProxyCommand for 127.0.0.1:{server.port} waited in vain for a person: {LOG_IN}"
    assert failure.said == "Open the following URL to log in:\nhttps://login.example/abc123"
    assert failure.hint.startswith("try again when you can answer: ")


@async_test
async def test_a_proxy_command_that_asks_for_a_login_and_ends() -> None:
    """Each further dial would open another window of the browser."""
    command = "sh -c 'echo Please visit https://login.example/abc123 to log in >&2; exit 1'"
    failure = await failure_of(make_connector(make_target(proxy_command=command), env=ENV))
    assert failure.code is Code.NOT_CONFIRMED
    assert failure.said == "Please visit https://login.example/abc123 to log in"


@async_test
async def test_a_login_that_fails_after_the_proxy_command_has_what_it_wants(tmp_path: Path) -> None:
    (tmp_path / "done").touch()
    async with SshTestServer() as server:
        target = target_for(server, tmp_path, proxy_command=asking_proxy(tmp_path, server))
        failure = await failure_of(make_connector(target, env=ENV))
    assert failure.code is Code.AUTH_DENIED
    assert "https://login.example/abc123" in failure.said


@async_test
async def test_all_lines_of_a_proxy_command_are_kept() -> None:
    command = r"sh -c 'printf \"Loading\n\n\033[31merror\033[0m: no route\nexit status 4\n\" >&2; exit 1'"
    failure = await failure_of(make_connector(make_target(proxy_command=command.replace('\\"', '"')), env=ENV))
    assert failure.code is Code.PROXY
    assert failure.message == "ProxyCommand did not get through to 127.0.0.1:22: exit status 4"
    assert failure.said == "Loading\nerror: no route\nexit status 4"


@async_test
async def test_a_proxy_command_that_answers_itself() -> None:
    command = "printf 'HTTP/1.1 403 Forbidden\\r\\n\\r\\n'"
    failure = await failure_of(make_connector(make_target(proxy_command=command), env=ENV))
    assert failure.code is Code.PROXY
    assert failure.message == "ProxyCommand did not get through to 127.0.0.1:22: HTTP/1.1 403 Forbidden"


@async_test
async def test_a_server_that_wants_a_login_in_the_browser(tmp_path: Path) -> None:
    """Tailscale's check mode: a banner, and the login goes on once somebody has been there."""
    key, path = new_key(tmp_path)
    asked: list[str] = []
    async with SshTestServer([key]) as server:
        server.banner, server.hold_login = TAILSCALE, asyncio.Event()
        target = target_for(server, tmp_path, identity_files=(path,))
        connector = make_connector(target, policy=SHORT, patience=LONG)
        async with asyncio.TaskGroup() as group:
            dial = group.create_task(connector.connect(asks=asked.append))
            await settle(lambda: asked)
            loop = asyncio.get_running_loop()
            loop.call_later(2 * SHORT.connect_timeout, server.hold_login.set)
        await dial.result().close()
    assert asked == [VISIT, ""]


@async_test
async def test_nobody_goes_to_the_url_of_the_banner(tmp_path: Path) -> None:
    async with SshTestServer() as server:
        server.banner, server.hold_login = TAILSCALE, asyncio.Event()
        target = target_for(server, tmp_path)
        connector = make_connector(target, policy=SHORT, patience=Patience(person=0.5, notice=0.1))
        failure = await failure_of(connector)
        assert failure.code is Code.NOT_CONFIRMED
        assert failure.message == f"127.0.0.1:{server.port} waited in vain for a person: {VISIT}"
        assert failure.said == TAILSCALE.strip()
        # The server gives up first.
        asyncio.get_running_loop().call_later(5 * LONG.notice, server.hold_login.set)
        failure = await failure_of(make_connector(target, policy=SHORT, patience=LONG))
        assert failure.code is Code.NOT_CONFIRMED


@pytest.mark.parametrize("banner", [TAILSCALE, "Authorized use only.\n\x1b[31mBe\u202e good\n"])
@async_test
async def test_a_banner_before_a_refusal(tmp_path: Path, banner: str) -> None:
    """A server that refuses at once has waited for nobody, whatever it shows."""
    async with SshTestServer() as server:
        server.banner = banner
        failure = await failure_of(make_connector(target_for(server, tmp_path)))
    assert failure.code is Code.AUTH_DENIED
    assert failure.said.splitlines()[0] == banner.splitlines()[0]
    assert all(line.isprintable() for line in failure.said.splitlines())


@async_test
async def test_the_words_of_a_disconnect(tmp_path: Path) -> None:
    key, path = new_key(tmp_path)
    words = "Account locked until Monday, call the help desk"
    async with SshTestServer([key]) as server:
        server.farewell = words
        target = target_for(server, tmp_path, identity_files=(path,))
        failure = await failure_of(make_connector(target))
        assert failure.message == f"127.0.0.1:{server.port} ended the connection: {words}"
        assert failure.said == words
        assert failure.hint.startswith("an SSH server answers there, and its log says why it hangs up")
        server.farewell = ""
        link = await make_connector(target).connect()
        for connection in server.connections:
            connection.disconnect(asyncssh.DISC_SERVICE_NOT_AVAILABLE, "going down\nfor maintenance")
        lost = await link.wait_lost()
        await link.close()
    assert (lost.code, lost.said) == (Code.LOST, "going down\nfor maintenance")


@asynccontextmanager
async def saying(words: bytes, *, hold: bool = False) -> AsyncIterator[int]:
    """A server that says something in two pieces, and hangs up."""
    stays = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        half = len(words) // 2
        writer.write(words[:half])
        await writer.drain()
        await reader.readline()  # the client's version
        writer.write(words[half:])
        if hold:
            await stays.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        stays.set()


LIMITS = "that server limits connections and wants to be left alone for a while: the tunnel waits longer each time"
OWN = "an SSH server answers there, and its log says why it hangs up"
USUAL = "what answers there is no SSH server, or hangs up at once: check host and port; try: ssh -v gw"


@pytest.mark.parametrize(
    ("words", "shown", "hint"),
    [
        (b"Exceeded MaxStartups\r\n", ": Exceeded MaxStartups", LIMITS),
        (b"Not allowed at this time\r\n", ": Not allowed at this time", LIMITS),
        (b"Too many connections from your address\n", ": Too many connections from your address", LIMITS),
        (b"Maintenance until 10:00", ": Maintenance until 10:00", USUAL),
        (
            b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n",
            ": HTTP/1.1 400 Bad Request / Server: nginx",
            "a web serv",
        ),
        (b"Welcome\r\nSSH-2.0-OpenSSH_9.2p1\r\n", "", OWN),
        (b"", "", USUAL),
        (bytes(range(128, 256)) * 3, "", USUAL),
    ],
)
@async_test
async def test_words_instead_of_a_version(words: bytes, shown: str, hint: str) -> None:
    async with saying(words) as port:
        failure = await failure_of(make_connector(make_target(port=port)))
    assert failure.code is Code.NOT_SSH
    assert failure.message == f"127.0.0.1:{port} hung up before the login was done{shown}"
    assert failure.hint.startswith(hint)
    first = words.partition(b"\n")[0].strip().decode("ascii", "ignore")
    assert failure.said.splitlines()[:1] == ([first] if first else [])


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_before_the_login_stop_a_tunnel(data: bytes) -> None:
    """Whatever a network on the way makes of the first packets."""

    async def dial(words: bytes) -> Failure:
        async with saying(words) as port:
            return await failure_of(make_connector(make_target(port=port)))

    for words in (data, b"SSH-2.0-x\r\n" + data):
        assert not asyncio.run(dial(words)).permanent


@async_test
async def test_a_server_that_speaks_only_ssh_1() -> None:
    async with saying(b"SSH-1.5-Cisco-1.25\n") as port:
        failure = await failure_of(make_connector(make_target(port=port)))
    assert failure.message == f"127.0.0.1:{port} speaks a version of SSH that is not supported: SSH-1.5-Cisco-1.25"
    assert failure.hint.startswith("SSH 1 has been unsafe for decades")


@async_test
async def test_another_service_that_waits_to_be_spoken_to() -> None:
    async with saying(b"220 ftp.example ProFTPD\r\n", hold=True) as port:
        failure = await failure_of(make_connector(make_target(port=port), policy=SHORT))
    assert failure.code is Code.TIMEOUT
    assert "it says '220 ftp.example ProFTPD'. Is that the right port?" in failure.hint
    assert failure.said == "220 ftp.example ProFTPD"


@async_test
async def test_words_before_a_version_do_no_harm(tmp_path: Path) -> None:
    """A legal notice, as some servers have."""
    key, path = new_key(tmp_path)
    async with SshTestServer([key]) as server:
        target: Any = target_for(
            server,
            tmp_path,
            identity_files=(path,),
            proxy_command=f"sh -c 'echo Authorized use only; exec socat - TCP:127.0.0.1:{server.port}'",
        )
        link = await make_connector(target, env=ENV).connect()
        await link.ping(timeout=5)
        await link.close()


@async_test
async def test_who_only_wants_the_host_key_hears_the_same() -> None:
    async with saying(b"Exceeded MaxStartups\r\n") as port:
        with pytest.raises(TunnelError) as caught:
            await look_at(DialOptions("gw", {}, resolve=Resolver(gw=make_target(port=port))))
    assert caught.value.message.endswith("hung up before the login was done: Exceeded MaxStartups")


@async_test
async def test_the_host_key_behind_a_proxy_command_that_wants_a_login(tmp_path: Path) -> None:
    async with SshTestServer() as server:
        target = target_for(server, tmp_path, proxy_command=asking_proxy(tmp_path, server))
        loop = asyncio.get_running_loop()
        loop.call_later(2 * SHORT.connect_timeout, (tmp_path / "done").touch)
        asked: list[str] = []
        gw = Resolver(gw=target)
        found = await look_at(DialOptions("gw", ENV, resolve=gw, policy=SHORT, asks=asked.append))
    assert found.failure is None
    assert asked[-2:] == [LOG_IN, ""]


@async_test
async def test_what_to_call_when_nobody_did_it(tmp_path: Path) -> None:
    """There may be no tunnel yet that could be restarted."""
    command = "sh -c 'echo Please visit https://login.example/abc123 to log in >&2; exit 1'"
    gw = Resolver(gw=make_target(proxy_command=command))
    with pytest.raises(TunnelError) as caught:
        await look_at(DialOptions("gw", ENV, resolve=gw))
    assert caught.value.hint == "call the same command again when you can answer"
    traced = await trace(make_spec(), env=ENV, resolve=gw)
    assert traced.failure
    assert traced.failure.hint == "try again when you can answer: openclaw-tunnel restart t"


@async_test
async def test_doctor_and_setup_show_it_too(tmp_path: Path) -> None:
    """Each on the way that a tunnel takes."""
    key, path = new_key(tmp_path)
    asked: list[str] = []
    async with SshTestServer([key]) as server:
        server.banner = TAILSCALE
        gw = Resolver(gw=target_for(server, tmp_path, identity_files=(path,)))
        traced = await trace(make_spec(), env=ENV, resolve=gw, asks=asked.append)
        assert traced.link
        await traced.link.close()
        async with await log_in(DialOptions("gw", ENV, resolve=gw, asks=asked.append)):
            assert asked == [VISIT, ""] * 2
        chosen = ChosenKey(path, key.public_data, "a comment", in_file=True)
        installed = Answer(added=True, file="~/.ssh/authorized_keys")
        await prove_key(DialOptions("gw", ENV, resolve=gw, asks=asked.append), chosen, installed)
    assert asked == [VISIT, ""] * 3
