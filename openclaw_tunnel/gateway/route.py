"""The ways to a gateway: a channel of an SSH link, or a connection of our own (TCP or TLS). One shape for both."""

import asyncio
import hashlib
import hmac
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, cast

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Channel, ChannelFailed, Link
from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.gateway.frames import words
from openclaw_tunnel.gateway.url import GatewayUrl, peer_allowed, require_allowed

_TLS_GOODBYE = 0.5
"""Seconds for the far end to answer the end of a TLS session."""


class Route(Protocol):
    """A way to a gateway, which can be taken any number of times."""

    @property
    def name(self) -> str:
        """The gateway as ``host:port``, or the path of its socket: for messages."""

    @property
    def host(self) -> str:
        """The Host header."""

    @property
    def path(self) -> str:
        """The path of the WebSocket, query included."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What else every request carries; may be secret."""

    @property
    def layer(self) -> str:
        """What opening it is called: ``channel``, ``tcp`` or ``tls``."""

    async def open(self, receiver: asyncio.Protocol, *, timeout: float) -> Channel:
        """Open a byte stream; ``receiver`` gets what arrives, by the rules of :class:`core.link.Channel`.

        Raises:
            ChannelFailed: it could not be opened, or not within ``timeout`` seconds.
            LinkLost: the SSH connection is gone.
        """


@dataclass(frozen=True, slots=True)
class LinkRoute:
    """A channel of an SSH connection: no local port is needed."""

    headers: ClassVar[Mapping[str, str]] = MappingProxyType({})
    layer = "channel"

    link: Link
    to: Endpoint
    path: str = "/"

    @property
    def name(self) -> str:
        return str(self.to)

    @property
    def host(self) -> str:
        return "localhost" if self.to.path else str(self.to)

    async def open(self, receiver: asyncio.Protocol, *, timeout: float) -> Channel:
        return await self.link.open_channel(self.to.path or self.to.host, self.to.port, receiver, timeout=timeout)


@dataclass(frozen=True, slots=True)
class UrlRoute:
    """A connection of our own to a ``ws://`` or ``wss://`` URL.

    Args:
        pin: SHA-256 of the only certificate that is accepted; it takes the place of all other checks, as in OpenClaw.
            Empty: the certificate must be valid for the host.
        allow_private: value of ``OPENCLAW_ALLOW_INSECURE_PRIVATE_WS``.
        headers: for the request for a WebSocket (``gateway.remote.edgeAuth``); only with ``wss://``.
        trust: the certificates to trust; None: the system's.

    Raises:
        ConfigError: plain text may not go there, see :func:`openclaw_tunnel.gateway.url.url_allowed`.
    """

    url: GatewayUrl
    pin: bytes = b""
    allow_private: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    trust: ssl.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require_allowed(self.url, self.allow_private)
        if not self.url.secure and (self.pin or self.headers):
            raise ConfigError(
                f"{self.url} is not encrypted: it can have neither a TLS fingerprint nor edgeAuth headers",
                hint="use a wss:// URL, or take gateway.remote.tlsFingerprint and gateway.remote.edgeAuth out",
            )

    @property
    def name(self) -> str:
        return self.url.name

    @property
    def host(self) -> str:
        return self.url.name

    @property
    def path(self) -> str:
        return self.url.path

    @property
    def layer(self) -> str:
        return "tls" if self.url.secure else "tcp"

    async def open(self, receiver: asyncio.Protocol, *, timeout: float) -> Channel:
        loop = asyncio.get_running_loop()
        adapter = _Adapter(receiver, self._fault_of_peer)
        tls: dict[str, Any] = {}
        if self.url.secure:
            tls = {
                "ssl": self._context(),
                "server_hostname": self.url.host,
                "ssl_handshake_timeout": timeout,
                "ssl_shutdown_timeout": _TLS_GOODBYE,
            }
        try:
            async with asyncio.timeout(timeout):
                await loop.create_connection(lambda: adapter, self.url.host, self.url.port, **tls)
        except (OSError, ValueError) as error:  # ValueError: a name that no resolver or certificate can have
            raise ChannelFailed(self._failure(error, timeout)) from None
        if adapter.fault is not None:
            raise ChannelFailed(adapter.fault)
        return adapter

    def _context(self) -> ssl.SSLContext:
        if not self.pin:
            return self.trust or ssl.create_default_context()
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the pin is checked instead, before anything is sent
        return context

    def _fault_of_peer(self, transport: asyncio.BaseTransport) -> Failure | None:
        """Why nothing may be sent to whoever was reached."""
        if self.pin:
            certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
            found = hashlib.sha256(certificate).digest()
            if not hmac.compare_digest(found, self.pin):
                return self._fail(
                    Code.GATEWAY_IDENTITY,
                    f"{self.name} has another certificate than gateway.remote.tlsFingerprint says: "
                    f"sha256:{found.hex()} (nothing was sent)",
                )
        address = str((transport.get_extra_info("peername") or ("an unknown address",))[0])
        if not peer_allowed(self.url, self.allow_private, address):
            return self._fail(
                Code.GATEWAY_IDENTITY,
                f"{self.name} leads to {address}: credentials do not go there in plain text (nothing was sent)",
            )
        return None

    def _failure(self, error: Exception, timeout: float) -> Failure:
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = words(error.verify_message) or "it cannot be verified"
            return self._fail(Code.GATEWAY_IDENTITY, f"the certificate of {self.name} is not trusted: {reason}")
        if isinstance(error, ssl.SSLError):
            return self._fail(Code.NOT_A_GATEWAY, f"what answers on {self.name} does not speak TLS as wss:// needs it")
        if isinstance(error, ConnectionRefusedError):
            return self._fail(Code.NOT_LISTENING, f"nothing listens on {self.name}")
        if isinstance(error, TimeoutError):
            return self._fail(Code.GATEWAY_HOST, f"{self.name} did not accept a connection within {timeout:g} s")
        if isinstance(error, socket.gaierror | ValueError):
            return self._fail(Code.GATEWAY_HOST, f"no address is known for {self.url.host}")
        reason = getattr(error, "strerror", None) or words(str(error))
        return self._fail(Code.GATEWAY_HOST, f"{self.name} cannot be reached: {reason}")

    def _fail(self, code: Code, message: str) -> Failure:
        return Failure(code, message, {"target": self.url.host, "to": self.name})


class _Adapter(asyncio.Protocol):
    """An asyncio transport as a :class:`Channel`; its receiver hears nothing of a peer that is not the right one."""

    def __init__(self, receiver: asyncio.Protocol, fault_of: Callable[[asyncio.BaseTransport], Failure | None]) -> None:
        self._receiver = receiver
        self._fault_of = fault_of
        self.fault: Failure | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.fault = self._fault_of(transport)
        if self.fault is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.fault is None:
            self._receiver.data_received(data)

    def eof_received(self) -> bool:
        if self.fault is None:
            self._receiver.eof_received()
        return not self._transport.get_extra_info("ssl_object")  # TLS has no half-closed state

    def pause_writing(self) -> None:
        self._receiver.pause_writing()

    def resume_writing(self) -> None:
        self._receiver.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.fault is None:
            self._receiver.connection_lost(exc)

    # What whoever opened it calls.

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()
