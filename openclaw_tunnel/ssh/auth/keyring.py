"""The keys of one login, one after the other, and what to say when none of them opens the door."""

import asyncio
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import asyncssh

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.host.loop.serial import Serial
from openclaw_tunnel.ssh.asyncssh_seams import certified_pair, sign_within
from openclaw_tunnel.ssh.auth.agent import AGENT_SECONDS, AgentAnswer, Keys, agent_path, ask_agent, close_agent
from openclaw_tunnel.ssh.auth.keyfiles import KeyFile, KeyState, import_certificate, load_private_key, look_at_files
from openclaw_tunnel.ssh.auth.offers import Offer, order_offers, plain_key
from openclaw_tunnel.ssh.deadline import Deadline, Request, no_deadline
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.knownhosts import describe_key, key_type
from openclaw_tunnel.ssh.words import clean
from openclaw_tunnel.ssh_config.query import SshTarget

T = TypeVar("T")

_FILES: Serial[Callable[[], Any], Any] = Serial("key files", lambda: lambda look: look())
_BEGIN = 'eval "$(ssh-agent -s)"'
_MOST_UNSIGNED = 3  # signatures in one dial that an agent does not give: it may ask a person for each of them
# As with ssh, a key file that the agent does not hold comes after all of the agent's keys, -i or not.
_TOO_MANY = (
    "the server hears only some keys: set IdentitiesOnly yes for this host in ssh_config, and the right IdentityFile; "
    "if the host has none of them, "
)


