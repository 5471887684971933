"""The gateway on its host: the port at which it answers, and its token or password. Pure."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from openclaw_tunnel.core.failures import Failure
from openclaw_tunnel.core.spec import DEFAULT_GATEWAY_PORT, LAST_PORT
from openclaw_tunnel.core.status import Verdict
from openclaw_tunnel.errors import ConfigError, CredentialError, TunnelError
from openclaw_tunnel.openclaw.credentials.secretref import Secret, holds_reference, read_input
from openclaw_tunnel.openclaw.remote_host import RemoteGateway
from openclaw_tunnel.setup.facts import Facts
from openclaw_tunnel.setup.steps import Answers, Look, Mark, Missing, Note, Options, Question, Step, answer_of
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn
from openclaw_tunnel.ssh.hostkeys.trust import as_error


@dataclass(frozen=True, slots=True)
class Discovered:
    """Where the gateway is, and what it asks for.

    Attributes:
        address: ``user@host:port`` of the SSH server.
        port: the gateway's, there.
        kind: ``token`` or ``password``.
        secret: what is to be set; None: nothing new.
        can_ask: it can be asked about its health: there is a secret, or it wants none.
    """

    address: str
    port: int
    kind: str = "token"
    secret: Secret | None = None
    can_ask: bool = False


Steps = Generator[Step | Note, None, Discovered]
Chosen = Generator[Step | Note, None, Secret | None]


def find_gateway(options: Options, facts: Facts, answers: Answers) -> Steps:
    """The steps; returns where the gateway is.

    Raises:
        Missing: something has to be looked at, or asked, first.
        TunnelError: it is not there, or its secret cannot be used.
    """
    assert facts.host is not None  # noqa: S101  one is logged in, or it is a dry run that has seen the key
    address, known = facts.host.target.address, facts.local.existing
    if not isinstance(facts.login, HowIn):
        yield Step("gateway", Mark.WOULD, f"look for its port and its token on {facts.host.hop.host}")
        return Discovered(address, options.remote_port or known.remote_port or DEFAULT_GATEWAY_PORT)
    remote = facts.remote
    if remote is None:
        raise Missing(Look("remote", f"reading OpenClaw's settings on {options.target}"))
    if remote.problem:
        yield Note(remote.problem)
    port = options.remote_port or remote.port or known.remote_port or DEFAULT_GATEWAY_PORT
    for number, probed in enumerate(facts.probes):
        place = f"127.0.0.1:{port} of {options.target}"
        if probed.failure is None or probed.verdict is Verdict.STARTING:
            version = f", version {probed.version}" if probed.version else ""
            yield Step("gateway", Mark.OK, f"{place}: {probed.verdict}{version}")
            break
        end = _not_there(probed.failure, port, options, remote)
        if options.remote_port or options.dry_run or not options.can_ask:
            raise end
        yield Note(end.message)
        port = _other_port(number, answers, end)
    else:
        doing = f"asking 127.0.0.1:{port} of {options.target} whether it is the gateway"
        raise Missing(Look("probes", doing, (port,)))
    kind = "password" if remote.auth_mode == "password" and options.token is None else "token"
    has = known.secrets.get(kind)
    secret = yield from _secret(kind, options, has, remote, answers)
    wants_none = remote.auth_mode == "none" and not options.no_token
    return Discovered(address, port, kind, secret, can_ask=bool(has or wants_none or secret is not None))


def _not_there(failure: Failure, port: int, options: Options, remote: RemoteGateway) -> TunnelError:
    """Why the gateway is not at that port, and where else it may be."""
    name = options.target
    if remote.tls and not options.remote_port:
        return ConfigError(
            f"the gateway of {name} speaks TLS (gateway.tls.enabled), which setup cannot set up",
            hint=f"openclaw-tunnel up -d {name} --probe tcp opens the tunnel; gateway.remote.url and "
            "tlsFingerprint are yours to set",
        )
    end = as_error(failure.with_facts(target=name, ssh=name, to=f"127.0.0.1:{port}"))
    client = f"gateway.mode is remote in {remote.path} there: set up the host of the gateway that it uses"
    hint = f"{client if remote.mode == 'remote' else end.hint}; or say where it listens: --remote-port PORT"
    return TunnelError(end.message, hint=hint, exit_code=end.exit_code)


def _other_port(number: int, answers: Answers, end: TunnelError) -> int:
    """Where else the gateway is; the person knows, or it is the end."""
    text = "Port of the gateway there (empty: give up): "
    question = Question(f"port {number}", text, about="the gateway's port", flag="--remote-port PORT", kind="text")
    said = str(answer_of(answers, question))
    if not (said.isascii() and said.isdigit() and 0 < int(said[:6]) <= LAST_PORT):
        raise end
    return int(said)


def _secret(kind: str, options: Options, known: Any, remote: RemoteGateway, answers: Answers) -> Chosen:
    """The token or password to be set, if any; ``known`` is the one in openclaw.json, as written."""
    found, source, problem = (remote.token, remote.token_source, remote.token_problem)
    if kind == "password":
        found, source, problem = (remote.password, remote.password_source, remote.password_problem)
    if options.no_token:
        yield Step(kind, Mark.SKIPPED, "left as it is (--no-token)")
    elif options.token is not None:
        return (yield from _taken(kind, options.token, "what --token-file holds", known, options.dry_run))
    elif remote.auth_mode == "none":
        yield Step(kind, Mark.OK, "the gateway asks for none")
    elif found and not _is_reference(known) and _may_take(kind, found, known, options, remote.path, answers):
        return (yield from _taken(kind, found, f"{source} of {options.target}", known, options.dry_run))
    elif known:
        yield Step(kind, Mark.KEPT, f"gateway.remote.{kind} stays as it is")
    else:
        why = f"gateway.auth.{kind} there {problem}" if problem else ""
        return (yield from _typed(kind, why, options.dry_run, answers))
    return None


def _is_reference(known: Any) -> bool:
    """A reference is the user's own arrangement."""
    return bool(known) and (not isinstance(known, str) or "$" in known)


