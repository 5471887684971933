"""Everything that can go wrong with a tunnel, as data: what it is called, who must act, what to do next.

Each code has a cause (``core.retry``), which says whether the tunnel tries again with backoff or the dial ends in
FAILED, with the retry plan of its cause.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any

from openclaw_tunnel.core.retry import BACKING_OFF, PLANS, Cause, Plan
from openclaw_tunnel.errors import ExitCode


class Code(StrEnum):
    """The stable name of a kind of failure, as ``status --json`` shows it."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    NO_ROUTE = "no_route"
    NOT_SSH = "not_ssh"
    PROXY = "proxy"
    PROXY_DENIED = "proxy_denied"
    NEGOTIATION = "negotiation"
    AUTH_DENIED = "auth_denied"
    KEY_LOCKED = "key_locked"
    KEY_EXPOSED = "key_exposed"
    AGENT_UNREACHABLE = "agent_unreachable"
    NOT_CONFIRMED = "not_confirmed"
    HELPER = "helper"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    HOST_KEY_REVOKED = "host_key_revoked"
    FORWARDING_FORBIDDEN = "forwarding_forbidden"
    PORT_IN_USE = "port_in_use"
    PORT_NOT_ALLOWED = "port_not_allowed"
    CONFIG = "config"
    LOST = "lost"
    KEEPALIVE_TIMEOUT = "keepalive_timeout"
    NOT_LISTENING = "not_listening"
    NOT_A_GATEWAY = "not_a_gateway"
    LOOP = "loop"
    GATEWAY_STARTING = "gateway_starting"
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    GATEWAY_HOST = "gateway_host"
    TUNNEL_DOWN = "tunnel_down"
    GATEWAY_IDENTITY = "gateway_identity"
    PROTOCOL_MISMATCH = "protocol_mismatch"
    AUTH_FAILED = "auth_failed"
    AUTH_MISSING = "auth_missing"
    RATE_LIMITED = "rate_limited"
    DEVICE_REFUSED = "device_refused"
    PAIRING_REQUIRED = "pairing_required"
    LIMITED_SCOPE = "limited_scope"
    CALL_REFUSED = "call_refused"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Kind:
    """What all failures of one code have in common.

    ``hint`` may use ``{name}`` fields; they are filled from ``Failure.facts`` (``{target}``: the target as
    the user typed it, ``{ssh}``: the same as arguments of ssh, ``{host}``: ``host:port``, and what the code's row below
    names). ``usual`` has the values of fields that a failure may leave out.
    """

    cause: Cause
    exit_code: ExitCode
    hint: str
    usual: Mapping[str, str] = field(default_factory=dict, hash=False)


def _of(cause: Cause, exit_code: ExitCode, hint: str, **usual: str) -> Kind:
    return Kind(cause, exit_code, hint, usual)


_passing = partial(_of, Cause.PASSING)
_unreachable = partial(_passing, ExitCode.UNREACHABLE)
_refused = partial(_passing, ExitCode.GATEWAY_REFUSED)
_login = partial(_of, Cause.LOGIN, ExitCode.LOGIN)
_host_key = partial(_of, Cause.LOCAL_FILES, ExitCode.HOST_KEY)
_local_port = partial(_of, Cause.LOCAL_PORT, ExitCode.LOCAL_PORT)