@dataclass(slots=True)
class KeyRing:
    """The keys of one login: made ready when the server asks, handed out one by one.

    Attributes:
        offered: what the server has been shown so far, as sentences show it.
        methods: other ways to log in that the server would take.
        only: the one public key that may be offered; empty: no such limit.
        deadline: stands still while the agent is asked.
        agent_seconds: what the agent has to list its keys.
        current: what was handed out last.
        taken: the key, as sentences show it, that the server took and asked a signature of; empty for none.
        unread: the files that were being read when this was cancelled.
    """

    target: SshTarget
    env: Mapping[str, str]
    offered: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    only: bytes = b""
    deadline: Deadline = field(default_factory=no_deadline)
    agent_seconds: float = AGENT_SECONDS
    current: Offer | None = None
    taken: str = ""
    unread: tuple[str, ...] = ()
    _files: list[KeyFile] = field(default_factory=list)
    _agent: AgentAnswer = field(default_factory=AgentAnswer)
    _waiting: list[Offer] | None = None
    _problems: list[str] = field(default_factory=list)
    _request: Request | None = None
    _unsigned: list[str] = field(default_factory=list)

    async def next_key(self) -> asyncssh.SSHKeyPair | None:
        """The next key to offer; None after the last one."""
        if self._waiting is None:
            self._waiting = list(await self.prepare())
        while self._waiting:
            offer = self._waiting.pop(0)
            if offer.from_agent and len(self._unsigned) >= _MOST_UNSIGNED:
                continue
            try:
                make = partial(self._pair, offer)
                pair = make() if offer.from_agent else await self._beside((offer.path,), make)
            except (OSError, ValueError) as exc:
                self._problems.append(f"{offer.path or 'a key of the agent'} {clean(str(exc))}")
                continue
            self.offered.append(_describe(offer, pair))
            self.current = offer
            sign_within(pair, partial(self._signing, offer))
            return pair
        return None

    def note_method(self, name: str) -> None:
        """The server would also take this method, which nobody is there for."""
        if name not in self.methods:
            self.methods.append(name)

    @contextmanager
    def _signing(self, offer: Offer) -> Iterator[None]:
        """The server has taken a key and waits for a signature; an agent may ask a person before it gives one."""
        key = self.taken = self.offered[-1]
        client = self._agent.client
        if not offer.from_agent or client is None:
            yield
            return
        request = self._request = self.deadline.ask(self._wish(offer), after=self.deadline.patience.notice)
        try:
            yield
        except ValueError:
            self._unsigned.append(key)
            if client.broken and self.deadline.has_waited(request):
                client.count_as_refusal()
            raise
        finally:
            self.deadline.answered(request)

    def _wish(self, offer: Offer) -> str:
        """What a person is asked to do so that the agent signs."""
        touch = "touch the security key, or " if key_type(offer.public).startswith("sk-") else ""
        return f"{touch}confirm the use of {self.taken} in the SSH agent ({clean(self._agent_socket)})"

    async def close(self) -> None:
        """Leave the agent; idempotent."""
        await close_agent(self._agent.client)

    @property
    def waits_for_person(self) -> bool:
        """The agent owes a signature for so long that it must be waiting for a touch or a confirmation."""
        owes = self._agent.client is not None and self._agent.client.signing
        return owes and self._request is not None and self.deadline.has_waited(self._request)

    def explain(self, hop: Hop, *, said: str = "") -> Failure:
        """The failure of a login that was denied.

        Args:
            said: the server's own words, if it hung up because of too many keys.
        """
        tried = f"offered: {', '.join(self.offered)}" if self.offered else "no key was offered"
        text = f"{hop.host} refused the login of {self.target.user} ({tried})"
        notes = [clean(said)] if said else []
        notes += self._problems + [f"{f.path} {f.problem}" for f in self._files if f.problem]
        if self.taken and not self._unsigned:
            notes.append(f"the server took {self.taken}, and wants more than a key")
        if self.methods:
            notes.append(f"the server also takes: {', '.join(self.methods)}")
        return self._cause(text, notes, hop, first=_TOO_MANY if said else "")

    def shortage(self, hop: Hop) -> Failure:
        """The failure of a login that has no key to offer, after :meth:`prepare`."""
        text = f"there is no key to log in to {hop.host} as {self.target.user} with"
        notes = [f"{f.path} {f.problem}" for f in self._files if f.problem]
        halves = [f.path for f in self._files if f.state is KeyState.PUBLIC]
        if halves and not self._agent_socket and not self._locked():
            why = f"of {halves[0]} only the public half is here, and there is no SSH agent: SSH_AUTH_SOCK is not set"
            step = f"start an SSH agent and load the key into it: {_BEGIN}; ssh-add {self._loadable()}".rstrip()
            return hop.failure(Code.AGENT_UNREACHABLE, _sentence(f"{text}: {why}", notes), step=step)
        return self._cause(text, notes, hop)

    def troubles(self, hop: Hop) -> list[Failure]:
        """What is wrong with keys and agent although there is a key to offer, after :meth:`prepare`."""
        found = []
        if self._agent.problem:
            found.append(hop.failure(Code.AGENT_UNREACHABLE, self._agent.problem, step=self._agent_step()))
        for file in self._files:
            text = f"{file.path} {file.problem}"
            if file.state is KeyState.EXPOSED:
                found.append(hop.failure(Code.KEY_EXPOSED, text, key=shlex.quote(file.path)))
            elif file.problem:
                hint = "name a key that can be used: IdentityFile in ssh_config, or -i FILE"
                found.append(hop.failure(Code.CONFIG, text, hint=hint))
        return found

    def _cause(self, text: str, notes: list[str], hop: Hop, *, first: str = "") -> Failure:
        """The failure, by what the keys and the agent lack; ``first`` is the step before a key is installed."""
        if self._agent.client and self._agent.client.refusals:
            return self._explain_refusal(hop)
        if problem := self._agent_problem():
            text = _sentence(f"{text}: {problem}", notes)
            return hop.failure(Code.AGENT_UNREACHABLE, text, step=self._agent_step())
        if locked := self._locked():
            return self._explain_locked(locked, text, notes, hop)
        if exposed := [f.path for f in self._files if f.state is KeyState.EXPOSED]:
            return hop.failure(Code.KEY_EXPOSED, _sentence(text, notes), key=shlex.join(exposed))
        if not self._agent.keys:
            first = self._before_installing() or first
        return hop.failure(Code.AUTH_DENIED, _sentence(text, notes), first=first)

    def _before_installing(self) -> str:
        """The step before a key is installed, where the agent has none; empty where a file has one."""
        unloaded = all(file.state is KeyState.PUBLIC for file in self._files)
        make = "" if self._files else "make a key with ssh-keygen -t ed25519, then "
        if not unloaded or not self._agent.client:
            return make
        load = f"load a key into the SSH agent: {self._agent_words()}ssh-add {self._loadable()}".rstrip()
        return f"{load}; if you have none, {make}" if make else f"{load}; otherwise "

    def _agent_words(self) -> str:
        """What has to come before ``ssh-add`` so that it asks the same agent."""
        socket = self.target.identity_agent
        return f"SSH_AUTH_SOCK={shlex.quote(socket)} " if socket else ""

    @property
    def _agent_socket(self) -> str:
        return agent_path(self.target.identity_agent, self.env)

    def _agent_step(self) -> str:
        """How to have an agent again where the one on the socket does not answer."""
        socket = shlex.quote(self._agent_socket)
        if self.target.identity_agent is not None:
            return f"start the program again that owns this socket (SSH_AUTH_SOCK={socket} ssh-add -l must answer)"
        new = f"{_BEGIN}; ssh-add {self._loadable()}".rstrip()
        return f"start the program again that owns this socket; for OpenSSH's agent: {new}; openclaw-tunnel restart"

    def _loadable(self) -> str:
        """The private key that belongs to a file of which it is not known whether it can be used without the agent."""
        wanted = (f.path.removesuffix(".pub") for f in self._files if f.state in (KeyState.PUBLIC, KeyState.LOCKED))
        return shlex.quote(path) if (path := next(wanted, "")) else ""

    def _explain_refusal(self, hop: Hop) -> Failure:
        keys = ", ".join(dict.fromkeys(self._unsigned))
        text = f"the SSH agent at {self._agent_socket} refused to sign with {keys}, which {hop.host} would accept"
        say_yes = "unlock the SSH agent, and confirm when it asks; "
        return hop.failure(Code.NOT_CONFIRMED, _sentence(text, self._problems), first=say_yes)

    def explain_silent_agent(self, hop: Hop) -> Failure:
        """The failure of a login that ended while the agent waited for a person."""
        text = f"the SSH agent at {self._agent_socket} did not sign with {self.taken}: it waits for a touch or a yes"
        first = "touch the key, or confirm in the SSH agent, when it asks; "
        return hop.failure(Code.NOT_CONFIRMED, text, first=first)

    def _explain_locked(self, locked: list[KeyFile], text: str, notes: list[str], hop: Hop) -> Failure:
        reasons = {
            KeyState.LOCKED: "is encrypted and not in the SSH agent",
            KeyState.TOUCH: "is on a security key that must be touched, which only the SSH agent can ask for",
        }
        why = ", ".join(f"{f.path} {reasons[f.state]}" for f in locked)
        agent = {"agent": self._agent_words()}
        if not self._agent_socket:  # nobody looks at one that is only now started
            agent = {"agent": f"{_BEGIN}; ", "then": "then bring the tunnel up again"}
        key = shlex.quote(locked[0].path)
        return hop.failure(Code.KEY_LOCKED, _sentence(f"{text}: {why}", notes), key=key, **agent)

    def _locked(self) -> list[KeyFile]:
        """Keys that were passed over because nobody can give a passphrase or a touch."""
        held = {plain_key(pair.public_data) for pair in self._agent.keys}
        shut = (KeyState.LOCKED, KeyState.TOUCH)
        return [f for f in self._files if f.state in shut and f.public not in held]

    def _agent_problem(self) -> str:
        if self._agent.client and self._agent.client.broken:
            return f"the SSH agent at {self._agent_socket} hung up instead of signing: {self._agent.client.broken}"
        return self._agent.problem

    @property
    def asked(self) -> bool:
        """The server has taken an interest in keys."""
        return self._waiting is not None

    @property
    def agent_keys(self) -> Keys | None:
        """See ``AgentAnswer.held``."""
        return self._agent.held

    @property
    def files(self) -> tuple[KeyFile, ...]:
        """The identity files that were looked at by ``prepare``."""
        return tuple(self._files)

    def comment_of(self, offer: Offer) -> str:
        """What the key's owner has called it; empty where that cannot be told."""
        try:
            return clean(self._pair(offer).get_comment(errors="replace") or "")
        except (OSError, ValueError):
            return ""

    async def prepare(self) -> tuple[Offer, ...]:
        """Look at the files, ask the agent, and say what will be offered."""
        target = self.target
        files = (*target.identity_files, *target.certificate_files)
        self._files, certificates = await self._beside(files, partial(look_at_files, target))
        with self.deadline.held():
            self._agent = await ask_agent(self._agent_socket, timeout=self.agent_seconds)
        blobs = [pair.public_data for pair in self._agent.keys]
        offers = order_offers(self._files, certificates, blobs, identities_only=target.identities_only)
        return tuple(o for o in offers if not self.only or (o.public == self.only and not o.certificate))

    async def _beside(self, files: tuple[str, ...], look: Callable[[], T]) -> T:
        """Look at files beside the event loop."""
        try:
            found: T = await _FILES.ask(files, look)
        except asyncio.CancelledError:
            self.unread = files
            raise
        return found

    def _pair(self, offer: Offer) -> asyncssh.SSHKeyPair:
        """The key pair asyncssh signs with.

        Raises:
            OSError, ValueError: the file has changed since, or certificate and key do not belong together.
        """
        if not offer.from_agent:
            key = load_private_key(offer.path)
            certificate = import_certificate(offer.certificate) if offer.certificate else None
            return asyncssh.load_keypairs([(key, certificate)] if certificate else [key])[0]
        exact = offer.certificate or offer.public
        for pair in self._agent.keys:
            if pair.public_data == exact:
                return pair
        plain = next(pair for pair in self._agent.keys if pair.public_data == offer.public)
        assert self._agent.client is not None  # noqa: S101  it has listed this key
        return certified_pair(self._agent.client, plain, import_certificate(offer.certificate))


def _describe(offer: Offer, pair: asyncssh.SSHKeyPair) -> str:
    kind = describe_key(offer.public) + (" with its certificate" if offer.certificate else "")
    if offer.path:
        return f"{offer.path} ({kind}{', from the agent' if offer.from_agent else ''})"
    comment = clean(pair.get_comment(errors="replace") or "")
    return f"{comment or 'a key'} of the agent ({kind})"


def _sentence(text: str, notes: Iterable[str]) -> str:
    return "; ".join([text, *notes])
