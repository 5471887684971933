"""ssh/asyncssh_seams.py: asyncssh's inside is what it was, and nobody else touches it.

Each test lets asyncssh itself do what the seam relies on: whoever raises its version reads here what has changed.
"""

import ast
import asyncio
import types
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import MSG_CHANNEL_DATA, MSG_GLOBAL_REQUEST, MSG_IGNORE, MSG_KEXINIT
from asyncssh.packet import String, UInt32

import openclaw_tunnel
from openclaw_tunnel.ssh import asyncssh_seams as seams
from openclaw_tunnel.ssh.hostkeys.knownhosts import key_line
from support.aio import async_test, settle
from support.fakeagent import fake_agent
from support.servers import new_key
from support.sshserver import SshTestServer

USER = asyncssh.generate_private_key("ssh-ed25519")
FAR = 7  # a port whose far end lies within the server
BULK = "x" * 30000


class Owner(asyncssh.SSHClient):
    """A connection's owner, who trusts whatever key the test's server has."""

    def __init__(self) -> None:
        self.presented: list[bytes] = []
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        seams.replace_host_key_check(conn, self.check)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(exc)

    def check(self, presented: bytes) -> asyncssh.SSHKey:
        self.presented.append(presented)
        return asyncssh.import_public_key(key_line(presented))


@asynccontextmanager
async def connected(**options: Any) -> AsyncIterator[tuple[SshTestServer, asyncssh.SSHClientConnection, Owner]]:
    """A server, a connection to it and its owner."""
    owner = Owner()
    wanted = {"client_keys": [USER], "known_hosts": ([], [], []), "config": None, "username": "me", **options}
    async with SshTestServer([USER]) as server:
        connection = await asyncssh.connect("127.0.0.1", server.port, client_factory=lambda: owner, **wanted)
        try:
            yield server, connection, owner
        finally:
            connection.abort()
            await connection.wait_closed()


async def filled(connection: asyncssh.SSHClientConnection, until: Callable[[], object]) -> None:
    """Send what nobody reads until something happens; 60 MB are more than any socket holds."""
    for _ in range(2000):
        if until():
            return
        connection.send_debug(BULK)
        await asyncio.sleep(0)
    raise AssertionError("nothing happened")


@async_test
async def test_what_arrives_goes_to_whoever_took_its_place() -> None:
    async with connected() as (_, connection, _owner):
        came: list[bytes] = []

        def receive(data: bytes, datatype: int | None = None) -> None:
            came.append(data)
            before(data, datatype)

        before = seams.replace_receiver(connection, receive)
        await seams.ask_for_reply(connection)
        assert came, "the transport does not call data_received of the instance"
        seams.replace_receiver(connection, before)
        seen = len(came)
        await seams.ask_for_reply(connection)
        assert len(came) == seen


@async_test
async def test_the_transport_reports_that_it_takes_no_more_and_asyncssh_keeps_the_rest() -> None:
    async with connected() as (server, connection, _):
        said: list[str] = []
        seams.hear_congestion(connection, lambda: said.append("pause"), lambda: said.append("resume"))
        assert seams.bytes_kept(connection) == 0
        server.fall_silent()
        await filled(connection, lambda: said)
        assert seams.bytes_kept(connection) > 0, "_transport is not what bytes wait in"
        (far,) = server.connections
        far._transport.resume_reading()  # type: ignore[union-attr]
        await settle(lambda: said == ["pause", "resume"], "the transport to take more")


@async_test
async def test_in_a_key_exchange_asyncssh_keeps_what_it_is_given() -> None:
    async with connected() as (_, connection, _owner):
        connection._rekey_bytes_sent = connection._rekey_bytes  # so much was sent that the next packet begins one
        connection.send_debug("x" * 300)
        assert seams.bytes_kept(connection) > 300, "_deferred_packets is not what is kept"
        await seams.ask_for_reply(connection)
        assert seams.bytes_kept(connection) == 0