def _may_take(kind: str, found: Secret, known: Any, options: Options, path: str, answers: Answers) -> bool:
    """Whether the gateway's own secret may be read there and kept here."""
    question = Question(
        "take secret",
        f"Take the gateway's {kind} from {options.target} ({path or 'its environment'})?",
        about=f"whether to take the gateway's {kind} from {options.target}",
        flag="--yes, --token-file FILE or --no-token",
    )
    return options.dry_run or found.reveal() == known or bool(answer_of(answers, question))


def _taken(kind: str, secret: Secret, source: str, known: Any, dry_run: bool) -> Chosen:
    if secret.reveal() == known:
        yield Step(kind, Mark.KEPT, f"gateway.remote.{kind} is the same as {source}")
        return None
    check_secret_text(secret, source)
    yield Step(kind, Mark.WOULD, f"take {source}") if dry_run else Step(kind, Mark.OK, source)
    return secret


def check_secret_text(secret: Secret, source: str) -> Secret:
    """The secret, if openclaw.json can hold it as it is.

    Raises:
        CredentialError: OpenClaw would take it for a reference or a placeholder.
    """
    if read_input(secret.reveal(), {}, shorthand=True) == secret and not holds_reference(secret):
        return secret
    raise CredentialError(
        f"{source} reads as a reference or a placeholder, not as a secret",
        hint="give the gateway's own token: --token-file FILE; or leave it out: --no-token",
    )


def _typed(kind: str, why: str, dry_run: bool, answers: Answers) -> Chosen:
    """What the person types; nothing is an answer, too: the tunnel itself needs none."""
    if dry_run:
        yield Step(kind, Mark.WOULD, f"ask for it: {why or f'nothing is known of a {kind} there'}")
        return None
    if why:
        yield Note(why)
    text = f"The gateway's {kind} (it is not shown; empty: none): "
    flag = "--token-file FILE or --no-token"
    said = answer_of(answers, Question("type secret", text, about=f"the gateway's {kind}", flag=flag, kind="hidden"))
    if said:
        return (yield from _taken(kind, Secret(str(said)), "what was typed", None, False))
    yield Step(kind, Mark.SKIPPED, "none is set: health, probe and call need one, the tunnel does not")
    return None
