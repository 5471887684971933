"""``setup`` decides: what was found, and what was answered -> the steps, or what has to be known first. Pure.

It is called again with each fact and each answer: the steps that it had already come first again, and stay as they are.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from openclaw_tunnel.actions.trust_key import check_key
from openclaw_tunnel.errors import ConfigError, TunnelError
from openclaw_tunnel.setup.facts import Facts
from openclaw_tunnel.setup.plan_gateway import find_gateway
from openclaw_tunnel.setup.plan_local import on_this_computer
from openclaw_tunnel.setup.steps import (
    Answers,
    Do,
    Look,
    Mark,
    Missing,
    Note,
    Options,
    Question,
    Step,
    answer_of,
    short,
)
from openclaw_tunnel.ssh.enroll.bootstrap import HowIn
from openclaw_tunnel.ssh.enroll.keypair import ChosenKey, KeyToMake
from openclaw_tunnel.ssh.hostkeys.trust import Found as HostKey
from openclaw_tunnel.ssh.hostkeys.trust import where_to_write

_ONLY_AGENT = Note("only your SSH agent has that key: the tunnel can log in while the agent runs")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, as far as it can be known.

    Attributes:
        needs: what has to be known for more steps; None: these are all.
        error: why there are no more of them.
        can_ask: the gateway can be asked about its health.
    """

    steps: tuple[Step | Note, ...]
    needs: Question | Look | None = None
    error: TunnelError | None = None
    can_ask: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is, or would be, changed."""
        return any(isinstance(step, Step) and step.mark in (Mark.CHANGED, Mark.WOULD) for step in self.steps)


def plan(options: Options, facts: Facts, answers: Answers) -> Plan:
    """The steps, as far as they can be known; in a dry run none of them changes anything."""
    steps: list[Step | Note] = []
    making = _all_steps(options, facts, answers)
    while True:
        try:
            steps.append(next(making))
        except StopIteration as end:
            return Plan(tuple(steps), can_ask=end.value)
        except Missing as missing:
            return Plan(tuple(steps), needs=missing.needs)
        except TunnelError as error:
            return Plan(tuple(steps), error=error)


def _all_steps(options: Options, facts: Facts, answers: Answers) -> Generator[Step | Note, None, bool]:
    yield from _way_in(options, facts, answers)
    found = yield from find_gateway(options, facts, answers)
    yield from on_this_computer(options, facts, answers, found)
    return found.can_ask


def _way_in(options: Options, facts: Facts, answers: Answers) -> Iterator[Step | Note]:
    name, host, how = options.target, facts.host, facts.login
    if facts.local.elsewhere and not options.replace:
        yield from _replaced(options, facts.local.elsewhere, answers)
    if host is None:
        raise Missing(Look("host", f"asking {name} for its key"))
    address = host.target.address
    yield Step("host", Mark.OK, address if address in (name, f"{name}:22") else f"{name} is {address}")
    yield from _host_key(options, host, answers)
    if options.dry_run and host.failure:
        return
    if how is None:
        raise Missing(Look("login", f"logging in to {name}"))
    if isinstance(how, TunnelError):
        yield _refused(how, options.dry_run)
        return
    if how.from_agent and not how.path:
        yield _ONLY_AGENT
    if how.by_key:
        yield Step("login", Mark.KEPT, f"with {how.key}" if how.key else "the server asks for nothing")
    else:
        yield from _installed(name, how, facts.key, answers, facts.local.home)


def _replaced(options: Options, elsewhere: str, answers: Answers) -> Iterator[Step]:
    """Settings for another gateway are somebody's work."""
    name = options.target
    if options.dry_run:
        yield Step("settings", Mark.WOULD, f"ask whether {name} takes the place of {elsewhere}")
        return
    if options.yes:
        raise ConfigError(
            f"openclaw.json leads to {elsewhere} (gateway.remote), and --yes does not replace that",
            hint=f"add --replace; or keep both, this one under a name: openclaw-tunnel up -d -n NAME {name}",
        )
    question = Question(
        "replace settings",
        f"openclaw.json leads to {elsewhere}. Let it lead to {name} instead? A copy is kept.",
        about=f"whether {name} takes the place of {elsewhere} in openclaw.json",
        flag="--replace",
        default=False,
    )
    if not answer_of(answers, question):
        raise _not_agreed("nothing was changed")


def _host_key(options: Options, seen: HostKey, answers: Answers) -> Iterator[Step | Note]:
    if check_key(seen, options.fingerprint, False):
        yield Step("host key", Mark.KEPT, f"{seen.shown} is known")
        return
    file, host = where_to_write(seen), seen.hop.host
    if options.dry_run:
        yield Step("host key", Mark.WOULD, f"remember {seen.shown} in {file}")
        return
    if options.yes and not options.fingerprint:
        yield Note(f"nobody compared the new key of {host}: {seen.shown}; --fingerprint does", danger=True)
    question = Question(
        "trust host key",
        f"{host} shows a key that is new here: {seen.shown}. Is it the right one?",
        about=f"whether the key of {host} is the right one",
        flag=f"--fingerprint {seen.fingerprint}, once you have compared it",
        default=False,
    )
    if not (options.fingerprint or options.yes or answer_of(answers, question)):
        raise _not_agreed("the host's key is not remembered")
    yield Step("host key", Mark.CHANGED, f"{seen.shown} is remembered in {file}", Do.REMEMBER_KEY)


def _refused(error: TunnelError, dry_run: bool) -> Step:
    """The login was refused, and nobody could be asked for a password."""
    if dry_run:
        return Step("login", Mark.WOULD, "ask for the password, and install a key")
    hint = "call it on a terminal, or with --password-file FILE, and it installs a key"
    raise TunnelError(error.message, hint=f"{error.hint}; or {hint}", exit_code=error.exit_code)


def _installed(
    name: str, how: HowIn, key: ChosenKey | KeyToMake | None, answers: Answers, home: str
) -> Iterator[Step | Note]:
    """A tunnel logs in with a key: nobody types a password for it at night."""
    if key is None:
        raise Missing(Look("key", f"logging in to {name}"))
    if isinstance(key, KeyToMake):
        text = f"Make a key without passphrase, {key.path}, and let {name} accept it?"
    else:
        text = f"Let {name} accept {key.path or 'the key of your agent'} ({key.shown})?"
    question = Question("install key", short(text, home), about="whether to install a key on the host", flag="--yes")
    if not answer_of(answers, question):
        raise _not_agreed(f"{name} accepts no key of yours, and a tunnel cannot log in with a {how.method}")
    if isinstance(key, KeyToMake):
        yield Step("key", Mark.CHANGED, f"made {key.path}, without a passphrase", Do.MAKE_KEY)
    yield Step("login", Mark.CHANGED, f"{name} accepts the key now", Do.INSTALL_KEY)
    if isinstance(key, ChosenKey) and not key.in_file:
        yield _ONLY_AGENT


def _not_agreed(what: str) -> TunnelError:
    """The error of a step that a person declined."""
    return TunnelError(what, hint="nothing more was changed; call setup again when you have decided")
