"""One attempt to get through to an SSH server: ssh -G, jump hosts or ProxyCommand, TCP, host key, login."""

import asyncio
import shlex
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import asyncssh

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.link import Asks, DialFailed, nobody_asked
from openclaw_tunnel.core.policy import Policy
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.errors import HelperError, NameNotFound, TunnelError
from openclaw_tunnel.ssh.auth.client import Listener, Login, no_trusted_keys
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.auth.prompts import Asker, AuthPrompts
from openclaw_tunnel.ssh.deadline import Patience, no_deadline
from openclaw_tunnel.ssh.failures import of_dial, of_os_error
from openclaw_tunnel.ssh.heard import Heard
from openclaw_tunnel.ssh.hop import Hop, show_address
from openclaw_tunnel.ssh.hostkeys.check import HostKeys
from openclaw_tunnel.ssh.hostkeys.knownhosts import is_certificate
from openclaw_tunnel.ssh.hungup import barred_by_proxy, briefly
from openclaw_tunnel.ssh.lookup import look_up
from openclaw_tunnel.ssh.options import common_options, login_options
from openclaw_tunnel.ssh.proxy import ProxyProcess
from openclaw_tunnel.ssh.tcp import connect_any
from openclaw_tunnel.ssh_config.destination import as_ssh_words
from openclaw_tunnel.ssh_config.query import SshTarget, resolve_ssh

TOO_MANY = "too many authentication failures"
"""What OpenSSH's server says, in lower case, when it hangs up on a client with many keys."""
_ASKING_SSH = "reading ssh_config"
_SILENT = (
    "something accepts connections on {host}, and then nothing follows: is that the port of the SSH server, is that "
    "computer overloaded, or does a VPN on the way lose large packets (MTU)"
)
_NO_SSH = "what answers on {host} is no SSH server, or none that is ready: it says '{words}'. Is that the right port"


class Resolve(Protocol):
    """``ssh_config.query.resolve_ssh``, or a stand-in."""

    async def __call__(
        self, target: str, *, ssh_config: str = "", identity: str = "", env: Mapping[str, str], timeout: float = 5.0
    ) -> SshTarget:
        """Ask ``ssh -G`` about ``target``."""


@dataclass(frozen=True, slots=True)
class DialOptions:
    """Where to dial, and with what.

    Attributes:
        typed: the destination.
        env: SSH_AUTH_SOCK, PATH, and what ProxyCommand gets.
        identity: the private key file to try first; empty: ssh_config decides.
        ssh_config: a file for ``ssh -F``; empty: the user's and the system's.
        resolve: asks ``ssh -G``.
        patience: how long persons are waited for.
        asks: takes what the agent, the server or a ProxyCommand asks a person to do.
    """

    typed: str
    env: Mapping[str, str]
    identity: str = ""
    ssh_config: str = ""
    resolve: Resolve = resolve_ssh
    policy: Policy = field(default_factory=Policy)
    patience: Patience | None = None
    asks: Asks = nobody_asked

    @classmethod
    def of_tunnel(cls, spec: TunnelSpec, env: Mapping[str, str], **others: Any) -> "DialOptions":
        """Those of a tunnel; ``others`` are what its specification does not have."""
        return cls(spec.target, env, spec.identity, spec.ssh_config, policy=spec.policy, **others)


