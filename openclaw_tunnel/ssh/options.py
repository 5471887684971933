"""SshTarget -> the explicit options asyncssh gets, so that it looks at no file and no agent of its own choice."""

from collections.abc import Sequence
from typing import Any

from openclaw_tunnel.core.failures import Code
from openclaw_tunnel.core.link import DialFailed
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.ssh import asyncssh_seams as seams
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh_config.query import SshTarget

_COMPRESSION = ("zlib@openssh.com", "zlib", "none")
_NOT_TRIED = ("keyboard-interactive", "password")  # asked for only to learn that the server offers them


def common_options(target: SshTarget, hop: Hop, host_key_algorithms: Sequence[str]) -> dict[str, Any]:
    """What every connection needs, also one that only fetches the host key.

    Args:
        host_key_algorithms: HostKeyAlgorithms with the known types first.

    Raises:
        DialFailed: NEGOTIATION: the settings leave no algorithm that asyncssh knows.
    """
    host_algorithms = (*seams.CERTIFICATES, *seams.SIGNATURES)
    return {
        "config": None,
        "username": target.user,
        "client_keys": None,
        "gss_host": None,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "connect_timeout": None,  # the caller's deadline covers this and more
        "login_timeout": 0,
        "tcp_keepalive": target.tcp_keepalive,
        "utf8_decode_errors": "replace",  # the words of a server are no reason to lose it
        "server_host_key_algs": known(host_key_algorithms, host_algorithms, "HostKeyAlgorithms", hop),
        "kex_algs": known(target.kex, seams.KEX_ALGORITHMS, "KexAlgorithms", hop),
        "encryption_algs": known(target.ciphers, seams.CIPHERS, "Ciphers", hop),
        "mac_algs": known(target.macs, seams.MACS, "MACs", hop),
        "compression_algs": known(
            _COMPRESSION if target.compression else ("none",), seams.COMPRESSIONS, "Compression", hop
        ),
    }


def login_options(target: SshTarget, hop: Hop, policy: Policy) -> dict[str, Any]:
    """What a connection needs beyond ``common_options`` to log in and to stay up.

    Raises:
        DialFailed: NEGOTIATION, as above.
    """
    allowed = target.preferred_authentications
    with_keys = target.pubkey_authentication and (not allowed or "publickey" in allowed)
    own_interval = target.server_alive_interval > 0
    rekey_bytes, rekey_seconds = target.rekey_limit or (0, 0)
    return {
        **({"rekey_bytes": rekey_bytes} if rekey_bytes else {}),
        **({"rekey_seconds": rekey_seconds} if rekey_seconds else {}),
        "preferred_auth": [*(["publickey"] if with_keys else []), *_NOT_TRIED],
        "signature_algs": known(target.pubkey_accepted_algorithms, seams.SIGNATURES, "PubkeyAcceptedAlgorithms", hop),
        "keepalive_interval": target.server_alive_interval if own_interval else policy.keepalive_interval,
        "keepalive_count_max": target.server_alive_count_max if own_interval else policy.keepalive_count,
    }


def known(wanted: Sequence[str], available: Sequence[str], setting: str, hop: Hop) -> tuple[str, ...]:
    """Of the algorithms the user allows, those that asyncssh has, in the user's order; () is asyncssh's own default.

    Raises:
        DialFailed: NEGOTIATION: none is left.
    """
    chosen = tuple(name for name in wanted if name in available)
    if wanted and not chosen:
        text = f"none of the algorithms of {setting} for {hop.typed} is available here: {', '.join(wanted)}"
        raise DialFailed(hop.failure(Code.NEGOTIATION, text))
    return chosen
