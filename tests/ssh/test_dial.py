"""ssh/dial.py and ssh/auth/client.py: one deadline for everything, and a reason for every failure."""

import asyncio
import contextlib
import os
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.errors import ConfigError, HelperError, NameNotFound, TunnelError
from openclaw_tunnel.ssh.connection import SshConnector
from openclaw_tunnel.ssh.dial import Dial, DialOptions
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.lookup import Address, look_up
from openclaw_tunnel.ssh.proxy import ProxyProcess
from openclaw_tunnel.ssh.tcp import Race, connect_any, interleaved
from support.aio import async_test, pass_time, settle
from support.sshserver import SshTestServer
from support.sshtargets import Resolver, make_connector, make_spec, make_target, target_for
from support.waiting import free_port


async def failure_of(connector: SshConnector) -> Failure:
    """What a dial fails with; that it leaves nothing behind, ``async_test`` sees to."""
    with pytest.raises(DialFailed) as caught:
        await connector.connect()
    return caught.value.failure


def new_key(folder: Path, name: str = "id") -> tuple[asyncssh.SSHKey, str]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = folder / name
    path.write_bytes(key.export_private_key())
    path.chmod(0o600)
    return key, str(path)


@async_test
async def test_nobody_listens() -> None:
    port = free_port()
    failure = await failure_of(make_connector(make_target(port=port)))
    assert (failure.code, failure.message) == (Code.REFUSED, f"127.0.0.1:{port} refused the connection")


@async_test
async def test_a_name_that_does_not_exist() -> None:
    failure = await failure_of(make_connector(make_target(hostname="nowhere.invalid")))
    assert failure.code is Code.DNS
    assert failure.message.startswith("cannot find the address of nowhere.invalid: ")
    failure = await failure_of(make_connector(make_target(hostname="x" * 70 + ".invalid")))
    assert failure.code is Code.DNS


@async_test
async def test_a_deadline_during_the_look_up_is_not_blamed_on_the_server() -> None:
    target = make_target(hostname="gw.invalid")
    dial = Dial(DialOptions("gw", {}, resolve=Resolver(gw=target)))
    dial.deadline.limit(10.0)
    async with dial.stack:
        hop = Hop("gw", "gw.invalid:22")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await dial.open_way(target, hop)
    failure = dial.out_of_time()
    assert failure.code is Code.DNS
    assert failure.message == "cannot find the address of gw.invalid: no answer within 10 s"


