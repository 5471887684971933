"""Where a gateway is reached without a tunnel: its URL, who may be spoken to in plain text, and the pin. Pure."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from openclaw_tunnel.errors import ConfigError

ALLOW_VARIABLE = "OPENCLAW_ALLOW_INSECURE_PRIVATE_WS"
"""With the value ``1`` in the environment, plain ``ws://`` may also go to private addresses."""

_SCHEMES = {"ws": False, "http": False, "wss": True, "https": True}
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_COLONS = re.compile(r"(?:[0-9a-fA-F]{2}:){31}[0-9a-fA-F]{2}")
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        "100.64.0.0/10",  # carrier-grade NAT, which Tailscale uses
        *("::1/128", "fe80::/10", "fec0::/10", "fc00::/7"),
    )
)


@dataclass(frozen=True, slots=True)
class GatewayUrl:
    """A ``ws://`` or ``wss://`` URL taken apart; ``path`` begins with a slash and includes the query."""

    secure: bool
    host: str
    port: int
    path: str = "/"

    @property
    def name(self) -> str:
        """``host:port`` as messages and the Host header have it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.name}{self.path.partition('?')[0]}"


def parse_url(text: str) -> GatewayUrl:
    """Take a gateway's URL apart; ``http`` and ``https`` mean ``ws`` and ``wss``, as OpenClaw reads them.

    Raises:
        ConfigError: it is no such URL, or holds a user name or password. The text itself is not repeated where it
            may hold a secret.
    """
    hint = "write ws://127.0.0.1:18789 or wss://gateway.example"
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("the gateway's URL cannot be read", hint=hint) from None
    if (
        parts.scheme.lower() not in _SCHEMES
        or not host
        or any(c.isspace() or not c.isprintable() for c in text.strip())
    ):
        raise ConfigError("the gateway's URL is no ws:// or wss:// URL with a host", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the gateway's URL holds a user name or password", hint="give the token on its own")
    secure = _SCHEMES[parts.scheme.lower()]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or port == 0:
        raise ConfigError("the gateway's URL cannot be read", hint=hint)
    return GatewayUrl(secure, host, port or (443 if secure else 80), path)


def url_allowed(url: GatewayUrl, variable: str | None) -> bool:
    """Whether credentials and chat may go there, which in plain text they may only on this computer.

    Private addresses are allowed too where the user says so, by ``OPENCLAW_ALLOW_INSECURE_PRIVATE_WS=1`` in the
    environment (there is no setting for it): OpenClaw's documented rule. A name is allowed then as well, but only
    if the address it leads to is :func:`peer_allowed`; who connects has to check that.

    Args:
        variable: the value of that environment variable; None where it is not set.
    """
    if url.secure or is_loopback(url.host):
        return True
    return variable == "1" and (is_private(url.host) or not _is_address(url.host))


def peer_allowed(url: GatewayUrl, variable: str | None, address: str) -> bool:
    """Whether anything may be sent to the IP ``address`` that a name of :func:`url_allowed` has led to."""
    return url.secure or is_loopback(address) or (variable == "1" and is_private(address))


def require_allowed(url: GatewayUrl, variable: str | None) -> None:
    """Let :func:`url_allowed` pass.

    Raises:
        ConfigError: plain text may not go there.
    """
    if url_allowed(url, variable):
        return
    way_out = "" if variable == "1" else f"; for a trusted private network only, set {ALLOW_VARIABLE}=1"
    raise ConfigError(
        f"plain ws:// to {url.name} would show the credentials to the network",
        hint=f"use wss://, or a tunnel: openclaw-tunnel up USER@HOST{way_out}",
    )


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL has it, is this computer."""
    if host.lower().rstrip(".") == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """Whether an IP address is loopback, private, link-local or of carrier-grade NAT; False for a name."""
    address = _address(host)
    return address is not None and any(address in network for network in _PRIVATE)


def parse_fingerprint(text: str) -> bytes:
    """Read ``gateway.remote.tlsFingerprint``: 64 hexadecimal digits, also in pairs with colons, also after ``sha256:``.

    Returns:
        The 32 bytes of the SHA-256 of the server's certificate.

    Raises:
        ConfigError: it is no such fingerprint.
    """
    bare = re.sub(r"^sha256:", "", text.strip(), flags=re.IGNORECASE)
    if _HEX.fullmatch(bare) or _COLONS.fullmatch(bare):
        return bytes.fromhex(bare.replace(":", ""))
    raise ConfigError(
        "the TLS fingerprint is no SHA-256 of a certificate",
        hint="openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE prints it",
    )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_address(host: str) -> bool:
    # 127.1, 0x7f000001 and 2130706433 are addresses to the resolver, and a name to nobody
    return _address(host) is not None or re.fullmatch(r"[0-9.]+|0[xX][0-9a-fA-F.xX]+", host) is not None