@async_test
async def test_asyncssh_sends_its_empty_packets_through_send_packet() -> None:
    async with connected(encryption_algs=["aes128-gcm@openssh.com"]) as (_, connection, _owner):
        sent: list[int] = []
        send = connection.send_packet

        def send_packet(pkttype: int, *args: bytes, handler: Any = None) -> None:
            sent.append(pkttype)
            send(pkttype, *args, handler=handler)

        connection.send_packet = send_packet  # type: ignore[method-assign]
        await seams.ask_for_reply(connection)
        assert sent == [MSG_GLOBAL_REQUEST, MSG_IGNORE]
        seams.without_padding(connection)
        await seams.ask_for_reply(connection)
        assert sent == [MSG_GLOBAL_REQUEST, MSG_IGNORE, MSG_GLOBAL_REQUEST]


class Sender:
    """asyncssh's connection, as far as it sends packets: an empty one ahead of each of the later ones."""

    def __init__(self, cipher: str) -> None:
        self.sent: list[int] = []
        self._cipher = cipher

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._cipher if name == "send_cipher" else default

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        if pkttype == MSG_CHANNEL_DATA:
            self.send_packet(MSG_IGNORE, String(b""))
        self.sent.append(pkttype)


@pytest.mark.parametrize(
    ("cipher", "sent"),
    [
        ("aes128-gcm@openssh.com", [MSG_CHANNEL_DATA]),
        ("chacha20-poly1305@openssh.com", [MSG_CHANNEL_DATA]),
        ("aes256-ctr", [MSG_CHANNEL_DATA]),
        ("aes256-cbc", [MSG_IGNORE, MSG_CHANNEL_DATA]),
    ],
)
def test_an_empty_packet_goes_ahead_only_where_the_cipher_needs_it(cipher: str, sent: list[int]) -> None:
    connection: Any = Sender(cipher)
    seams.without_padding(connection)
    connection.send_packet(MSG_CHANNEL_DATA, b"data", handler=None)
    assert connection.sent == sent


def test_what_is_to_be_ignored_but_is_not_empty_is_sent() -> None:
    connection: Any = Sender("aes128-gcm@openssh.com")
    seams.without_padding(connection)
    connection.send_packet(MSG_IGNORE, String(b"noise"))
    assert connection.sent == [MSG_IGNORE]


@async_test
async def test_a_connection_that_is_gone_answers_its_questions() -> None:
    async with connected() as (server, connection, owner):
        server.cut()
        await owner.ended
        await seams.ask_for_reply(connection)


class Session(asyncssh.SSHTCPSession[bytes]):
    """One end of a channel, which counts."""

    def __init__(self) -> None:
        self.chan: Any = None
        self.received = 0

    def connection_made(self, chan: Any) -> None:
        self.chan = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.received += len(data)


@async_test
async def test_a_channel_gets_what_was_granted_by_hand_and_no_more() -> None:
    async with connected() as (server, connection, _):
        far = Session()
        server.far_ends = {FAR: lambda: far}
        session = Session()
        chan, _ = await connection.create_connection(lambda: session, "far", FAR, window=1000)
        seams.grant_by_hand(chan)
        far.chan.write(bytes(10_000))
        await settle(lambda: session.received == 1000, "the first bytes")
        await seams.ask_for_reply(connection)  # whatever had been granted would have come before the reply
        assert session.received == 1000, "asyncssh grants by itself: _init_recv_window is not what it goes by"
        seams.grant(chan, 500)
        await settle(lambda: session.received == 1500, "the far end does not hear of what it is granted")
        assert not connection.is_closed(), "_recv_window is not what asyncssh checks what comes against"


@async_test
async def test_the_window_of_a_channel_goes_down_by_what_is_sent() -> None:
    async with connected() as (server, connection, _):
        far = Session()
        server.far_ends = {FAR: lambda: far}
        chan, _session = await connection.create_connection(Session, "far", FAR)
        before = seams.send_window(chan)
        chan.write(bytes(300))
        assert seams.send_window(chan) == before - 300
        await settle(lambda: far.received == 300)


