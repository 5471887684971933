"""The gateway's host, this computer and a person, as `setup` deals with them: other implementations for tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, GatewayStatus, Snapshot, Verdict
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.gateway.probe import ProbeResult
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.openclaw.remote_host import FarGateway
from openclaw_tunnel.ssh.auth.prompts import Asker, Prompt, Question
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey, KeyToMake
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys.check import HostKeys
from openclaw_tunnel.ssh.hostkeys.trust import Found, remember
from support.sshtargets import make_target

KEY = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32
BY_KEY = HowIn("publickey", "/home/me/.ssh/id_ed25519 (ED25519 SHA256:x)")
TOKEN = "gateway-token-1"
WITH_TOKEN = FarGateway(
    "/home/far/.openclaw/openclaw.json", auth_mode="token", token=Secret(TOKEN), token_source="its token"
)


@dataclass
class FakeHost:
    """A host; every attribute is how it is.

    Attributes:
        folder: where known_hosts lies.
        how: the login where a key is accepted; ``password`` is asked for until one is.
        chosen: the key to install.
        ports: what answers where; every other port refuses.
        calls: what was asked of it, in order.
    """

    folder: Path
    password: str = ""
    how: HowIn = field(default_factory=lambda: BY_KEY)
    chosen: ChosenKey | KeyToMake = field(default_factory=lambda: KeyToMake("/home/me/.ssh/id_ed25519"))
    settings: FarGateway = field(default_factory=lambda: WITH_TOKEN)
    ports: Mapping[int, Verdict] = field(default_factory=lambda: {18789: Verdict.HEALTHY})
    forwards: tuple[Any, ...] = ()
    target: str = "me@gateway-host"
    calls: list[str] = field(default_factory=list)
    made_with: tuple[str, str] = ("", "")

    def made(self, identity: str, ssh_config: str) -> "FakeHost":
        """As ``MakeHost``."""
        self.made_with = identity, ssh_config
        return self

    async def look(self) -> Found:
        """See ``FarHost``."""
        target = make_target(
            hostname="gateway.example",
            user="me",
            user_known_hosts_files=(str(self.folder / "known_hosts"),),
            local_forwards=self.forwards,
        )
        host_keys = await HostKeys.load(target, Hop(self.target, "gateway.example:22"))
        verdict = host_keys.verdict(KEY)
        return Found(Hop(self.target, "gateway.example:22"), target, KEY, verdict, host_keys.explain(verdict, KEY))

    def remember(self, found: Found) -> Path:
        """See ``FarHost``."""
        self.calls.append("remember")
        return remember(found, replace=False)

    async def log_in(self, ask: Asker | None) -> HowIn:
        """See ``FarHost``."""
        self.calls.append("log in")
        if not self.password:
            return self.how
        refused = TunnelError("refused the login", hint="install a key", exit_code=ExitCode.LOGIN)
        if ask is None:
            raise refused
        prompts = (Prompt("password: ", False),)
        answers = await ask(Question("password", "me", "gateway.example:22", prompts))
        if answers != [self.password]:
            raise refused
        return HowIn("password")

    async def choose_key(self) -> ChosenKey | KeyToMake:
        """See ``FarHost``."""
        return self.chosen

    def make_key(self, path: str) -> ChosenKey:
        """See ``FarHost``."""
        self.calls.append(f"make {path}")
        return ChosenKey(path, KEY, "me@here", in_file=True, in_agent=False)

    async def install(self, key: ChosenKey) -> None:
        """See ``FarHost``."""
        self.calls.append(f"install {key.path}")
        self.password = ""

    async def gateway(self) -> FarGateway:
        """See ``FarHost``."""
        return self.settings

    async def probe(self, port: int) -> ProbeResult:
        """See ``FarHost``."""
        verdict = self.ports.get(port)
        if verdict is None:
            failure = Failure(Code.NOT_LISTENING, f"nothing listens on 127.0.0.1:{port}")
            return ProbeResult(GatewayStatus(Verdict.NOT_LISTENING), failure)
        failed = None if verdict is Verdict.HEALTHY else Failure(Code.GATEWAY_STARTING, "the gateway is starting")
        return ProbeResult(GatewayStatus(verdict, "2026.9.6"), failed)

    async def close(self) -> None:
        """See ``FarHost``."""
        self.calls.append("close")


@dataclass
class FakeComputer:
    """This computer; ``taken``: who has a port; ``problem``: why there can be no service; ``raises``: by command."""

    taken: dict[int, str] = field(default_factory=dict)
    problem: str = ""
    installed: bool = False
    tunnel: Snapshot | None = None
    code: int = 0
    raises: dict[str, TunnelError] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def running(self, name: str) -> Snapshot | None:
        """See ``Computer``."""
        return self.tunnel if self.tunnel and self.tunnel.name == name else None

    def close(self, name: str) -> None:
        """See ``Computer``."""
        self.calls.append(f"close {name}")
        self.tunnel = None

    def why_taken(self, port: int) -> str:
        """See ``Computer``."""
        return self.taken.get(port, "")

    def no_service(self) -> str:
        """See ``Computer``."""
        return self.problem

    def has_service(self, name: str) -> bool:
        """See ``Computer``."""
        return self.installed

    def command(self, *arguments: str) -> int:
        """See ``Computer``."""
        self.calls.append(" ".join(arguments))
        if error := self.raises.get(arguments[0]):
            raise error
        return self.code

    def opened(self, local: int = 18789, remote: int = 18789, state: State = State.UP) -> None:
        """The tunnel runs."""
        forward = ForwardStatus(f"127.0.0.1:{local}", f"127.0.0.1:{remote}", True)
        target = "me@gateway.example:22"
        self.tunnel = Snapshot("default", state, "2026-11-22T06:00:00Z", target, "me@gateway-host", (forward,))
