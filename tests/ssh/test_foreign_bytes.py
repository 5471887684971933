"""Whatever is sent before the login, by the server or by anybody on the way, is a reason to try again: never a bug of
ours, never the end of the tunnel, and nothing is left open."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.retry import Cause
from support.aio import async_test, settle
from support.sshserver import SshTestServer
from support.sshtargets import make_connector, make_target, target_for

SECONDS = 5.0
"""The deadline of a dial."""

QUIET = 0.1
"""So long nothing has to come of a client before the server takes it that it waits."""

VERSION = b"SSH-2.0-x\r\n"
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
DISCONNECT, IGNORE, DEBUG, EXT_INFO, KEXINIT, NEWKEYS, REPLY = 1, 2, 4, 7, 20, 21, 31


def text(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def packet(payload: bytes) -> bytes:
    """A packet before encryption begins (RFC 4253 section 6)."""
    padding = 8 - (5 + len(payload)) % 8 + 8
    return (len(payload) + padding + 1).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


def kexinit(kex: bytes = b"curve25519-sha256", host_key: bytes = b"ssh-ed25519", *, end: bytes = bytes(5)) -> bytes:
    one_way = (b"aes128-ctr", b"aes128-ctr", b"hmac-sha2-256", b"hmac-sha2-256", b"none", b"none", b"", b"")
    return bytes([KEXINIT]) + bytes(16) + b"".join(map(text, (kex, host_key, *one_way))) + end


def reply(host_key: bytes, point: bytes, signature: bytes) -> bytes:
    return bytes([REPLY]) + text(host_key) + text(point) + text(signature)


def disconnect(code: int, said: bytes = b"go away") -> bytes:
    return bytes([DISCONNECT]) + code.to_bytes(4, "big") + text(said) + text(b"")


KEY = HOST_KEY.public_data
SIGNATURE = text(b"ssh-ed25519") + text(b"s" * 64)
START = VERSION + packet(kexinit())
VALID = START + packet(reply(KEY, b"\x09" + bytes(31), SIGNATURE)) + packet(bytes([NEWKEYS]))
DH, GROUP = VERSION + packet(kexinit(b"diffie-hellman-group14-sha256")), b"diffie-hellman-group-exchange-sha256"
CERTIFICATE = b"ssh-ed25519-cert-v01@openssh.com"
RSA = text(b"ssh-rsa") + text(b"\3") + text(b"\0" + b"\xff" * 16000)

FORMS = {
    "nothing": b"",
    "a web server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "a version that is no text": b"SSH-2.0-\0\xff\x80\r\n",
    "an old version": b"SSH-1.5-x\r\n",
    "a version too long": b"SSH-2.0-" + b"x" * 5000 + b"\r\n",
    "lines without end": b"hello\r\n" * 3000,
    "KEXINIT, cut off": VERSION + packet(kexinit()[:40]),
    "KEXINIT, a list longer than it": VERSION + packet(bytes([KEXINIT]) + bytes(16) + b"\xff" * 20),
    "KEXINIT, no text": VERSION + packet(kexinit(b"\xff\xfe")),
    "KEXINIT, more than it should": VERSION + packet(kexinit() + b"zz"),
    "KEXINIT twice": START + packet(kexinit()),
    "a packet without content": VERSION + packet(b""),
    "a packet of padding": VERSION + (12).to_bytes(4, "big") + b"\xff" + bytes(11),
    "a packet too long": VERSION + b"\xff" * 16,
    "DISCONNECT": VERSION + packet(disconnect(11)),
    "DISCONNECT, cut off": VERSION + packet(disconnect(11)[:3]),
    "DISCONNECT, no text": VERSION + packet(disconnect(2, b"\xff\xfe")),
    "DISCONNECT, an unknown code": VERSION + packet(disconnect(0xFFFFFFFF)),
    "DISCONNECT, login refused": VERSION + packet(disconnect(14, b"No more authentication methods")),
    "DISCONNECT, too many failures": VERSION + packet(disconnect(2, b"Too many authentication failures")),
    "DISCONNECT, host key": START + packet(disconnect(9)),
    "DEBUG, cut off": VERSION + packet(bytes([DEBUG])),
    "IGNORE, cut off": VERSION + packet(bytes([IGNORE, 255, 255])),
    "NEWKEYS too early": VERSION + packet(bytes([NEWKEYS])),
    "EXT_INFO too early": VERSION + packet(bytes([EXT_INFO]) + b"\xff" * 4),
    "SERVICE_ACCEPT too early": VERSION + packet(b"\6\0"),
    "USERAUTH_FAILURE too early": VERSION + packet(b"\x33" + text(b"publickey") + b"\0"),
    "USERAUTH_SUCCESS too early": START + packet(b"\x34"),
    "a channel's too early": VERSION + packet(b"\x5b\0"),
    "a global request too early": VERSION + packet(b"\x50\0"),
    "reply, cut off": START + packet(bytes([REPLY, 0, 0])),
    "reply, a wrong signature": VALID,
    "reply, the point zero": START + packet(reply(KEY, bytes(32), SIGNATURE)),
    "reply, a point too short": START + packet(reply(KEY, b"x", SIGNATURE)),
    "reply, a key that is none": START + packet(reply(b"\xff" * 9, b"p" * 32, b"s")),
    "reply, a key too short": START + packet(reply(text(b"ssh-ed25519") + text(b"k"), b"p" * 32, b"s")),
    "reply, a key of another type": START + packet(reply(text(b"ssh-rsa") + KEY[15:], b"p" * 32, b"s")),
    "reply, a certificate that is none": VERSION
    + packet(kexinit(host_key=CERTIFICATE))
    + packet(reply(text(CERTIFICATE) + b"\xff" * 50, b"p" * 32, b"s")),
    "reply, DH with 0": DH + packet(reply(KEY, b"", SIGNATURE)),
    "reply, DH with 1": DH + packet(reply(KEY, b"\1", SIGNATURE)),
    "reply, DH negative": DH + packet(reply(KEY, b"\xff", SIGNATURE)),
    "a group of 0": VERSION + packet(kexinit(GROUP)) + packet(bytes([REPLY]) + text(b"") + text(b"\2")),
    "a group of 1": VERSION + packet(kexinit(GROUP)) + packet(bytes([REPLY]) + text(b"\1") + text(b"\2")),
    "a huge group": VERSION
    + packet(kexinit(GROUP))
    + packet(bytes([REPLY]) + text(b"\0" + b"\xff" * 24000) + text(b"\2")),
}


async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, quiet: float) -> None:
    """Read until the client closes; when it has no more to say, end our side, which is an error of its own."""
    try:
        async with asyncio.timeout(quiet):
            while await reader.read(1 << 16):
                pass
    except TimeoutError:
        writer.write_eof()
        while await reader.read(1 << 16):
            pass


@asynccontextmanager
async def sends(data: bytes, quiet: float) -> AsyncIterator[tuple[int, Callable[[], int]]]:
    """A server that sends this to whoever comes, and no more; its port, and how many connections are open."""
    open_now = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        try:
            writer.write(data)
            await read_all(reader, writer, quiet)
        except ConnectionError:
            pass
        finally:
            open_now -= 1
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], lambda: open_now


async def dial(data: bytes, folder: Path, quiet: float = QUIET) -> Failure:
    """What a dial to a server that sends ``data`` ends with; nothing may be left of it."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with sends(data, quiet) as (port, open_now):
        known_hosts = folder / f"known_hosts.{port}"
        known_hosts.write_text(f"[127.0.0.1]:{port} {HOST_KEY.export_public_key().decode()}")
        target = make_target(port=port, user_known_hosts_files=(str(known_hosts),))
        with pytest.raises(DialFailed) as caught:
            await make_connector(target, policy=Policy(connect_timeout=SECONDS)).connect()
        await settle(lambda: not open_now(), "the connection to be closed")
        await settle(lambda: len(asyncio.all_tasks()) == 1, "no task left over")
        known_hosts.unlink()
    failure = caught.value.failure
    del caught
    gc.collect(1)  # what is young
    assert complaints == []
    return failure