@async_test
async def test_the_check_of_host_keys_is_ours() -> None:
    """No key is trusted by asyncssh's own check: it would have refused."""
    async with connected() as (server, _, owner):
        assert owner.presented == [server.host_keys[0].public_data]


@async_test
async def test_a_host_key_that_our_check_refuses_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Owner, presented: bytes) -> asyncssh.SSHKey:
        raise asyncssh.HostKeyNotVerifiable("not this one")

    monkeypatch.setattr(Owner, "check", refuse)
    with pytest.raises(asyncssh.HostKeyNotVerifiable, match="not this one"):
        async with connected():
            pass


def test_a_certificate_of_openssh_s_kind() -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    made = authority.generate_host_certificate(USER, "id", serial=7, principals=["host"])
    certificate = asyncssh.import_certificate(made.export_certificate())
    assert isinstance(certificate, seams.OpenSSHCertificate)
    assert certificate.signing_key.public_data == authority.public_data
    assert seams.serial_and_key_id(certificate) == (7, b"id")
    certificate.validate(2, "host")
    with pytest.raises(ValueError, match="principal"):
        certificate.validate(2, "another")


def test_the_wire_format_is_taken_apart() -> None:
    packet = seams.Packet(b"\1\0\0\0\2ab" + bytes(11) + b"\3" + b"rest")
    assert (packet.get_byte(), packet.get_string(), packet.get_uint32(), packet.get_uint64()) == (1, b"ab", 0, 3)
    assert packet.get_remaining_payload() == packet.get_bytes(4) == b"rest"
    assert not packet
    with pytest.raises(ValueError, match="Incomplete"):
        packet.get_byte()


@pytest.mark.parametrize(
    ("algorithms", "name"),
    [
        (seams.KEX_ALGORITHMS, "curve25519-sha256"),
        (seams.CIPHERS, "aes128-gcm@openssh.com"),
        (seams.MACS, "hmac-sha2-256"),
        (seams.COMPRESSIONS, "zlib@openssh.com"),
        (seams.SIGNATURES, "rsa-sha2-512"),
        (seams.CERTIFICATES, "ssh-ed25519-cert-v01@openssh.com"),
    ],
)
def test_the_algorithms_that_asyncssh_has(algorithms: tuple[str, ...], name: str) -> None:
    assert name in algorithms


class CountingClient(seams.SigningClient):
    """Counts the signatures that are begun."""

    begun = 0

    @contextmanager
    def signature(self) -> Iterator[None]:
        self.begun += 1
        yield


@asynccontextmanager
async def asked_agent(path: Path) -> AsyncIterator[tuple[Any, CountingClient, Any]]:
    """An agent with the user's key, a client that has asked it, and the key."""
    async with fake_agent(path, USER) as agent:
        client = CountingClient(str(path))
        (pair,) = await client.get_keys()
        try:
            yield agent, client, pair
        finally:
            client.close()
            await client.wait_closed()


@async_test
async def test_a_key_of_an_agent_signs_through_our_client(tmp_path: Path) -> None:
    async with asked_agent(tmp_path / "agent") as (agent, client, pair):
        await pair.sign_async(b"data")
        assert client.begun == agent.asked == 1


@async_test
async def test_an_agent_that_refuses_and_one_that_hangs_up(tmp_path: Path) -> None:
    async with asked_agent(tmp_path / "agent") as (agent, _, pair):
        agent.refuses = True
        with pytest.raises(ValueError, match=r".") as refused:
            await pair.sign_async(b"data")
        agent.hangs_up = True
        with pytest.raises(ValueError, match=r".") as hung_up:
            await pair.sign_async(b"data")
    assert seams.agent_answered(refused.value)
    assert not seams.agent_answered(hung_up.value)


@async_test
async def test_a_key_of_an_agent_with_a_certificate_that_lies_in_a_file(tmp_path: Path) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.generate_user_certificate(USER, "id", principals=["me"])
    async with asked_agent(tmp_path / "agent") as (agent, client, plain):
        pair: Any = seams.certified_pair(client, plain, certificate)
        assert pair.public_data == certificate.public_data
        await pair.sign_async(b"data")
        assert agent.asked == 1, "the agent is asked for the plain key, which is the one it has"


