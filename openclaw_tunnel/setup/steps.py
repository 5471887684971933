"""What ``setup`` works with, as values: options, steps, and what has to be asked or looked at for more steps. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from openclaw_tunnel.json5doc.edit import Patch
from openclaw_tunnel.openclaw.credentials.secretref import Secret


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``setup``.

    Attributes:
        target: the destination as it was typed.
        yes: safe answers are taken without asking.
        can_ask: a person is there, and wants to be asked.
        identity, ssh_config: absolute; empty where not given.
        token: from ``--token-file``; None where not given.
        replace: settings that lead to another gateway may be replaced.
    """

    target: str
    yes: bool = False
    can_ask: bool = False
    dry_run: bool = False
    local_port: int | None = None
    remote_port: int | None = None
    identity: str = ""
    ssh_config: str = ""
    fingerprint: str = ""
    token: Secret | None = None
    no_token: bool = False
    no_service: bool = False
    replace: bool = False


class Mark(StrEnum):
    """What became of a step."""

    OK = "ok"
    KEPT = "kept"
    CHANGED = "changed"
    SKIPPED = "skipped"
    WOULD = "would"


class Do(StrEnum):
    """What a step changes."""

    REMEMBER_KEY = "write the host's key into known_hosts"
    MAKE_KEY = "make a key pair without a passphrase"
    INSTALL_KEY = "let the host accept a key"
    CHECK_SETTINGS = "see that openclaw.json could be changed"
    WRITE_SETTINGS = "change openclaw.json"
    EDIT_TUNNELS = "change tunnels.json5"
    SHOW_TUNNEL = "show the tunnel, which is up"
    OPEN_TUNNEL = "open the tunnel in the background"
    REOPEN_TUNNEL = "close the tunnel, and open it in the background"
    INSTALL_SERVICE = "have the service manager open the tunnel at every login"


@dataclass(frozen=True, slots=True)
class Step:
    """One step; ``mark`` and ``words`` are what is said of it once it is done, and hold no secret.

    Attributes:
        do: None: nothing has to be done.
        patch: what changes in a settings file.
        code: the exit code of one that failed, and has shown why.
    """

    name: str
    mark: Mark
    words: str
    do: Do | None = None
    patch: Patch = field(default_factory=dict, repr=False)
    code: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """What a person should know beside the steps; ``danger``: it is a warning."""

    text: str
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What a person, or an option, has to decide.

    Attributes:
        topic: under which ``Answers`` have the answer.
        about: for the error where nobody is there: completes "... must be asked".
        flag: the options that answer it.
        kind: ``confirm`` is answered by yes or no, the others by a line of text.
        safe: what ``--yes`` answers.
        default: what an empty line means.
    """

    topic: str
    text: str
    about: str
    flag: str
    kind: Literal["confirm", "text", "hidden"] = "confirm"
    safe: bool = True
    default: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """Something has to be looked at: a field of ``Facts``.

    Attributes:
        doing: what goes on meanwhile, as in "logging in to gw"; empty: it takes no time.
        ports: which ones, in the order in which they come into question.
        own: the local port that the tunnel has already.
    """

    what: Literal["host", "login", "key", "remote", "probes", "computer", "ports"]
    doing: str = ""
    ports: tuple[int, ...] = ()
    own: int | None = None


Answers = Mapping[str, bool | str]
"""By the topic of the question."""


class Missing(Exception):
    """The steps that follow cannot be known without this."""

    def __init__(self, needs: Question | Look) -> None:
        super().__init__(needs)
        self.needs = needs


def answer_of(answers: Answers, question: Question) -> bool | str:
    """The answer.

    Raises:
        Missing: there is none yet.
    """
    if question.topic not in answers:
        raise Missing(question)
    return answers[question.topic]


def short(words: str, home: str) -> str:
    """The words with the user's home as ``~``."""
    home = home.rstrip("/")
    return words.replace(f"{home}/", "~/") if home else words