@dataclass(frozen=True, slots=True)
class Way:
    """How to reach a server: what to hand to asyncssh, and the process behind it if it is a ProxyCommand's."""

    options: Mapping[str, Any]
    process: ProxyProcess | None = None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A connection that is up; ``tcp`` is the socket of the first hop, None where a proxy's process has it.

    ``ring`` has been closed: it tells which key was the last that the server was shown.
    """

    connection: asyncssh.SSHClientConnection
    login: Login
    hop: Hop
    target: SshTarget
    ring: KeyRing
    tcp: socket.socket | None = None


class Dial:
    """One attempt. It keeps track of where it is, so that a deadline can say what it cut short.

    Attributes:
        stack: closes everything that it opens; for the caller to close, also after a failure.
        deadline: what is left of its time; it stands still while a person is asked.
        ring: the keys of the last login that was tried.
        rings: those of every login that was tried.
        prompts: the questions of the last login that might ask any.
    """

    def __init__(self, options: DialOptions) -> None:
        self.options = options
        self.stack = AsyncExitStack()
        self.deadline = no_deadline()
        self._hop = Hop("", "")
        self._stage = ""
        self.ring: KeyRing | None = None
        self.rings: list[KeyRing] = []
        self.prompts: AuthPrompts | None = None
        self._login: Login | None = None
        self._socket: socket.socket | None = None
        self._heard: Heard | None = None
        self._accepted_by: Hop | None = None
        self._unread: tuple[str, ...] = ()

    async def resolve(self, typed: str, *, identity: str = "") -> tuple[SshTarget, Hop]:
        """What ssh_config says of a destination.

        Raises:
            DialFailed: CONFIG; HELPER or DNS where it may work the next time.
        """
        ssh_config, env = self.options.ssh_config, self.options.env
        self._at(Hop(typed, typed, ssh_config), _ASKING_SSH)
        try:
            target = await self.options.resolve(typed, ssh_config=ssh_config, identity=identity, env=env)
        except NameNotFound as exc:
            raise DialFailed(self._hop.failure(Code.DNS, exc.message)) from exc
        except HelperError as exc:
            raise DialFailed(self._hop.failure(Code.HELPER, exc.message, command=exc.command)) from exc
        except TunnelError as exc:
            raise DialFailed(self._hop.failure(Code.CONFIG, exc.message, hint=exc.hint)) from exc
        hop = Hop(typed, show_address(target.hostname, target.port), ssh_config)
        if target.known_hosts_command:
            # it may name revoked keys: not to ask it would be less strict than ssh
            text = f"ssh_config has a KnownHostsCommand for {typed}, which this program does not run"
            hint = "let it write to a file that UserKnownHostsFile names, or switch it off: KnownHostsCommand none"
            raise DialFailed(hop.failure(Code.CONFIG, text, hint=hint))
        return target, hop

    async def open_way(self, target: SshTarget, hop: Hop, seen: tuple[str, ...] = ()) -> Way:
        """Get to where the server's SSH protocol can begin.

        Raises:
            DialFailed: the way is barred.
        """
        if target.proxy_jump:
            if hop.host in seen or len(seen) > 16:
                text = f"ProxyJump leads in a circle: {' -> '.join([*seen, hop.host])}"
                asked = as_ssh_words(hop.typed, hop.ssh_config)
                raise DialFailed(hop.failure(Code.CONFIG, text, hint=f"see ProxyJump in: ssh -G {asked}"))
            return Way({"tunnel": await self._jump(target.proxy_jump, (*seen, hop.host))})
        if target.proxy_command:
            if target.proxy_use_fdpass:
                text = f"ProxyUseFdpass is set for {hop.typed}, and this program cannot use it"
                raise DialFailed(hop.failure(Code.CONFIG, text, hint="let ProxyCommand carry the bytes itself"))
            return await self._start_proxy(target.proxy_command, hop)
        self._at(hop, "looking up its address")
        try:
            addresses = await look_up(target.hostname, target.port, target.address_family)
        except OSError as exc:
            raise DialFailed(of_os_error(exc, hop)) from exc
        self._at(hop, "connecting")
        sock = await connect_any(addresses, hop, bind_address=target.bind_address)
        self.stack.callback(sock.close)
        self._socket, self._accepted_by = sock, hop
        return Way({"sock": sock})

    async def log_in(
        self, target: SshTarget, hop: Hop, way: Way, ask: Asker | None = None, only: bytes = b""
    ) -> LoggedIn:
        """Exchange keys with a server and log in.

        Args:
            ask: a person, for when keys do not open the door; None: nobody is there.
            only: the public key, in wire format, that alone is offered; empty: all there are.

        Raises:
            DialFailed: it is the wrong host, it will not have us, or it is no SSH server.
        """
        host_keys = await self._known_keys(target, hop)
        policy, deadline = self.options.policy, self.deadline
        seconds = policy.connect_timeout
        ring = self.ring = KeyRing(target, self.options.env, only=only, deadline=deadline, agent_seconds=seconds)
        self.rings.append(ring)
        pausing = partial(deadline.held, renew=True)
        prompts = self.prompts = AuthPrompts(target, hop, ask, pausing) if ask else None
        heard = self._heard = Heard(deadline, hop, way.process)
        login = self._login = Login(host_keys, ring, heard, prompts)
        self.stack.push_async_callback(ring.close)
        options = {
            **common_options(target, hop, host_keys.order(target.host_key_algorithms)),
            **login_options(target, hop, policy),
            **way.options,
        }
        if prompts:
            options["preferred_auth"] = prompts.order(options["preferred_auth"])
        self._at(hop, "exchanging keys")
        try:
            connection = await asyncssh.connect(
                target.hostname, target.port, client_factory=lambda: login, known_hosts=no_trusted_keys, **options
            )
        except Exception as exc:
            asked = ring if login.is_encrypted else None
            raise DialFailed(host_keys.failure or await _explain(exc, asked, hop, heard)) from exc
        heard.login_done()
        self.stack.push_async_callback(close_connection, connection)
        await ring.close()
        return LoggedIn(connection, login, hop, target, ring, self._socket)

    async def fetch_host_key(self, target: SshTarget, hop: Hop, way: Way) -> bytes:
        """The plain host key of a server, in wire format, without logging in; the server has proved that it has it.

        The types known for the host are asked for first, so that the answer can be compared with what is known.

        Raises:
            DialFailed: it is no SSH server, or it hung up.
        """
        ordered = (await self._known_keys(target, hop)).order(target.host_key_algorithms)
        plain = [name for name in ordered if not is_certificate(name)]
        self._at(hop, "exchanging keys")
        heard = self._heard = Heard(self.deadline, hop, way.process)
        try:
            common = common_options(target, hop, plain)
            options = asyncssh.SSHClientConnectionOptions(client_factory=lambda: Listener(heard), **common)
            # Its own arguments win over the options, also where they are not given.
            own = {name: common[name] for name in ("server_host_key_algs", "kex_algs")}
            key = await asyncssh.get_server_host_key(
                target.hostname, target.port, config=None, options=options, **own, **way.options
            )
        except Exception as exc:
            raise DialFailed(await _explain(exc, None, hop, heard)) from exc
        heard.login_done()
        return key.public_data if key else b""

    async def _known_keys(self, target: SshTarget, hop: Hop) -> HostKeys:
        self._at(hop, "reading known_hosts")
        try:
            return await HostKeys.load(target, hop)
        except asyncio.CancelledError:
            self._unread = (*target.user_known_hosts_files, *target.global_known_hosts_files)
            raise

    def out_of_time(self) -> Failure:
        """The failure of this attempt when its deadline has passed."""
        if files := self._unread or (self.ring.unread if self.ring else ()):
            failure = self._slow_files(shlex.join(files))
        elif self.ring and self.ring.waits_for_person:
            failure = self.ring.explain_silent_agent(self._hop)
        else:
            failure = (self._heard and self._heard.unanswered()) or self._too_slow(self.deadline.seconds)
        return replace(failure, said=self._heard.said if self._heard else "")

    def _slow_files(self, files: str) -> Failure:
        text = f"could not be read within {self.deadline.seconds:g} s: {files}"
        return self._hop.failure(Code.HELPER, text, command=f"cat {files}")

    def _too_slow(self, seconds: float) -> Failure:
        hop, stage = self._hop, self._stage
        if self._login and self._login.host_key and stage == "exchanging keys":
            stage = "logging in"
        if stage == _ASKING_SSH:
            command = f"ssh -G {as_ssh_words(hop.typed, hop.ssh_config)}"
            return hop.failure(Code.HELPER, f"{command} did not answer within {seconds:g} s", command=command)
        if stage == "looking up its address":
            return hop.failure(Code.DNS, f"cannot find the address of {hop.name}: no answer within {seconds:g} s")
        text = f"{hop.host} did not answer within {seconds:g} s ({stage})"
        if hop == self._accepted_by and stage == "exchanging keys":
            words = self._heard.opening.lines if self._heard else []
            question = _NO_SSH.format(host=hop.host, words=briefly(words)) if words else _SILENT.format(host=hop.host)
            return hop.failure(Code.TIMEOUT, text, stage=stage, question=question)
        return hop.failure(Code.TIMEOUT, text, stage=stage)

    async def _jump(self, hops: tuple[str, ...], seen: tuple[str, ...]) -> asyncssh.SSHClientConnection:
        """Log in to jump hosts one behind the other; the first may itself be behind others."""
        target, hop = await self.resolve(hops[0])
        connection = (await self.log_in(target, hop, await self.open_way(target, hop, seen))).connection
        for name in hops[1:]:
            target, hop = await self.resolve(name)
            connection = (await self.log_in(target, hop, Way({"tunnel": connection}))).connection
        return connection

    async def _start_proxy(self, command: str, hop: Hop) -> Way:
        self._at(hop, "running ProxyCommand")
        try:
            process = await ProxyProcess.start(command, self.options.env)
        except OSError as exc:
            text = f"ProxyCommand for {hop.host} cannot be started: {exc.strerror}"
            raise DialFailed(hop.failure(Code.PROXY, text)) from exc
        self.stack.push_async_callback(process.close)
        return Way({"sock": process.socket}, process)

    def _at(self, hop: Hop, stage: str) -> None:
        self._hop, self._stage = hop, stage


async def _explain(exc: Exception, ring: KeyRing | None, hop: Hop, heard: Heard) -> Failure:
    """The failure of a login, with all that the other side said.

    Args:
        ring: None where no login has begun: until then, anybody on the way can say that it was refused.
    """
    if isinstance(exc, asyncssh.ConnectionLost | OSError):
        await heard.to_the_end()
    return replace(_why(exc, ring, hop, heard), said=heard.said)


def _why(exc: Exception, ring: KeyRing | None, hop: Hop, heard: Heard) -> Failure:
    if ring and ring.waits_for_person:
        return ring.explain_silent_agent(hop)
    if unanswered := heard.unanswered():
        return unanswered
    if ring and isinstance(exc, asyncssh.PermissionDenied):
        return ring.explain(hop)
    if ring and isinstance(exc, asyncssh.DisconnectError) and TOO_MANY in exc.reason.lower():
        return ring.explain(hop, said=exc.reason)
    failure = of_dial(exc, hop, heard.opening)
    if heard.process and failure.code is Code.NOT_SSH and not heard.opening.speaks_ssh:
        words = next(reversed(heard.of_proxy), "") or briefly(heard.opening.lines) or "it ended"
        return barred_by_proxy(hop, heard.of_proxy, words)
    return failure


async def close_connection(connection: asyncssh.SSHClientConnection) -> None:
    """Close an SSH connection; returns within a second whatever the other side does."""
    connection.close()
    try:
        async with asyncio.timeout(1.0):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()
