"""Which keys are offered, in OpenSSH's order, and what to say when none of them opens the door."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from openclaw_tunnel.config.sshconfig import SshTarget
from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.ssh.agent import AgentAnswer, agent_path, ask_agent, close_agent
from openclaw_tunnel.ssh.keyfiles import (
    KeyFile,
    KeyState,
    certified_key,
    import_certificate,
    load_private_key,
    read_certificate_file,
    read_key_file,
)
from openclaw_tunnel.ssh.knownhosts import describe_key, is_certificate, key_type, rsa_bits
from openclaw_tunnel.ssh.place import Place, clean

_BEGIN = 'eval "$(ssh-agent -s)"'
# As with ssh, a key file that the agent does not hold comes after all of the agent's keys, -i or not.
_TOO_MANY = (
    "the server hears only some keys: set IdentitiesOnly yes for this host in ssh_config, and the right IdentityFile; "
    "if the host has none of them, "
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One key to try.

    Attributes:
        public: the plain public key in wire format.
        certificate: the certificate to present with it; empty for none.
        path: the key's file; empty for a key that only the agent has.
        from_agent: the agent signs, not the file.
    """

    public: bytes
    certificate: bytes = b""
    path: str = ""
    from_agent: bool = False


def order_offers(
    files: Sequence[KeyFile],
    certificates: Sequence[KeyFile],
    agent: Sequence[bytes],
    *,
    identities_only: bool,
) -> tuple[Offer, ...]:
    """All keys that can be tried, in the order of OpenSSH's ``pubkey_prepare``.

    Certificates of CertificateFile come first, then the agent's keys that an IdentityFile names, the agent's other
    keys (unless IdentitiesOnly), and at last the keys that only files hold. A certificate that lies beside its key
    (``FILE-cert.pub``) follows it, and only counts where there is no CertificateFile.

    Args:
        files: the identity files that exist.
        certificates: the certificate files that exist.
        agent: what the agent holds, keys and certificates, in wire format.
    """
    ready = {f.public: f.path for f in files if f.state is KeyState.READY}
    named: list[Offer] = []
    for file in files:
        named.append(Offer(file.public, path=file.path))
        if file.certificate and not certificates:
            named.append(Offer(file.public, file.certificate, file.path))
    first = [Offer(c.public, c.certificate, ready.get(c.public, c.path)) for c in certificates]
    listed, others = [], []
    for blob in agent:
        certificate = blob if is_certificate(key_type(blob)) else b""
        match = next((o for o in named if (o.certificate or o.public) == blob), None)
        if match:
            listed.append(match)
        elif not identities_only:
            others.append(Offer(_plain(blob), certificate))
    rest = [o for o in named if o not in listed]
    ordered = dict.fromkeys([*first, *listed, *others, *rest])
    signers = ((o, o.public in agent or o.certificate in agent) for o in ordered)
    return tuple(
        Offer(o.public, o.certificate, o.path, from_agent)
        for o, from_agent in signers
        if from_agent or o.public in ready
    )


def _plain(blob: bytes) -> bytes:
    return certified_key(blob) if is_certificate(key_type(blob)) else blob