@async_test
async def test_files_that_do_not_come_are_not_blamed_on_the_server(tmp_path: Path) -> None:
    """A pipe that nobody writes into is as silent as a network that is away."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with SshTestServer() as server:
        rows = {
            "known_hosts": target_for(server, tmp_path, global_known_hosts_files=(str(pipe),)),
            "key files": target_for(server, tmp_path, identity_files=(str(pipe),)),
        }
        for thread, target in rows.items():
            async with asyncio.TaskGroup() as group:
                dial = group.create_task(failure_of(make_connector(target)))
                await pass_time(30, partial(named, thread), thread)
            failure = dial.result()
            assert failure.code is Code.HELPER
            assert failure.message.startswith("could not be read within 30 s: ")
            assert failure.message.endswith(str(pipe))
            assert failure.hint.endswith(str(pipe))
            pipe.write_bytes(b"")
            await settle(partial(gone, thread), thread)


def named(thread: str) -> list[threading.Thread]:
    return [running for running in threading.enumerate() if running.name == thread]


def gone(thread: str) -> bool:
    return not named(thread)


@async_test
async def test_a_server_that_never_speaks_is_given_up_in_time() -> None:
    came = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        came.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server, asyncio.TaskGroup() as group:
        port = server.sockets[0].getsockname()[1]
        group.create_task(pass_time(30, came.is_set))
        failure = await failure_of(make_connector(make_target(port=port), policy=Policy(connect_timeout=30)))
        assert failure.code is Code.TIMEOUT
        assert failure.message == f"127.0.0.1:{port} did not answer within 30 s (exchanging keys)"
        assert failure.hint.startswith(f"something accepts connections on 127.0.0.1:{port}, and then nothing follows")


@async_test
async def test_connect_timeout_of_ssh_config_wins(tmp_path: Path) -> None:
    async with SshTestServer() as server, asyncio.TaskGroup() as group:
        server.hold_login = asyncio.Event()
        target = target_for(server, tmp_path, connect_timeout=20)
        group.create_task(pass_time(20, lambda: server.logins))
        failure = await failure_of(make_connector(target))
        server.hold_login.set()
        assert failure.message == f"127.0.0.1:{server.port} did not answer within 20 s (logging in)"
        assert failure.hint.startswith("is the host switched on")


@async_test
async def test_something_else_than_ssh_answers() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(http, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        failure = await failure_of(make_connector(make_target(port=port)))
        assert failure.code is Code.NOT_SSH
        assert not failure.permanent


@async_test
async def test_the_wrong_key_and_no_key(tmp_path: Path) -> None:
    _, path = new_key(tmp_path)
    async with SshTestServer() as server:
        server.passwords = True
        failure = await failure_of(make_connector(target_for(server, tmp_path, identity_files=(path,))))
        assert failure.code is Code.AUTH_DENIED
        assert failure.message.startswith(
            f"127.0.0.1:{server.port} refused the login of me (offered: {path} (ED25519 SHA256:"
        )
        assert failure.message.endswith("; the server also takes: keyboard-interactive, password")
        failure = await failure_of(make_connector(target_for(server, tmp_path)))
        assert "no key was offered" in failure.message


@async_test
async def test_an_unknown_and_a_changed_host_key(tmp_path: Path) -> None:
    key, path = new_key(tmp_path)
    async with SshTestServer([key]) as server:
        for files in ((), ("/dev/null",), (str(tmp_path / "missing"),), (str(tmp_path),)):
            target = target_for(server, tmp_path, identity_files=(path,), user_known_hosts_files=files)
            failure = await failure_of(make_connector(target, ssh_config="/c"))
            assert failure.code is Code.HOST_KEY_UNKNOWN
            assert failure.hint.endswith("openclaw-tunnel trust -F /c gw")
        good = target_for(server, tmp_path, identity_files=(path,))
        await (await make_connector(good).connect()).close()
        old = server.host_keys[0]
        await server.stop()
        server.host_keys = [asyncssh.generate_private_key("ssh-ed25519")]
        await server.start()
        failure = await failure_of(make_connector(good))
        assert failure.code is Code.HOST_KEY_CHANGED
        for text in (old.get_fingerprint(), server.host_keys[0].get_fingerprint(), f"known_hosts.{server.port}:1"):
            assert text in failure.message
        assert failure.facts["trust"] == "openclaw-tunnel trust --replace gw"


@async_test
async def test_a_host_known_by_one_type_is_asked_for_that_type(tmp_path: Path) -> None:
    key, path = new_key(tmp_path)
    async with SshTestServer([key], kinds=("ecdsa-sha2-nistp256", "ssh-ed25519")) as server:
        target = target_for(server, tmp_path, identity_files=(path,))  # knows the first: ecdsa
        await (await make_connector(target).connect()).close()


@async_test
async def test_no_algorithm_in_common(tmp_path: Path) -> None:
    async with SshTestServer() as server:
        target = target_for(server, tmp_path, ciphers=("3des-cbc",))
        failure = await failure_of(make_connector(target))
        assert failure.code is Code.NEGOTIATION
        assert "share no encryption algorithm" in failure.message
        failure = await failure_of(make_connector(target_for(server, tmp_path, kex=("sntrup761x25519-sha512",))))
        assert failure.code is Code.NEGOTIATION
        assert "KexAlgorithms" in failure.message


@async_test
async def test_a_mistake_in_ssh_config() -> None:
    async def mistaken(target: str, **_: Any) -> Any:
        raise ConfigError("/c line 3: bad configuration option: prot", hint="mend line 3 of /c")

    failure = await failure_of(SshConnector(make_spec(), env={}, resolve=mistaken))
    assert (failure.code, failure.hint) == (Code.CONFIG, "mend line 3 of /c")


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (HelperError("slow", command="ssh -G gw"), Code.HELPER, "ssh -G gw"),
        (NameNotFound("no name", command="ssh -G gw"), Code.DNS, "ssh -G gw shows the name"),
    ],
)
@async_test
async def test_an_ssh_that_does_not_answer_this_time(error: TunnelError, code: Code, hint: str) -> None:
    async def away(target: str, **_: Any) -> Any:
        raise error

    failure = await failure_of(SshConnector(make_spec(), env={}, resolve=away))
    assert (failure.code, failure.message, failure.permanent) == (code, error.message, False)
    assert failure.hint.endswith(hint)


@async_test
async def test_an_ssh_that_the_deadline_cuts_short() -> None:
    async def slow(target: str, **_: Any) -> Any:
        await asyncio.Event().wait()

    failure = await failure_of(SshConnector(make_spec(policy=Policy(connect_timeout=0.1)), env={}, resolve=slow))
    assert (failure.code, failure.permanent) == (Code.HELPER, False)
    assert failure.message == "ssh -G gw did not answer within 0.1 s"


@async_test
async def test_a_bug_of_ours_is_told_as_such() -> None:
    async def broken(target: str, **_: Any) -> Any:
        raise ZeroDivisionError

    assert (await failure_of(SshConnector(make_spec(), env={}, resolve=broken))).code is Code.BUG


@async_test
async def test_a_cancelled_dial_leaves_nothing(tmp_path: Path) -> None:
    async with SshTestServer() as server:
        server.hold_login = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            dial = group.create_task(make_connector(target_for(server, tmp_path)).connect())
            await settle(lambda: server.connections)
            dial.cancel()
        server.hold_login.set()
        await settle(lambda: not server.connections)


@async_test
async def test_through_two_jump_hosts(tmp_path: Path) -> None:
    key, path = new_key(tmp_path)
    async with SshTestServer([key]) as first, SshTestServer([key]) as second, SshTestServer([key]) as last:
        mine = {"identity_files": (path,)}
        resolver = Resolver(
            gw=target_for(last, tmp_path, proxy_jump=("one", "two"), **mine),
            one=target_for(first, tmp_path, **mine),
            two=target_for(second, tmp_path, proxy_jump=("ignored",), **mine),
        )
        link = await SshConnector(make_spec(), env={}, resolve=resolver).connect()
        await link.ping(timeout=30)
        assert (first.channels, second.channels, last.channels) == (1, 1, 0)
        await link.close()
        await settle(lambda: not (first.connections or second.connections or last.connections))
        # A link that is lost lets go of its jump hosts without being asked.
        link = await SshConnector(make_spec(), env={}, resolve=resolver).connect()
        last.cut()
        assert (await link.wait_lost()).code is Code.LOST
        await settle(lambda: not (first.connections or second.connections))


@async_test
async def test_what_goes_wrong_at_a_jump_host(tmp_path: Path) -> None:
    key, path = new_key(tmp_path)
    async with SshTestServer([key]) as jump, SshTestServer([key]) as last:
        mine = {"identity_files": (path,)}
        good = target_for(jump, tmp_path, **mine)
        gw = target_for(last, tmp_path, proxy_jump=("me@jump",), **mine)

        async def dial(gw: Any, hop: Any) -> Failure:
            resolver = Resolver(gw=gw)
            resolver.targets["me@jump"] = hop
            return await failure_of(SshConnector(make_spec(), env={}, resolve=resolver))

        unknown = make_target(port=jump.port, **mine)
        failure = await dial(gw, unknown)
        assert failure.code is Code.HOST_KEY_UNKNOWN
        assert failure.facts["trust"] == "openclaw-tunnel trust me@jump"
        circle = target_for(jump, tmp_path, proxy_jump=("me@jump",), **mine)
        failure = await dial(gw, circle)
        assert failure.code is Code.CONFIG
        assert "circle" in failure.message
        port = free_port()
        failure = await dial(make_target(port=port, proxy_jump=("me@jump",)), good)
        assert failure.code is Code.PROXY
        assert f"the jump host cannot connect to 127.0.0.1:{port}" in failure.message
        jump.forbid_forwarding = True
        failure = await dial(gw, good)
        assert failure.code is Code.FORWARDING_FORBIDDEN


@async_test
async def test_proxy_command(tmp_path: Path) -> None:
    key, path = new_key(tmp_path)
    async with SshTestServer([key]) as server:
        command = f"sh -c 'echo $$ > {tmp_path}/pid; socat - TCP:127.0.0.1:{server.port}; :'"
        target = target_for(server, tmp_path, identity_files=(path,), proxy_command=command)
        env = {"PATH": "/usr/bin:/bin"}
        link = await make_connector(target, env=env).connect()
        await link.ping(timeout=30)
        session = int((tmp_path / "pid").read_text())
        assert in_session(session)
        await link.close()
        await settle(lambda: not in_session(session), "socat to end too, which the shell has started")
        link = await make_connector(target, env=env).connect()
        session = int((tmp_path / "pid").read_text())
        server.cut()
        await link.wait_lost()
        await settle(lambda: not in_session(session))
        await link.close()


def in_session(number: int) -> list[str]:
    """The processes of a session."""
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            stats.append(path.read_text())
    fields = [text.rpartition(")")[2].split() for text in stats]
    return [f[0] for f in fields if f[3] == str(number) and f[0] != "Z"]


@pytest.mark.parametrize(
    "said", ["me@jump: Permission denied (publickey,password).", "2: Too many authentication failures"]
)
@async_test
async def test_a_proxy_command_whose_own_login_is_refused(said: str) -> None:
    """Clients that wait cause few of these: whoever refuses may count them."""
    target = make_target(proxy_command=f"sh -c 'echo \"{said}\"; echo closed; exit 1' >&2")
    failure = await failure_of(make_connector(target, env={"PATH": "/usr/bin:/bin"}))
    assert failure.code is Code.PROXY_DENIED
    assert failure.message == "ProxyCommand did not get through to 127.0.0.1:22: closed"
    assert failure.said == f"{said}\nclosed"
    assert "ssh -v" in failure.hint


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sh -c 'echo bash: /opt/proxy: Permission denied; exit 1' >&2", "Permission denied"),
        ("sh -c 'echo first; printf \"no \\033[31mway\\n\"; exit 1' >&2", "no way"),
        ("true", "it ended"),
        ("/no/such/program", "not found"),
    ],
)
@async_test
async def test_a_proxy_command_that_fails(command: str, said: str) -> None:
    target = make_target(proxy_command=command)
    failure = await failure_of(make_connector(target, env={"PATH": "/usr/bin:/bin"}))
    assert failure.code is Code.PROXY
    assert failure.message.startswith("ProxyCommand did not get through to 127.0.0.1:22: ")
    assert failure.message.endswith(said)


@async_test
async def test_a_proxy_command_that_hangs_is_killed(tmp_path: Path) -> None:
    command = f"sh -c 'trap \"\" HUP TERM; echo $$ > {tmp_path}/pid; sleep 600'"
    target, pid = make_target(proxy_command=command, connect_timeout=20), tmp_path / "pid"
    async with asyncio.TaskGroup() as group:
        group.create_task(pass_time(20, lambda: pid.exists() and pid.read_text().endswith("\n")))
        failure = await failure_of(make_connector(target, env={"PATH": "/usr/bin:/bin"}))
    assert failure.code is Code.TIMEOUT
    session = int(pid.read_text())
    await settle(lambda: not in_session(session))  # killed; the kernel takes its time on a busy computer


@async_test
async def test_fdpass_is_refused() -> None:
    target = make_target(proxy_command="x", proxy_use_fdpass=True)
    assert (await failure_of(make_connector(target))).code is Code.CONFIG


@async_test
async def test_a_known_hosts_command_is_refused_because_it_may_revoke_keys() -> None:
    failure = await failure_of(make_connector(make_target(known_hosts_command="/bin/keys %H")))
    assert failure.code is Code.CONFIG
    assert failure.message == "ssh_config has a KnownHostsCommand for gw, which this program does not run"
    assert "KnownHostsCommand none" in failure.hint


@async_test
async def test_closing_a_proxy_process_twice() -> None:
    process = await ProxyProcess.start("cat", {"PATH": "/usr/bin:/bin"})
    await process.close()
    assert process.socket.fileno() == -1
    await process.close()


@async_test
async def test_the_first_address_that_answers_wins() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        good = await look_up("127.0.0.1", server.getsockname()[1], "inet")
        bad = await look_up("127.0.0.1", free_port())
        sock = await connect_any([*bad, *good], Hop("gw", "gw:22"))
        sock.close()
        bound = await connect_any(good, Hop("gw", "gw:22"), bind_address="127.0.0.2")
        assert bound.getsockname()[0] == "127.0.0.2"
        bound.close()
    with pytest.raises(DialFailed) as caught:
        await connect_any([*bad, *bad], Hop("gw", "gw:22"))
    assert caught.value.failure.code is Code.REFUSED
    with pytest.raises(socket.gaierror):
        await look_up("127.0.0.1", 22, "inet6")


@async_test
async def test_an_address_to_bind_that_is_not_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        addresses = await look_up("127.0.0.1", server.getsockname()[1])
        with pytest.raises(DialFailed) as caught:
            await connect_any(addresses, Hop("gw", "gw:22"), bind_address="192.0.2.1")
    assert caught.value.failure.code is Code.NO_ROUTE


def address(text: str) -> Address:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return (family, socket.SOCK_STREAM, 6, "", (text, 22))


def test_the_families_take_turns() -> None:
    six, four = [address(f"2001:db8::{n}") for n in range(3)], [address(f"192.0.2.{n}") for n in range(1)]
    assert interleaved([*six, *four]) == [six[0], four[0], six[1], six[2]]
    assert interleaved([*four, *six]) == [four[0], six[0], six[1], six[2]]
    assert interleaved([]) == []


class Attempts:
    """Counts attempts to connect; each hangs until it is cancelled, but those that the script has an outcome for."""

    def __init__(self, **outcomes: socket.socket | OSError) -> None:
        self.outcomes = outcomes
        self.made: list[str] = []
        self.hanging = self.most = 0

    async def __call__(self, to: Address) -> socket.socket | OSError:
        self.made.append(to[4][0])
        outcome = self.outcomes.get(f"n{len(self.made)}")
        if outcome is not None:
            return outcome
        self.hanging += 1
        self.most = max(self.most, self.hanging)
        never: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()
        try:
            return await never
        finally:
            self.hanging -= 1


async def raced(attempts: Attempts, *addresses: str) -> Race:
    race = Race(attempts)
    async with asyncio.TaskGroup() as group:
        await race.run(group, [address(text) for text in addresses])
    race.close_losers()
    return race


@async_test
async def test_an_address_that_does_not_answer_is_tried_afresh_beside_the_first_attempt() -> None:
    """What brings a tunnel back at once when the network does: the system's own repetitions are seconds apart."""
    with socket.socket() as made:
        attempts = Attempts(n5=made)
        race = await raced(attempts, "192.0.2.1")
        assert race.winner is made
        assert attempts.made == ["192.0.2.1"] * 5
        assert (attempts.hanging, attempts.most) == (0, 3)


@async_test
async def test_a_fresh_attempt_that_fails_at_once_says_nothing() -> None:
    with socket.socket() as made:
        away = OSError(101, "Network is unreachable")
        race = await raced(Attempts(n1=OSError(111, "refused"), n3=away, n4=away, n5=made), "192.0.2.1", "2001:db8::1")
        assert race.winner is made
        assert [error.errno for error in race.errors] == [111]


@async_test
async def test_addresses_that_refuse_are_not_tried_afresh() -> None:
    refused = OSError(111, "refused")
    attempts = Attempts(n1=refused, n2=refused)
    race = await raced(attempts, "192.0.2.1", "192.0.2.2")
    assert race.winner is None
    assert attempts.made == ["192.0.2.1", "192.0.2.2"]
    assert race.errors == [refused, refused]


@pytest.mark.skipif(sys.platform != "linux", reason="reads an option by its number on Linux")
@async_test
async def test_little_that_was_not_sent_is_kept_by_the_system() -> None:
    """Or whatever is asked during an upload waits behind megabytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with await connect_any(await look_up(host, port), Hop("gw", f"{host}:{port}")) as sock:
            assert sock.getsockopt(socket.IPPROTO_TCP, 25) == 65536  # TCP_NOTSENT_LOWAT