KINDS: Mapping[Code, Kind] = MappingProxyType(
    {
        Code.DNS: _unreachable(
            "check the spelling of the host and that this computer is online: ssh -G {ssh} shows the name"
        ),
        Code.REFUSED: _unreachable(
            "is the SSH server running on {host}, and is that its port? On that machine: systemctl status ssh{start}",
            start="",
        ),
        Code.TIMEOUT: _unreachable(
            "{question}? Try: ssh -v {ssh}",
            question="is the host switched on, and reachable from this network (VPN, firewall)",
        ),
        Code.NO_ROUTE: _unreachable(
            "{first}check the network, or the VPN the host is behind",
            first="this computer has no way to that address: ",
        ),
        Code.NOT_SSH: _unreachable(
            "{advice}; try: ssh -v {ssh}",
            advice="what answers there is no SSH server, or hangs up at once: check host and port",
        ),
        Code.PROXY: _unreachable("the way through ProxyCommand or ProxyJump failed: try it with: ssh -v {ssh}"),
        Code.PROXY_DENIED: _passing(
            ExitCode.LOGIN,
            "the program of ProxyCommand could not log in where it leads through: try it with: ssh -v {ssh}",
        ),
        Code.NEGOTIATION: _of(
            Cause.SERVER_RULES,
            ExitCode.UNREACHABLE,
            "client and server share no algorithm: see Ciphers, MACs, KexAlgorithms and HostKeyAlgorithms in: "
            "ssh -G {ssh}",
        ),
        Code.AUTH_DENIED: _login(
            "{first}install a key of yours on the host with: ssh-copy-id {ssh}, or name the right one with -i FILE "
            "(IdentityFile in ssh_config)",
            first="",
        ),
        Code.KEY_LOCKED: _login(
            "load the key into the SSH agent, {then}: {agent}ssh-add {key}",
            then="and the tunnel connects automatically",
            agent="",
        ),
        Code.KEY_EXPOSED: _of(
            Cause.LOCAL_FILES,
            ExitCode.LOGIN,
            "let nobody else read the key, then the tunnel tries again: chmod 600 {key}",
        ),
        Code.AGENT_UNREACHABLE: _of(
            Cause.AGENT_AWAY,
            ExitCode.LOGIN,
            "{step}, or name a key file with -i FILE",
            step="start or restart the SSH agent (ssh-add -l must answer)",
        ),
        # A touch, an agent's prompt, a login in the browser: nobody answered, or somebody said no.
        Code.NOT_CONFIRMED: _of(
            Cause.PERSON,
            ExitCode.LOGIN,
            "{first}try again when you can answer: openclaw-tunnel restart {name}",
            first="",
        ),
        # ssh -G, ssh-keygen: it timed out, could not be started, or failed for a reason that passes.
        Code.HELPER: _passing(
            ExitCode.CONFIG, "nothing to do if it passes: the tunnel tries again; to see it yourself: {command}"
        ),
        Code.HOST_KEY_UNKNOWN: _host_key(
            "{first}compare the fingerprint with the host's own, then remember the key: {trust}",
            first="",
        ),
        Code.HOST_KEY_CHANGED: _host_key(
            "do not go on unless you know why it changed (host reinstalled?); then replace the old key: {trust}",
        ),
        Code.HOST_KEY_REVOKED: _host_key(
            "this key is marked as revoked in {file}: do not connect; ask whoever runs the host for a new one, and "
            "once it has that: {trust}",
        ),
        Code.FORWARDING_FORBIDDEN: _of(
            Cause.SERVER_RULES,
            ExitCode.FORWARDING,
            "on the host, allow it for this user in sshd_config: AllowTcpForwarding yes (or local), and PermitOpen, "
            "if set, must list {to}; then there: systemctl reload ssh",
        ),
        Code.PORT_IN_USE: _local_port(
            "{step}, or {otherwise}",
            step="stop what uses the port",
            otherwise="choose another local port: -p PORT, or -p auto",
        ),
        Code.PORT_NOT_ALLOWED: _local_port(
            "choose {another}",
            another="a local port of 1024 or above (-p PORT) on an address of this computer (--bind ADDR)",
        ),
        Code.CONFIG: _of(Cause.LOCAL_FILES, ExitCode.CONFIG, "{hint}"),
        Code.LOST: _unreachable("nothing to do: the tunnel reconnects by itself"),
        Code.KEEPALIVE_TIMEOUT: _unreachable("nothing to do: the tunnel reconnects as soon as the network lets it"),
        Code.NOT_LISTENING: _passing(
            ExitCode.NOT_LISTENING,
            "start the gateway on {target}: openclaw gateway run; if it listens there on another port than {to}, "
            "say so: -r PORT",
        ),
        Code.NOT_A_GATEWAY: _passing(
            ExitCode.NOT_A_GATEWAY,
            "something else answers on {to} of {target}: give the gateway's own port (there: openclaw config get "
            "gateway.port) with -r PORT",
        ),
        Code.LOOP: _passing(
            ExitCode.NOT_A_GATEWAY,
            "{to} of {target} is a local port of the tunnel itself: give the port that is meant, {step}",
            step="the gateway's own (there: openclaw config get gateway.port), with -r PORT",
        ),
        Code.GATEWAY_STARTING: _passing(
            ExitCode.NOT_LISTENING, "nothing to do: the gateway on {target} is starting, the tunnel waits for it"
        ),
        Code.GATEWAY_UNREACHABLE: _passing(
            ExitCode.NOT_LISTENING, "the gateway on {target} does not answer: look at its log there: openclaw logs"
        ),
        Code.TUNNEL_DOWN: _unreachable("on the computer of that tunnel, see what it needs: openclaw-tunnel status"),
        Code.GATEWAY_HOST: _unreachable(
            "check the host in the gateway's URL, and that this computer is online (VPN, firewall)"
        ),
        # As with an SSH host key: nothing is sent to a server that is not the one expected.
        Code.GATEWAY_IDENTITY: _passing(
            ExitCode.HOST_KEY,
            "compare with the gateway's own certificate (on its host: openssl x509 -noout -fingerprint -sha256 -in "
            "CERTIFICATE); if it was renewed, set gateway.remote.tlsFingerprint to the new one",
        ),
        Code.PROTOCOL_MISMATCH: _passing(
            ExitCode.NOT_A_GATEWAY,
            "update OpenClaw on {target} or openclaw-tunnel here, whichever is older: openclaw update, "
            "pip install -U openclaw-tunnel",
        ),
        # What the gateway refuses does not end a tunnel: its clients bring credentials of their own.
        Code.AUTH_FAILED: _refused(
            "set the {credential} that the gateway on {target} has in gateway.auth.{credential}: "
            "openclaw config set gateway.remote.{credential} VALUE, or --{credential}-file FILE",
        ),
        Code.AUTH_MISSING: _refused(
            "give the {credential} that the gateway on {target} has in gateway.auth.{credential}: "
            "openclaw config set gateway.remote.{credential} VALUE, or --{credential}-file FILE",
        ),
        Code.RATE_LIMITED: _refused(
            "wait {wait}, and find out which client keeps sending the gateway on {target} a wrong token or password"
        ),
        Code.DEVICE_REFUSED: _refused(
            "check that the clocks of both computers agree to the minute, and on {target}: openclaw devices list"
        ),
        Code.PAIRING_REQUIRED: _refused("on the gateway's host run: openclaw devices approve {request}"),
        Code.LIMITED_SCOPE: _refused(
            "ask the gateway's owner for {scope}: on {target}, openclaw devices list shows who may do what"
        ),
        Code.CALL_REFUSED: _passing(
            ExitCode.NO, "check the method's name and --params against the documentation of OpenClaw {version}"
        ),
        Code.BUG: _passing(
            ExitCode.BUG,
            "this is a bug of openclaw-tunnel, which tries again; the log has the details: openclaw-tunnel logs",
        ),
    }
)