@dataclass(slots=True)
class KeyRing:
    """The keys of one login: made ready when the server asks, handed out one by one.

    Attributes:
        offered: what the server has been shown so far, as sentences show it.
        methods: other ways to log in that the server would take.
        only: the one public key that may be offered; empty: no such limit.
        current: what was handed out last.
        taken: the key, as sentences show it, that the server took and asked a signature of; empty for none.
    """

    target: SshTarget
    env: Mapping[str, str]
    offered: list[str] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    only: bytes = b""
    current: Offer | None = None
    taken: str = ""
    _files: list[KeyFile] = field(default_factory=list)
    _agent: AgentAnswer = field(default_factory=AgentAnswer)
    _waiting: list[Offer] | None = None
    _problems: list[str] = field(default_factory=list)

    async def next_key(self) -> asyncssh.SSHKeyPair | None:
        """The next key to offer; None after the last one."""
        if self._waiting is None:
            self._waiting = list(await self.prepare())
        while self._waiting:
            offer = self._waiting.pop(0)
            try:
                pair = self._pair(offer)
            except (OSError, ValueError) as exc:
                self._problems.append(f"{offer.path or 'a key of the agent'} {clean(str(exc))}")
                continue
            self.offered.append(_describe(offer, pair))
            self.current = offer
            _when_signing(pair, self._note_taken)
            return pair
        return None

    def note_method(self, name: str) -> None:
        """The server would also take this method, which nobody is there for."""
        if name not in self.methods:
            self.methods.append(name)

    def _note_taken(self) -> None:
        self.taken = self.offered[-1]

    async def close(self) -> None:
        """Leave the agent; idempotent."""
        await close_agent(self._agent.client)

    @property
    def waits_for_agent(self) -> bool:
        """True while the agent owes a signature: it may be waiting for a touch or a confirmation."""
        return self._agent.client is not None and self._agent.client.signing

    def explain(self, place: Place, *, said: str = "") -> Failure:
        """The failure of a login that was denied.

        Args:
            said: the server's own words, if it hung up because of too many keys.
        """
        tried = f"offered: {', '.join(self.offered)}" if self.offered else "no key was offered"
        text = f"{place.host} refused the login of {self.target.user} ({tried})"
        notes = [clean(said)] if said else []
        notes += self._problems + [f"{f.path} {f.problem}" for f in self._files if f.problem]
        if self.taken and not self._agent_problem():
            notes.append(f"the server took {self.taken}, and wants more than a key")
        if self.methods:
            notes.append(f"the server also takes: {', '.join(self.methods)}")
        return self._cause(text, notes, place, first=_TOO_MANY if said else "")

    def shortage(self, place: Place) -> Failure:
        """The failure of a login that has no key to offer, after :meth:`prepare`."""
        text = f"there is no key to log in to {place.host} as {self.target.user} with"
        notes = [f"{f.path} {f.problem}" for f in self._files if f.problem]
        halves = [f.path for f in self._files if f.state is KeyState.PUBLIC]
        if halves and not self._agent_socket and not self._locked():
            why = f"of {halves[0]} only the public half is here, and there is no SSH agent: SSH_AUTH_SOCK is not set"
            step = f"start an SSH agent and load the key into it: {_BEGIN}; ssh-add {self._loadable()}".rstrip()
            return place.failure(Code.AGENT_UNREACHABLE, _sentence(f"{text}: {why}", notes), step=step)
        return self._cause(text, notes, place)

    def troubles(self, place: Place) -> list[Failure]:
        """What is wrong with keys and agent although there is a key to offer, after :meth:`prepare`."""
        found = []
        if self._agent.problem:
            found.append(place.failure(Code.AGENT_UNREACHABLE, self._agent.problem, step=self._agent_step()))
        for file in self._files:
            text = f"{file.path} {file.problem}"
            if file.state is KeyState.EXPOSED:
                found.append(place.failure(Code.KEY_EXPOSED, text, key=shlex.quote(file.path)))
            elif file.problem:
                hint = "name a key that can be used: IdentityFile in ssh_config, or -i FILE"
                found.append(place.failure(Code.CONFIG, text, hint=hint))
        return found

    def _cause(self, text: str, notes: list[str], place: Place, *, first: str = "") -> Failure:
        """The failure, by what the keys and the agent lack; ``first`` is the step before a key is installed."""
        if problem := self._agent_problem():
            step = {} if self._agent.client else {"step": self._agent_step()}
            return place.failure(Code.AGENT_UNREACHABLE, _sentence(f"{text}: {problem}", notes), **step)
        if locked := self._locked():
            return self._explain_locked(locked, text, notes, place)
        if exposed := [f.path for f in self._files if f.state is KeyState.EXPOSED]:
            return place.failure(Code.KEY_EXPOSED, _sentence(text, notes), key=shlex.join(exposed))
        if not self._files and not self._agent.keys:
            first = "make a key with ssh-keygen -t ed25519, then "
        return place.failure(Code.AUTH_DENIED, _sentence(text, notes), first=first)

    @property
    def _agent_socket(self) -> str:
        return agent_path(self.target.identity_agent, self.env)

    def _agent_step(self) -> str:
        """How to have an agent again on the socket where none answers."""
        socket = shlex.quote(self._agent_socket)
        load = f"SSH_AUTH_SOCK={socket} ssh-add {self._loadable()}".rstrip()
        own = f"rm -f {socket}; ssh-agent -a {socket}; {load}"
        return f"start the program again that has this socket; for OpenSSH's agent: {own}"

    def _loadable(self) -> str:
        """The private key that belongs to a file of which it is not known whether it can be used without the agent."""
        wanted = (f.path.removesuffix(".pub") for f in self._files if f.state in (KeyState.PUBLIC, KeyState.LOCKED))
        return shlex.quote(path) if (path := next(wanted, "")) else ""

    def explain_silent_agent(self, place: Place) -> Failure:
        """The failure of a login that ran out of time while the agent owed a signature."""
        key = self.offered[-1] if self.offered else "a key"
        text = f"the SSH agent did not sign with {key}: it may wait for a touch or a confirmation"
        return place.failure(Code.AGENT_UNREACHABLE, text)

    def _explain_locked(self, locked: list[KeyFile], text: str, notes: list[str], place: Place) -> Failure:
        reasons = {
            KeyState.LOCKED: "is encrypted and not in the SSH agent",
            KeyState.TOUCH: "is on a security key that must be touched, which only the SSH agent can ask for",
        }
        why = ", ".join(f"{f.path} {reasons[f.state]}" for f in locked)
        socket = self.target.identity_agent
        agent = f"SSH_AUTH_SOCK={shlex.quote(socket)} " if socket else "" if self._agent_socket else f"{_BEGIN}; "
        key = shlex.quote(locked[0].path)
        return place.failure(Code.KEY_LOCKED, _sentence(f"{text}: {why}", notes), key=key, agent=agent)

    def _locked(self) -> list[KeyFile]:
        """Keys that were passed over because nobody can give a passphrase or a touch."""
        held = {_plain(pair.public_data) for pair in self._agent.keys}
        shut = (KeyState.LOCKED, KeyState.TOUCH)
        return [f for f in self._files if f.state in shut and f.public not in held]

    def _agent_problem(self) -> str:
        if self._agent.client and self._agent.client.refused:
            return f"the SSH agent would not sign: {self._agent.client.refused}"
        return self._agent.problem

    @property
    def asked(self) -> bool:
        """The server has taken an interest in keys."""
        return self._waiting is not None

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
        self._files = [f for path in target.identity_files if (f := self._look_at(path))]
        certificates = [c for path in target.certificate_files if (c := read_certificate_file(path))]
        self._agent = await ask_agent(agent_path(target.identity_agent, self.env))
        blobs = [pair.public_data for pair in self._agent.keys]
        offers = order_offers(self._files, certificates, blobs, identities_only=target.identities_only)
        return tuple(o for o in offers if not self.only or (o.public == self.only and not o.certificate))

    def _look_at(self, path: str) -> KeyFile | None:
        """A key file that is there; of one the user has named, also that it is not there or too short."""
        file = read_key_file(path)
        if file is None and self.target.identity_files_explicit:
            return KeyFile(path, KeyState.UNUSABLE, problem="does not exist")
        required = self.target.required_rsa_size
        if file and 0 < rsa_bits(file.public) < required:
            return KeyFile(path, KeyState.UNUSABLE, problem=f"has less than the {required} bits of RequiredRSASize")
        return file

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
        pair = asyncssh.SSHAgentKeyPair(self._agent.client, plain.algorithm, plain.public_data, b"")  # type: ignore
        pair.set_certificate(import_certificate(offer.certificate))
        return pair


def _when_signing(pair: asyncssh.SSHKeyPair, call: Callable[[], None]) -> None:
    """Have ``call`` called when a signature is wanted: asyncssh does not tell of a key that is taken and not enough."""
    name = "sign_async" if hasattr(pair, "sign_async") else "sign"
    sign = getattr(pair, name)

    def noted(data: bytes) -> Any:
        call()
        return sign(data)

    setattr(pair, name, noted)


def _describe(offer: Offer, pair: asyncssh.SSHKeyPair) -> str:
    kind = describe_key(offer.public) + (" with its certificate" if offer.certificate else "")
    if offer.path:
        return f"{offer.path} ({kind}{', from the agent' if offer.from_agent else ''})"
    comment = clean(pair.get_comment(errors="replace") or "")
    return f"{comment or 'a key'} of the agent ({kind})"


def _sentence(text: str, notes: Iterable[str]) -> str:
    return "; ".join([text, *notes])
