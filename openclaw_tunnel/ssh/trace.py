"""The way to an SSH server, taken as a tunnel would take it, with a note of every stage that went well."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.link import Asks, DialFailed, nobody_asked
from openclaw_tunnel.core.spec import TunnelSpec
from openclaw_tunnel.ssh.auth.agent import agent_path
from openclaw_tunnel.ssh.auth.keyring import KeyRing
from openclaw_tunnel.ssh.connection import under_deadline
from openclaw_tunnel.ssh.dial import Dial, DialOptions, LoggedIn, Resolve, Way
from openclaw_tunnel.ssh.failures import of_bug
from openclaw_tunnel.ssh.hop import Hop, show_address
from openclaw_tunnel.ssh.hostkeys.knownhosts import describe_key
from openclaw_tunnel.ssh.link import SshLink
from openclaw_tunnel.ssh_config.query import resolve_ssh
from openclaw_tunnel.ssh_config.target import SshTarget


@dataclass(frozen=True, slots=True)
class Keys:
    """What there is to log in with.

    Attributes:
        offers: how many keys would be shown to the server.
        first: the first of them, or its file; empty for one that has no file.
        only_agent: all of them are the SSH agent's.
        agent: the agent's socket; empty for none.
        agent_is_session: it is the one of SSH_AUTH_SOCK, not one that ssh_config names.
        shortage: why a login has to fail; None where there is something to offer.
        troubles: what is wrong all the same.
    """

    offers: int
    first: str
    only_agent: bool
    agent: str
    agent_is_session: bool
    shortage: Failure | None
    troubles: tuple[Failure, ...]


@dataclass(slots=True)
class Trace:
    """How far it went; empty or None where it did not come to that.

    Attributes:
        address: the IP address and port that answered; empty also behind a ProxyCommand or a jump host.
        reached: the way to the server is open: addresses, TCP, jump hosts.
        host_key: ``ED25519 SHA256:...``, which known_hosts has.
        key: what the server let us in with.
        link: the connection; the caller closes it.
        failure: why it ended.
    """

    address: str = ""
    reached: bool = False
    host_key: str = ""
    key: str = ""
    link: SshLink | None = field(default=None, repr=False)
    failure: Failure | None = None


async def look_at_keys(target: SshTarget, *, ssh_config: str, env: Mapping[str, str]) -> Keys:
    """Look at the key files and ask the agent, as a login does; nothing is sent to the server."""
    hop = Hop(target.original, show_address(target.hostname, target.port), ssh_config)
    ring = KeyRing(target, env)
    try:
        offers = await ring.prepare()
        return Keys(
            offers=len(offers),
            first=offers[0].path if offers else "",
            only_agent=bool(offers) and all(offer.from_agent for offer in offers),
            agent=agent_path(target.identity_agent, env),
            agent_is_session=target.identity_agent is None,
            shortage=None if offers else ring.shortage(hop),
            troubles=tuple(ring.troubles(hop)) if offers else (),
        )
    finally:
        await ring.close()


async def trace(
    spec: TunnelSpec, *, env: Mapping[str, str], resolve: Resolve = resolve_ssh, asks: Asks = nobody_asked
) -> Trace:
    """Dial once, within the deadline of a tunnel.

    Args:
        env: SSH_AUTH_SOCK, PATH, and what ProxyCommand gets.
        resolve: asks ``ssh -G``.
        asks: takes what a person is asked to do meanwhile.
    """
    found = Trace()

    async def log_in(dial: Dial, target: SshTarget, hop: Hop, way: Way) -> LoggedIn:
        found.reached = True
        if not target.proxy_jump and not way.process:
            host, port = way.options["sock"].getpeername()[:2]
            found.address = show_address(host, port)
        return await dial.log_in(target, hop, way)

    try:
        options = DialOptions.of_tunnel(spec, env, resolve=resolve, asks=asks)
        logged_in, stack = await under_deadline(Dial(options), log_in)
    except DialFailed as failed:
        found.failure = failed.failure.with_facts(to=str(spec.main.to), name=spec.name)
        return found
    except Exception as error:
        found.failure = of_bug(error, Hop(spec.target, spec.address or spec.target, spec.ssh_config))
        return found
    found.host_key = describe_key(logged_in.login.host_key)
    found.key = next(reversed(logged_in.ring.offered), "")
    found.link = SshLink(logged_in, stack)
    return found
