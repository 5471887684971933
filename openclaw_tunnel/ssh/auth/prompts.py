"""What a server wants to know of a person before it lets them in: how often it may ask, and in which words."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.words import clean
from openclaw_tunnel.ssh_config.target import SshTarget

PASSWORD = "password"  # noqa: S105  the name of a method
KEYBOARD = "keyboard-interactive"

_IN_TURN = (KEYBOARD, PASSWORD)  # OpenSSH's order where the user has none
_MOST_ROUNDS = 16  # of questions in one try: a server that never has enough is left
_MOST_PROMPTS = 16
_MOST_LINES = 20


@dataclass(frozen=True, slots=True)
class Prompt:
    """One thing to type; ``echo``: it may be seen.

    The text ends with a blank. A server's own begins with ``(user@host)``: it cannot pass for a question of ours.
    """

    text: str
    echo: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What a server asks at once. All texts of the server's are free of control characters.

    Attributes:
        method: ``password`` or ``keyboard-interactive``.
        user, host: who logs in where; ``host`` is ``host:port``.
        prompts: empty where the server only has something to say: show it, and answer with nothing.
        name, instructions: the server's words, line by line.
        attempt: above 1, the last answer was refused.
        attempts: how many there are.
    """

    method: str
    user: str
    host: str
    prompts: tuple[Prompt, ...]
    name: str = ""
    instructions: tuple[str, ...] = ()
    attempt: int = 1
    attempts: int = 3


class Asker(Protocol):
    """Asks a person."""

    async def __call__(self, question: Question) -> Sequence[str] | None:
        """One answer for each prompt; None: the person gives up, and is asked nothing more.

        It is cancelled where the server hangs up meanwhile (OpenSSH's does after 120 s), or the login is given up.
        """


def methods_to_ask(target: SshTarget) -> tuple[str, ...]:
    """By which methods ssh would ask a person, by its settings, in its order."""
    if target.batch_mode or target.password_prompts < 1:
        return ()
    allowed = {PASSWORD: target.password_authentication, KEYBOARD: target.kbd_interactive_authentication}
    return tuple(name for name in target.preferred_authentications or _IN_TURN if allowed.get(name))


class AuthPrompts:
    """The questions of one login: as often as ssh would ask, and no more once the person has given up.

    Args:
        pausing: what a question is asked in: a person needs more time than a server.

    Attributes:
        methods: see ``methods_to_ask``.
        answered: how many tries the person has made.
        gave_up: the person would not answer.
        waiting: an answer is being waited for.
        problem: what the asker raised.
    """

    def __init__(
        self, target: SshTarget, hop: Hop, ask: Asker, pausing: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.methods = methods_to_ask(target)
        self.answered = 0
        self.gave_up = False
        self.waiting = False
        self.problem: Exception | None = None
        self._target = target
        self._hop = hop
        self._ask = ask
        self._pausing = pausing
        self._tries = dict.fromkeys(_IN_TURN, 0)
        self._rounds = 0

    def order(self, preferred: Sequence[str]) -> list[str]:
        """The methods of authentication with those that ask in the user's order; keys stay in front."""
        rest = [name for name in preferred if name not in self.methods]
        first = [name for name in rest if name not in _IN_TURN]
        return [*first, *self.methods, *(name for name in rest if name in _IN_TURN)]

    async def password(self) -> str | None:
        """The next password to try; None: none."""
        if not self._may_try(PASSWORD):
            return None
        prompt = Prompt(f"{self._target.user}@{self._hop.name}'s password: ", False)
        answers = await self._put(PASSWORD, (prompt,))
        return answers[0] if answers else None

    def begin_keyboard(self) -> bool:
        """Whether the server may ask its own questions once more."""
        self._rounds = 0
        return self._may_try(KEYBOARD)

    async def keyboard(self, name: str, instructions: str, prompts: Sequence[tuple[str, bool]]) -> Sequence[str] | None:
        """Answers to the server's own questions; None: none."""
        self._rounds += 1
        if self._rounds > _MOST_ROUNDS or len(prompts) > _MOST_PROMPTS:
            return None
        told, cleaned = _lines(instructions), []
        for text, echo in prompts:
            *before, last = _lines(text) or [""]
            told += before  # a menu of second factors comes as one long prompt
            cleaned.append(Prompt(f"({self._target.user}@{self._hop.name}) {last} ", bool(echo)))
        if not prompts and not told:
            return []
        return await self._put(KEYBOARD, tuple(cleaned), clean(name), tuple(told[:_MOST_LINES]))

    def _may_try(self, method: str) -> bool:
        if self.gave_up or method not in self.methods or self._tries[method] >= self._target.password_prompts:
            return False
        self._tries[method] += 1
        return True

    async def _put(
        self, method: str, prompts: tuple[Prompt, ...], name: str = "", instructions: tuple[str, ...] = ()
    ) -> Sequence[str] | None:
        user, attempt, attempts = self._target.user, self._tries[method], self._target.password_prompts
        question = Question(method, user, self._hop.host, prompts, name, instructions, attempt, attempts)
        self.waiting = True
        try:
            with self._pausing():
                answers = await self._ask(question)
        except Exception as exc:  # it would be taken for a fault of the connection; the caller of log_in gets it
            answers, self.problem = None, exc
        self.waiting = False
        self.gave_up = answers is None or len(answers) != len(prompts)
        self.answered += not self.gave_up and bool(prompts)
        return None if self.gave_up else answers


def _lines(text: str) -> list[str]:
    return [line for part in text.splitlines() if (line := clean(part))]