class _Facts(dict[str, str]):
    """A fact nobody supplied reads as its own name in capitals, as in a usage line."""

    def __missing__(self, key: str) -> str:
        return key.upper()


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong.

    Attributes:
        code: which row of ``KINDS`` it is.
        message: what happened, to what; one line, without secret.
        facts: values for the ``{fields}`` of the code's hint.
        said: what the other side said (a banner, its words when it hung up, a proxy's standard error): lines without
            control characters, 2 KB at most; empty for nothing.
    """

    code: Code
    message: str
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    said: str = ""

    @property
    def cause(self) -> Cause:
        """What has to change before another try can succeed."""
        return KINDS[self.code].cause

    @property
    def plan(self) -> Plan:
        """When a tunnel that this failure stopped tries again although nobody asks."""
        return PLANS[self.cause]

    @property
    def permanent(self) -> bool:
        """True where a dial that ends with it ends in FAILED."""
        return self.cause not in BACKING_OFF

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a command that ends with this failure."""
        return KINDS[self.code].exit_code

    @property
    def hint(self) -> str:
        """The next step for the user."""
        kind = KINDS[self.code]
        return kind.hint.format_map(_Facts({**kind.usual, **self.facts}))

    def with_facts(self, **facts: str) -> "Failure":
        """The same failure, with facts added where it does not have them yet."""
        return replace(self, facts={**facts, **self.facts})

    def to_json(self, at: str | None = None) -> dict[str, Any]:
        """The ``failure`` object of ``status --json``; ``at`` is an RFC 3339 time."""
        return {
            "code": str(self.code),
            "message": self.message,
            "hint": self.hint,
            "permanent": self.permanent,
            "exit_code": int(self.exit_code),
            "at": at,
            "said": self.said or None,
        }
