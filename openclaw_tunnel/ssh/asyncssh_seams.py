"""Every touch of asyncssh's inside, that is of what its documentation does not promise: which one, and why.

All else uses what asyncssh exports. tests/ssh/test_asyncssh_seams.py fails where a release changes one of these.
"""

import os
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeGuard

import asyncssh
from asyncssh import compression, encryption, kex, mac, public_key
from asyncssh.constants import MSG_CHANNEL_WINDOW_ADJUST, MSG_IGNORE
from asyncssh.packet import SSHPacket, String, UInt32
from asyncssh.public_key import SSHOpenSSHCertificate

Receive = Callable[..., None]
"""``data_received`` of a connection: takes the bytes, and a data type that is None for a transport."""

_NOTHING = String(b"")
_ASYNCSSH = os.path.join(os.path.dirname(asyncssh.__file__), "")
_TAKES_BYTES = {"_recv_data", "_reap_task"}


# The bytes of a connection.


def replace_receiver(connection: asyncssh.SSHClientConnection, receive: Receive) -> Receive:
    """Have ``receive`` called with all that arrives; returns what was called until now, which it has to call.

    Replaces ``data_received``, which asyncssh gives its transport by the instance: asyncssh has no hook for what comes
    before a version, for what arrives at all, or for the end of what has arrived together.
    """
    before: Receive = connection.data_received
    connection.data_received = receive  # type: ignore[method-assign]
    return before


def hear_congestion(
    connection: asyncssh.SSHClientConnection, pause: Callable[[], None], resume: Callable[[], None]
) -> None:
    """Have ``pause`` and ``resume`` called when the transport takes no more, and takes again.

    Replaces ``pause_writing`` and ``resume_writing``. asyncssh does nothing in them and keeps in memory what a stalled
    network does not take: up to a window, 2 MiB, for each channel.
    """
    connection.pause_writing = pause  # type: ignore[method-assign]
    connection.resume_writing = resume  # type: ignore[method-assign]


def without_padding(connection: asyncssh.SSHClientConnection) -> None:
    """Send no empty SSH_MSG_IGNORE ahead of each packet, except where the cipher needs it.

    It hides the chaining value of CBC from whoever chooses what is encrypted next (RFC 4251 section 9.3.1), and doubles
    the packets. Other modes have no such value; OpenSSH sends none with them. Replaces ``send_packet``, through which
    asyncssh sends that packet as well.
    """
    if "cbc" in str(connection.get_extra_info("send_cipher", "")):
        return
    send = connection.send_packet

    def send_packet(pkttype: int, *args: bytes, handler: Any = None) -> None:
        if pkttype != MSG_IGNORE or args != (_NOTHING,):
            send(pkttype, *args, handler=handler)

    connection.send_packet = send_packet  # type: ignore[method-assign]


def bytes_kept(connection: asyncssh.SSHClientConnection) -> int:
    """Bytes that the operating system has not taken yet: in a key exchange asyncssh keeps all that it is given.

    Reads ``_transport`` and ``_deferred_packets``: asyncssh does not tell what it keeps.
    """
    transport = connection._transport
    buffered = transport.get_write_buffer_size() if transport else 0
    return buffered + sum(len(part) for _, parts in connection._deferred_packets for part in parts)


async def ask_for_reply(connection: asyncssh.SSHClientConnection) -> None:
    """Ask the server for a reply to ``keepalive@openssh.com``; returns when it is there, or the connection is gone.

    Calls ``_make_global_request``: asyncssh sends this request by itself, and offers no way to ask for one.
    """
    await connection._make_global_request(b"keepalive@openssh.com")


# The windows of a channel.


def grant_by_hand(chan: Any) -> None:
    """Let asyncssh grant nothing on a channel.

    Sets ``_init_recv_window``: asyncssh grants anew when less than half of it is left, so it never does.
    """
    chan._init_recv_window = 0


def grant(chan: Any, size: int) -> None:
    """Let the far end of a channel send so many bytes more; nothing is sent once the channel is closed.

    Raises ``_recv_window``, by which asyncssh checks what comes, and sends the packet itself.
    """
    chan._recv_window += size
    chan.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(size))


def send_window(chan: Any) -> int:
    """Bytes that the far end of a channel takes; reads ``_send_window``, which asyncssh does not tell."""
    return int(chan._send_window)


# What both sides can do, and the key of the server.


def replace_host_key_check(connection: asyncssh.SSHClientConnection, check: Callable[[bytes], asyncssh.SSHKey]) -> None:
    """Have ``check`` judge what the server presents; it returns the key to verify its signature with, or raises.

    Replaces ``validate_server_host_key``. asyncssh's own hooks are given only the plain key or only the authority's,
    which is too little for revoked certificates and for the step back from certificate to key that OpenSSH makes.
    """
    connection.validate_server_host_key = check  # type: ignore[method-assign, assignment]


OpenSSHCertificate = SSHOpenSSHCertificate
"""A certificate of OpenSSH's kind, with ``signing_key`` and ``validate``; asyncssh only exports its base class."""


