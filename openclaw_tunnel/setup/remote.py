"""The steps of ``setup`` on the way to the gateway: host key, login, key, port, token."""

from typing import Any

from openclaw_tunnel.cli.commands.trust import check_key
from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.errors import ConfigError, ExitCode, TunnelError
from openclaw_tunnel.openclaw.credentials.secretref import Secret
from openclaw_tunnel.openclaw.remote_host import FarGateway
from openclaw_tunnel.setup.plan import Found, Known, Mark, Report, Wish, check_secret_text, choose_remote_port
from openclaw_tunnel.setup.prompts import Answers, not_agreed
from openclaw_tunnel.setup.sshhost import FarHost
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn
from openclaw_tunnel.ssh.enroll.keypair import KeyToMake
from openclaw_tunnel.ssh.hostkeys.trust import Found as HostKey
from openclaw_tunnel.ssh.hostkeys.trust import as_error, where_to_write
from openclaw_tunnel.ui import output

_LISTENS = (Verdict.HEALTHY, Verdict.STARTING)
_LAST_PORT = 65535
_TOKEN_FLAGS = "--yes, --token-file FILE or --no-token"  # noqa: S105  names of options

_ONLY_AGENT = "only your SSH agent has that key: the tunnel can log in while the agent runs"


class FarSteps:
    """Each step says what it found or did; what cannot go on raises TunnelError."""

    def __init__(self, wish: Wish, known: Known, host: FarHost, answers: Answers, report: Report) -> None:
        self._wish = wish
        self._known = known
        self._host = host
        self._answers = answers
        self._report = report
        self._name = wish.target

    async def run(self, seen: HostKey) -> Found:
        """All of them, in order; a dry run goes as far as it can look.

        Args:
            seen: what ``FarHost.look`` found.
        """
        address = seen.target.address
        if not await self._key(seen) or not await self._login():
            port = choose_remote_port(self._wish.remote_port, self._known.remote_port)
            self._report.done("gateway", Mark.WOULD, f"look for its port and its token on {seen.place.host}")
            return Found(address, port)
        self._report.doing(f"reading OpenClaw's settings on {self._name}")
        far = await self._host.gateway()
        if far.problem:
            output.note(far.problem)
        port = await self._port(far)
        kind, secret, is_set = await self._secret(far)
        return Found(address, port, kind, secret, can_ask=is_set)

    async def _key(self, seen: HostKey) -> bool:
        """Whether the host's key is known, at the end of it."""
        if check_key(seen, self._wish.fingerprint, False):
            self._report.done("host key", Mark.KEPT, f"{seen.shown} is known")
            return True
        file = where_to_write(seen)
        if self._wish.dry_run:
            self._report.done("host key", Mark.WOULD, f"remember {seen.shown} in {file}")
            return False
        if not self._wish.fingerprint:
            await self._agree_to_key(seen)
        self._host.remember(seen)
        self._report.done("host key", Mark.CHANGED, f"{seen.shown} is remembered in {file}")
        return True

    async def _agree_to_key(self, seen: HostKey) -> None:
        if self._answers.yes:
            output.warn(f"nobody compared the new key of {seen.place.host}: {seen.shown}; --fingerprint does")
            return
        agreed = await self._answers.confirm(
            f"{seen.place.host} shows a key that is new here: {seen.shown}. Is it the right one?",
            about=f"whether the key of {seen.place.host} is the right one",
            flag=f"--fingerprint {seen.fingerprint}, once you have compared it",
            default=False,
        )
        if not agreed:
            raise not_agreed("the host's key is not remembered")

    async def _login(self) -> bool:
        """Whether we are in."""
        asker = None if self._wish.dry_run else self._answers.asker
        self._report.doing(f"logging in to {self._name}")
        try:
            how = await self._host.log_in(asker)
        except TunnelError as error:
            if error.exit_code is not ExitCode.LOGIN or asker is not None:
                raise
            if self._wish.dry_run:
                self._report.done("login", Mark.WOULD, "ask for the password, and install a key")
                return False
            hint = "call it on a terminal, or with --password-file FILE, and it installs a key"
            raise TunnelError(error.message, hint=f"{error.hint}; or {hint}", exit_code=error.exit_code) from None
        if how.from_agent and not how.path:
            output.note(_ONLY_AGENT)
        if how.by_key:
            self._report.done("login", Mark.KEPT, f"with {how.key}" if how.key else "the server asks for nothing")
        else:
            await self._install(how)
        return True

    async def _install(self, how: HowIn) -> None:
        """A tunnel logs in with a key: nobody types a password for it at night."""
        key = await self._host.choose_key()
        about, flag = "whether to install a key on the host", "--yes"
        if isinstance(key, KeyToMake):
            question = f"Make a key without passphrase, {key.path}, and let {self._name} accept it?"
        else:
            question = f"Let {self._name} accept {key.path or 'the key of your agent'} ({key.shown})?"
        if not await self._answers.confirm(self._report.short(question), about=about, flag=flag):
            raise not_agreed(f"{self._name} accepts no key of yours, and a tunnel cannot log in with a {how.method}")
        if isinstance(key, KeyToMake):
            key = self._host.make_key(key.path)
            self._report.done("key", Mark.CHANGED, f"made {key.path}, without a passphrase")
        self._report.doing(f"installing the key on {self._name}")
        await self._host.install(key)
        self._report.done("login", Mark.CHANGED, f"{self._name} accepts {key.path or 'the key'} ({key.shown}) now")
        if key.only_in_agent:
            output.note(_ONLY_AGENT)

    async def _port(self, far: FarGateway) -> int:
        """The gateway's port there, at which it answers."""
        port = choose_remote_port(self._wish.remote_port, far.port or self._known.remote_port)
        while True:
            self._report.doing(f"asking 127.0.0.1:{port} of {self._name} whether it is the gateway")
            found = await self._host.probe(port)
            gateway, place = found.gateway, f"127.0.0.1:{port} of {self._name}"
            if gateway.verdict in _LISTENS:
                version = f", version {gateway.version}" if gateway.version else ""
                self._report.done("gateway", Mark.OK, f"{place}: {gateway.verdict}{version}")
                return port
            assert found.failure is not None  # noqa: S101  whatever is not well has a reason
            port = await self._other_port(found.failure, port, far)

    async def _other_port(self, failure: Failure, port: int, far: FarGateway) -> int:
        """Where else the gateway may be; the person knows, or it is the end."""
        if far.tls and not self._wish.remote_port:
            raise ConfigError(
                f"the gateway of {self._name} speaks TLS (gateway.tls.enabled), which setup cannot set up",
                hint=f"openclaw-tunnel up -d {self._name} --probe tcp opens the tunnel; gateway.remote.url and "
                "tlsFingerprint are yours to set",
            )
        end = as_error(failure.with_facts(target=self._name, ssh=self._name, to=f"127.0.0.1:{port}"))
        client = f"gateway.mode is remote in {far.path} there: set up the host of the gateway that it uses"
        hint = f"{client if far.mode == 'remote' else end.hint}; or say where it listens: --remote-port PORT"
        end = TunnelError(end.message, hint=hint, exit_code=end.exit_code)
        if self._answers.yes or self._wish.remote_port or self._wish.dry_run or not self._answers.can_ask:
            raise end
        output.note(end.message)
        said = await self._answers.text(
            "Port of the gateway there (empty: give up): ", about="the gateway's port", flag="--remote-port PORT"
        )
        if not (said.isascii() and said.isdigit() and 0 < int(said[:6]) <= _LAST_PORT):
            raise end
        return int(said)

    async def _secret(self, far: FarGateway) -> tuple[str, Secret | None, bool]:
        """Token or password; what is to be set, and whether there is one at the end."""
        kind = "password" if far.auth_mode == "password" and self._wish.token is None else "token"
        known = self._known.secrets.get(kind)
        if self._wish.no_token:
            self._report.done(kind, Mark.SKIPPED, "left as it is (--no-token)")
            return kind, None, bool(known)
        if self._wish.token is not None:
            return self._take(kind, self._wish.token, "what --token-file holds", known)
        if far.auth_mode == "none":
            self._report.done(kind, Mark.OK, "the gateway asks for none")
            return kind, None, True
        found, problem = (far.password, far.password_problem) if kind == "password" else (far.token, far.token_problem)
        if known and (found is None or _is_reference(known)):
            self._report.done(kind, Mark.KEPT, f"gateway.remote.{kind} stays as it is")
            return kind, None, True
        if found is not None and (found.reveal() == known or await self._may_take(kind, far)):
            source = far.password_source if kind == "password" else far.token_source
            return self._take(kind, found, f"{source} of {self._name}", known)
        if known:
            self._report.done(kind, Mark.KEPT, f"gateway.remote.{kind} stays as it is")
            return kind, None, True
        return await self._typed(kind, f"gateway.auth.{kind} there {problem}" if problem else "")

    async def _may_take(self, kind: str, far: FarGateway) -> bool:
        if self._wish.dry_run:
            return True
        return await self._answers.confirm(
            f"Take the gateway's {kind} from {self._name} ({far.path or 'its environment'})?",
            about=f"whether to take the gateway's {kind} from {self._name}",
            flag=_TOKEN_FLAGS,
        )

    def _take(self, kind: str, secret: Secret, source: str, known: Any) -> tuple[str, Secret | None, bool]:
        if secret.reveal() == known:
            self._report.done(kind, Mark.KEPT, f"gateway.remote.{kind} is the same as {source}")
            return kind, None, True
        check_secret_text(secret, source)
        if self._wish.dry_run:
            self._report.done(kind, Mark.WOULD, f"take {source}")
        else:
            self._report.done(kind, Mark.OK, source)
        return kind, secret, True

    async def _typed(self, kind: str, why: str) -> tuple[str, Secret | None, bool]:
        """What the person types; nothing is an answer, too: the tunnel itself needs none."""
        if self._wish.dry_run:
            self._report.done(kind, Mark.WOULD, f"ask for it: {why or f'nothing is known of a {kind} there'}")
            return kind, None, False
        if why:
            output.note(why)
        said = await self._answers.text(
            f"The gateway's {kind} (it is not shown; empty: none): ",
            about=f"the gateway's {kind}",
            flag="--token-file FILE or --no-token",
            hidden=True,
        )
        if said:
            return self._take(kind, Secret(said), "what was typed", None)
        self._report.done(kind, Mark.SKIPPED, "none is set: health, probe and call need one, the tunnel does not")
        return kind, None, False


def _is_reference(known: Any) -> bool:
    """A reference is the user's own arrangement."""
    return not isinstance(known, str) or "$" in known
