"""Everything ssh_config says about one destination, as a value."""

from dataclasses import dataclass

from openclaw_tunnel.core.spec import Forward
from openclaw_tunnel.ssh_config.unsupported import Difference


@dataclass(frozen=True, slots=True)
class SshTarget:
    """One destination, resolved as the user's own ``ssh`` resolves it.

    A field that is named as a keyword of ssh_config is read by ``parse.py`` as what its default is. All paths are
    absolute, ``~`` and tokens expanded. Algorithm lists are in the user's order and never empty as
    OpenSSH prints them; ``()`` stands for "no list".

    Attributes:
        original: the destination as the user typed it.
        alias: its host part (``%n``).
        hostname, user, port: where to connect, and as whom.
        identity_files: private keys to try, in order; a file need not exist.
        identity_files_explicit: they were named by the user; False: OpenSSH's default list.
        identity_agent: socket of the agent; None: the one of ``SSH_AUTH_SOCK``; empty: no agent.
        proxy_jump: ``[user@]host[:port]`` of each hop, the first to dial first.
        proxy_command: shell command, tokens expanded, without ``exec``; empty: none.
        proxy_use_fdpass: the command hands over a socket instead of carrying the bytes.
        user_known_hosts_files: () for ``UserKnownHostsFile none``: no key of a user's file is trusted.
        revoked_host_keys: file of revoked keys; empty: none.
        known_hosts_command: as written, tokens not expanded: some are known only with the host's key.
        required_rsa_size: RSA keys of fewer bits are refused.
        ciphers: OpenSSH's own default list gets its AES-GCM ciphers first; a list of the user's stays as it is.
        preferred_authentications: () where the user has no preference.
        batch_mode: a person is asked nothing.
        password_prompts: how often a person is asked.
        address_family: ``any``, ``inet`` or ``inet6``.
        server_alive_interval: seconds; 0: none asked for.
        connect_timeout: seconds; None: none asked for.
        rekey_limit: (bytes, seconds), 0 for a default; None: both.
        local_forwards: every LocalForward with a TCP port or an absolute socket path on either side. A listen
            port without an address is 127.0.0.1, or 0.0.0.0 under ``GatewayPorts yes``.
        differences: directives that have another effect here than with ssh.
        files: what to watch: a change of one of them may change the outcome. Some may not exist.
    """

    original: str
    hostname: str
    user: str
    port: int
    alias: str = ""
    identity_files: tuple[str, ...] = ()
    identity_files_explicit: bool = False
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    identity_agent: str | None = None
    pubkey_authentication: bool = True
    proxy_jump: tuple[str, ...] = ()
    proxy_command: str = ""
    proxy_use_fdpass: bool = False
    user_known_hosts_files: tuple[str, ...] = ()
    global_known_hosts_files: tuple[str, ...] = ()
    host_key_alias: str = ""
    hash_known_hosts: bool = False
    update_host_keys: str = "false"
    revoked_host_keys: str = ""
    known_hosts_command: str = ""
    required_rsa_size: int = 1024
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    kex: tuple[str, ...] = ()
    host_key_algorithms: tuple[str, ...] = ()
    pubkey_accepted_algorithms: tuple[str, ...] = ()
    ca_signature_algorithms: tuple[str, ...] = ()
    preferred_authentications: tuple[str, ...] = ()
    password_authentication: bool = True
    kbd_interactive_authentication: bool = True
    password_prompts: int = 3
    batch_mode: bool = False
    compression: bool = False
    address_family: str = "any"
    bind_address: str = ""
    server_alive_interval: int = 0
    server_alive_count_max: int = 3
    connect_timeout: float | None = None
    tcp_keepalive: bool = True
    rekey_limit: tuple[int, int] | None = None
    local_forwards: tuple[Forward, ...] = ()
    differences: tuple[Difference, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """``user@host:port``, for display."""
        host = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return f"{self.user}@{host}:{self.port}"