def serial_and_key_id(certificate: SSHOpenSSHCertificate) -> tuple[int, bytes]:
    """What an authority calls a certificate; reads ``_serial`` and ``_key_id``, which asyncssh does not tell."""
    return certificate._serial, certificate._key_id.encode()


Packet = SSHPacket
"""Takes the wire format of SSH apart from the front; every ``get_`` raises ValueError where data is missing."""


def _names(algorithms: list[bytes]) -> tuple[str, ...]:
    return tuple(name.decode() for name in algorithms)


# What asyncssh has; it lists them for itself only.
KEX_ALGORITHMS = _names(kex.get_kex_algs())
CIPHERS = _names(encryption.get_encryption_algs())
MACS = _names(mac.get_mac_algs())
COMPRESSIONS = _names(compression.get_compression_algs())
SIGNATURES = _names(public_key.get_public_key_algs())
CERTIFICATES = _names(public_key.get_certificate_algs())


# Keys and agents.


class SigningClient(asyncssh.SSHAgentClient):
    """asyncssh's agent client, with a hook around the signatures.

    Overrides ``sign``, which the key pairs of an agent call and the documentation leaves out.
    """

    async def sign(self, key_blob: bytes, data: bytes, flags: int = 0) -> bytes:
        """Sign ``data``; asyncssh goes on to the next key on a ValueError."""
        with self.signature():
            return await super().sign(key_blob, data, flags)

    def signature(self) -> AbstractContextManager[None]:
        """What a signature is made within."""
        raise NotImplementedError


def agent_answered(exc: ValueError) -> bool:
    """Whether an agent has answered, and not with a signature; by the words that asyncssh's ``sign`` raises."""
    return str(exc).startswith(("Unable to sign", "Unknown SSH agent response"))


def certified_pair(
    client: SigningClient, plain: asyncssh.SSHKeyPair, certificate: asyncssh.SSHCertificate
) -> asyncssh.SSHKeyPair:
    """A key of an agent together with a certificate that the agent does not have.

    Calls the constructor of ``SSHAgentKeyPair``, as asyncssh's ``get_keys`` does, and ``set_certificate``.
    """
    pair = asyncssh.SSHAgentKeyPair(client, plain.algorithm, plain.public_data, b"")
    pair.set_certificate(certificate)
    return pair


def sign_within(pair: asyncssh.SSHKeyPair, around: Callable[[], AbstractContextManager[None]]) -> None:
    """Have signatures made within ``around()``: asyncssh does not say that a key was taken, nor what it waits for.

    Replaces ``sign_async`` of a key pair that has one, as those of agents do; else ``sign``.
    """
    if hasattr(pair, "sign_async"):
        sign_later = pair.sign_async

        async def sign_async(data: bytes) -> Any:
            with around():
                return await sign_later(data)

        pair.sign_async = sign_async
        return
    sign = pair.sign

    def sign_now(data: bytes) -> Any:
        with around():
            return sign(data)

    pair.sign = sign_now  # type: ignore[method-assign]


def needs_passphrase(exc: asyncssh.KeyImportError) -> bool:
    """Whether a private key is encrypted; asyncssh says so in words, of every format before it looks further."""
    return "assphrase must be specified" in str(exc)


# What asyncssh's errors mean, where only their words or their way tell.


def not_shared(exc: asyncssh.KeyExchangeFailed) -> str:
    """The kind of algorithm that both sides have none of in common, such as "MAC"; empty for another failure."""
    shown = "No matching" in exc.reason
    return exc.reason.removeprefix("No matching ").partition(" algorithm")[0] if shown else ""


def is_keepalive_timeout(exc: asyncssh.ConnectionLost) -> bool:
    """Whether asyncssh gave the connection up because nothing answered its keepalives."""
    return "keepalive" in exc.reason


def found_no_connection(exc: Exception) -> bool:
    """Whether a channel was not opened because the connection ended: asyncssh raises what a server's refusal is too."""
    return isinstance(exc, asyncssh.ChannelOpenError) and exc.reason == "SSH connection closed"


def reason_of(exc: asyncssh.DisconnectError) -> str:
    """The text of a DISCONNECT, without the number that asyncssh adds to those of unknown codes."""
    return exc.reason.removesuffix(f" (error {exc.code})")


def is_from_other_side(exc: BaseException | None) -> TypeGuard[asyncssh.DisconnectError]:
    """Whether the other side's DISCONNECT ended a connection; to be asked before it is raised.

    The same classes stand for what asyncssh finds wrong. It raises those, while it makes one for a DISCONNECT and hands
    it on; and the two that it hands on as well have no words of another machine.
    """
    local = (asyncssh.ConnectionLost, asyncssh.PermissionDenied)
    return isinstance(exc, asyncssh.DisconnectError) and not isinstance(exc, local) and exc.__traceback__ is None


def came_with_bytes(exc: BaseException) -> bool:
    """Whether an error came up where asyncssh looks at bytes that have arrived: at once, or in a task made for them.

    Looks for ``_recv_data`` and ``_reap_task`` in the traceback.
    """
    frames = traceback.extract_tb(exc.__traceback__)
    return any(frame.filename.startswith(_ASYNCSSH) and frame.name in _TAKES_BYTES for frame in frames)