@pytest.mark.parametrize("name", FORMS)
@async_test
async def test_forms_that_have_been_seen_or_thought_of(name: str, tmp_path: Path) -> None:
    failure = await dial(FORMS[name], tmp_path)
    assert failure.cause is Cause.PASSING
    assert failure.code is Code.NOT_SSH


@async_test
async def test_no_algorithm_in_common_is_what_the_server_has_decided(tmp_path: Path) -> None:
    failure = await dial(VERSION + packet(kexinit(b"nobody-has-this")), tmp_path)
    assert failure.code is Code.NEGOTIATION


@async_test
async def test_another_key_is_another_key_however_odd(tmp_path: Path) -> None:
    data = VERSION + packet(kexinit(host_key=b"rsa-sha2-512")) + packet(reply(RSA, b"p" * 32, b"s"))
    assert (await dial(data, tmp_path)).code is Code.HOST_KEY_UNKNOWN


@async_test
async def test_what_is_wrong_is_said_without_a_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failure = await dial(FORMS["KEXINIT, no text"], tmp_path)
    assert failure.message.endswith(" sent something that is not valid SSH")
    failure = await dial(FORMS["reply, a key that is none"], tmp_path)
    assert failure.message.startswith("the host key that 127.0.0.1:")
    assert failure.message.endswith(" sent cannot be read")
    failure = await dial(FORMS["DISCONNECT, login refused"], tmp_path)
    assert failure.message.endswith(" ended the connection: No more authentication methods")
    assert caplog.records == []


@async_test
async def test_bytes_that_are_no_ssh_after_the_login(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    (tmp_path / "id").write_bytes(key.export_private_key())
    (tmp_path / "id").chmod(0o600)
    async with SshTestServer([key]) as server:
        link = await make_connector(target_for(server, tmp_path, identity_files=(str(tmp_path / "id"),))).connect()
        next(iter(server.connections)).send_packet(KEXINIT, kexinit(b"\xff\xfe")[1:])
        failure = await link.wait_lost()
        await link.close()
    assert failure.code is Code.LOST
    assert failure.message == f"127.0.0.1:{server.port} sent something that is not valid SSH"
    assert caplog.records == []


packets = st.builds(lambda kind, body: packet(bytes([kind]) + body), st.integers(0, 255), st.binary(max_size=60))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid beginning with some bytes changed, taken out or put in."""
    data = bytearray(draw(st.sampled_from([*FORMS.values(), VALID, VALID, VALID])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


@settings(max_examples=200, deadline=None)
@given(data=mutated() | st.binary(max_size=300) | st.lists(packets, max_size=4).map(lambda p: START + b"".join(p)))
def test_arbitrary_bytes_before_the_login(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    failure = asyncio.run(dial(data, tmp_path_factory.getbasetemp(), quiet=0.02))
    if failure.code is Code.NEGOTIATION:
        assert "share no" in failure.message or "is too short" in failure.message
    elif failure.code in (Code.HOST_KEY_CHANGED, Code.HOST_KEY_UNKNOWN):
        assert KEY not in data, "another key was presented"
    else:
        assert failure.cause is Cause.PASSING
        assert failure.code is not Code.BUG