@pytest.mark.parametrize("of_agent", [True, False])
@async_test
async def test_a_login_signs_within_what_was_put_around(of_agent: bool, tmp_path: Path) -> None:
    signed: list[str] = []

    @contextmanager
    def around() -> Iterator[None]:
        signed.append("begun")
        yield
        signed.append("done")

    async with asked_agent(tmp_path / "agent") as (_, _client, listed):
        pair = listed if of_agent else asyncssh.load_keypairs([USER])[0]
        seams.sign_within(pair, around)
        async with connected(client_keys=[pair]):
            assert signed == ["begun", "done"]


def test_an_encrypted_key_is_told_from_a_broken_one(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    forms = [key.export_private_key(form, passphrase="words") for form in ("pkcs8-pem", "pkcs1-pem")]
    for encrypted in (*forms, new_key(tmp_path / "id", passphrase="words").read_bytes()):
        with pytest.raises(asyncssh.KeyImportError) as caught:
            asyncssh.import_private_key(encrypted)
        assert seams.needs_passphrase(caught.value)
    with pytest.raises(asyncssh.KeyImportError) as broken:
        asyncssh.import_private_key(b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    assert not seams.needs_passphrase(broken.value)


@async_test
async def test_what_both_sides_do_not_share_is_named() -> None:
    async with SshTestServer([USER]) as server:
        await server.stop()
        await server.start(mac_algs=["hmac-sha1"], encryption_algs=["aes128-ctr"])
        with pytest.raises(asyncssh.KeyExchangeFailed) as caught:
            await asyncssh.connect(
                "127.0.0.1", server.port, mac_algs=["hmac-sha2-256"], encryption_algs=["aes128-ctr"], config=None
            )
    assert seams.not_shared(caught.value) == "MAC"
    assert seams.not_shared(asyncssh.KeyExchangeFailed("Key exchange failed")) == ""


@async_test
async def test_a_server_that_does_not_answer_keepalives() -> None:
    async with connected(keepalive_interval=0.05, keepalive_count_max=1) as (server, _, owner):
        server.fall_silent()
        exc = await owner.ended
    assert isinstance(exc, asyncssh.ConnectionLost)
    assert seams.is_keepalive_timeout(exc)
    assert not seams.is_from_other_side(exc)


@async_test
async def test_a_connection_that_is_cut_did_not_time_out() -> None:
    async with connected() as (server, _, owner):
        server.cut()
        exc = await owner.ended
    assert isinstance(exc, asyncssh.ConnectionLost)
    assert not seams.is_keepalive_timeout(exc)


@async_test
async def test_a_channel_that_ends_with_the_connection_and_one_that_is_refused() -> None:
    async with connected() as (server, connection, _):
        server.forbid_forwarding = True
        with pytest.raises(asyncssh.ChannelOpenError) as refused:
            await connection.create_connection(Session, "127.0.0.1", 1)
        server.hold_channels = asyncio.Event()
        opening = asyncio.gather(connection.create_connection(Session, "127.0.0.1", 1), return_exceptions=True)
        await settle(lambda: server.opened == 2)
        connection.abort()
        (cut,) = await opening
        with pytest.raises(asyncssh.ChannelOpenError) as late:
            await connection.create_connection(Session, "127.0.0.1", 1)
        server.hold_channels.set()
    assert not seams.found_no_connection(refused.value)
    assert isinstance(cut, Exception)
    assert seams.found_no_connection(cut)
    assert seams.found_no_connection(late.value)


@pytest.mark.parametrize("code", [asyncssh.DISC_SERVICE_NOT_AVAILABLE, 4242])
@async_test
async def test_the_words_of_the_other_side(code: int) -> None:
    async with connected() as (server, _, owner):
        next(iter(server.connections)).disconnect(code, "good night")
        exc = await owner.ended
    assert seams.is_from_other_side(exc)
    assert seams.reason_of(exc) == "good night"


@async_test
async def test_what_asyncssh_finds_wrong_is_not_from_the_other_side() -> None:
    async with connected() as (server, _, owner):
        next(iter(server.connections)).send_packet(MSG_CHANNEL_DATA, UInt32(99), String(b"for no channel"))
        exc = await owner.ended
    assert isinstance(exc, asyncssh.DisconnectError)
    assert not seams.is_from_other_side(exc)


@async_test
async def test_an_error_that_came_with_bytes() -> None:
    async with connected() as (server, _, owner):
        names = String(b"\xff\xfe") + String(b"") * 9
        next(iter(server.connections)).send_packet(MSG_KEXINIT, bytes(16), names, bytes(5))
        exc = await owner.ended
    assert isinstance(exc, UnicodeDecodeError)
    assert seams.came_with_bytes(exc)


@async_test
async def test_an_error_in_a_task_that_asyncssh_made_for_bytes() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async with connected() as (_, connection, owner):
        connection.create_task(fail())
        exc = await owner.ended
    assert isinstance(exc, ZeroDivisionError)
    assert seams.came_with_bytes(exc)
    with pytest.raises(ZeroDivisionError) as own:
        await fail()
    assert not seams.came_with_bytes(own.value)


# Nobody else touches the inside.

PACKAGE = Path(openclaw_tunnel.__file__).parent
SEAMS = PACKAGE / "ssh" / "asyncssh_seams.py"
KINDS = (asyncssh.SSHClientConnection, asyncssh.SSHTCPChannel, asyncssh.SSHAgentClient, asyncssh.SSHAgentKeyPair)
METHODS = {name for kind in KINDS for name in dir(kind) if callable(getattr(kind, name)) and not name.startswith("__")}


def touches(source: str) -> list[str]:
    """What a file does with the inside of asyncssh: modules of it, names it does not export, private attributes of
    anything but ``self``, and methods that are replaced."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] == "asyncssh":
                found.append(f"from {module} import")
            case ast.Import(names=names):
                found += [f"import {name.name}" for name in names if name.name.startswith("asyncssh.")]
            case ast.Attribute(value=ast.Name(id="asyncssh"), attr=name):
                if isinstance(getattr(asyncssh, name, None), types.ModuleType | None) or name.startswith("_"):
                    found.append(f"asyncssh.{name}")
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if name.startswith("_") and not name.startswith("__"):
                found.append(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) if name in METHODS:
                found.append(f"{name} =")
    return found


def test_everything_else_uses_what_asyncssh_exports() -> None:
    files = [path for room in ("ssh", "demo") for path in (PACKAGE / room).rglob("*.py") if path != SEAMS]
    assert len(files) > 30
    assert {str(path.relative_to(PACKAGE)): found for path in files if (found := touches(path.read_text()))} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from asyncssh.packet import String", ["from asyncssh.packet import"]),
        ("import asyncssh.packet", ["import asyncssh.packet"]),
        ("asyncssh.packet.String(b'')", ["asyncssh.packet"]),
        ("asyncssh.nothing_of_this_name", ["asyncssh.nothing_of_this_name"]),
        ("connection._transport.close()", ["_transport"]),
        ("self._connection._transport", ["_transport"]),
        ("connection.data_received = take", ["data_received ="]),
        ("self._pair.sign_async = take", ["sign_async ="]),
        ("self._connection.close()\nself.sign = 1\nasyncssh.connect('x')", []),
    ],
)
def test_touches_are_found(source: str, found: list[str]) -> None:
    assert touches(source) == found


def test_every_seam_says_why() -> None:
    tree = ast.parse(SEAMS.read_text())
    parts = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    public = [part for part in parts if not part.name.startswith("_")]
    assert [part.name for part in public if not ast.get_docstring(part)] == []
    tests = Path(__file__).read_text()
    assert [part.name for part in public if f"seams.{part.name}" not in tests] == []
