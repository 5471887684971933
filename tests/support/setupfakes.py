"""The gateway's host, this computer and a person, as `setup` deals with them: other implementations for tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.core.states import State
from openclaw_tunnel.core.status import ForwardStatus, Snapshot, Verdict
from openclaw_tunnel.errors import ExitCode, TunnelError
from openclaw_tunnel.gateway.verdict import Judgement
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.openclaw.remote_host import RemoteGateway
from openclaw_tunnel.setup.computer import ThisComputer
from openclaw_tunnel.setup.facts import Computer
from openclaw_tunnel.setup.remote import RemoteHost
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
WITH_TOKEN = RemoteGateway(
    "/home/far/.openclaw/openclaw.json", auth_mode="token", token=Secret(TOKEN), token_source="its token"
)


@dataclass
class FakeHost(RemoteHost):
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
    settings: RemoteGateway = field(default_factory=lambda: WITH_TOKEN)
    ports: Mapping[int, Verdict] = field(default_factory=lambda: {18789: Verdict.HEALTHY})
    forwards: tuple[Any, ...] = ()
    target: str = "me@gateway-host"
    calls: list[str] = field(default_factory=list)
    made_with: tuple[str, str] = ("", "")

    def made(self, identity: str, ssh_config: str) -> "FakeHost":
        """As the host is made by ``set_up``."""
        self.made_with = identity, ssh_config
        return self

    async def look(self) -> Found:
        """See ``RemoteHost``."""
        target = make_target(
            hostname="gateway.example",
            user="me",
            user_known_hosts_files=(str(self.folder / "known_hosts"),),
            local_forwards=self.forwards,
        )
        host_keys = await HostKeys.load(target, Hop(self.target, "gateway.example:22"))
        return Found(Hop(self.target, "gateway.example:22"), target, KEY, *host_keys.about(KEY))

    def remember(self, found: Found) -> Path:
        """See ``RemoteHost``."""
        self.calls.append("remember")
        return remember(found, replace=False)

    async def log_in(self, ask: Asker | None) -> HowIn:
        """See ``RemoteHost``."""
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
        """See ``RemoteHost``."""
        return self.chosen

    def make_key(self, path: str) -> None:
        """See ``RemoteHost``."""
        self.calls.append(f"make {path}")

    async def install(self, key: ChosenKey | KeyToMake) -> ChosenKey:
        """See ``RemoteHost``."""
        self.calls.append(f"install {key.path}")
        self.password = ""
        return ChosenKey(key.path, KEY, "me@here", True) if isinstance(key, KeyToMake) else key

    async def gateway(self) -> RemoteGateway:
        """See ``RemoteHost``."""
        return self.settings

    async def probe(self, port: int) -> Judgement:
        """See ``RemoteHost``."""
        verdict = self.ports.get(port)
        if verdict is None:
            failure = Failure(Code.NOT_LISTENING, f"nothing listens on 127.0.0.1:{port}")
            return Judgement(Verdict.NOT_LISTENING, failure=failure)
        failed = None if verdict is Verdict.HEALTHY else Failure(Code.GATEWAY_STARTING, "the gateway is starting")
        return Judgement(verdict, "2026.9.6", failed)

    async def close(self) -> None:
        """See ``RemoteHost``."""
        self.calls += ["close"] if "close" not in self.calls else []


@dataclass
class FakeComputer(ThisComputer):
    """This computer; ``taken``: who has a port; ``problem``: why there can be no service; ``raises``: by command."""

    taken: dict[int, str] = field(default_factory=dict)
    problem: str = ""
    installed: bool = False
    tunnel: Snapshot | None = None
    code: int = 0
    raises: dict[str, TunnelError] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def look(self, name: str) -> Computer:
        """See ``ThisComputer``."""
        running = self.tunnel if self.tunnel and self.tunnel.name == name else None
        return Computer(self.problem, self.installed, running)

    def why_taken(self, port: int) -> str:
        """See ``ThisComputer``."""
        return self.taken.get(port, "")

    def show(self, tunnel: Snapshot) -> None:
        """See ``ThisComputer``."""
        self.calls.append(f"wait {tunnel.name}")

    def open_tunnel(self, close: str = "") -> int:
        """See ``ThisComputer``."""
        self.calls += [f"close {close}"] if close else []
        self.calls.append("up -d")
        return self.code

    def install_service(self, *, yes: bool, replace: bool) -> int:
        """See ``ThisComputer``."""
        self.calls.append("service install" + " --yes" * yes + " --replace" * replace)
        return self.code

    def ask_health(self, name: str) -> None:
        """See ``ThisComputer``."""
        self._does("health", f"health -n {name}")

    def open_control_ui(self, name: str) -> None:
        """See ``ThisComputer``."""
        self._does("open", f"open {name}")

    def _does(self, what: str, call: str) -> None:
        self.calls.append(call)
        if what in self.raises:
            raise self.raises[what]

    def opened(self, local: int = 18789, remote: int = 18789, state: State = State.UP) -> None:
        """The tunnel runs."""
        forward = ForwardStatus(f"127.0.0.1:{local}", f"127.0.0.1:{remote}", True)
        target = "me@gateway.example:22"
        self.tunnel = Snapshot("default", state, "2026-11-22T06:00:00Z", target, "me@gateway-host", (forward,))
