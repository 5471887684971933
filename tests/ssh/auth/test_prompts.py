"""ssh/auth/prompts.py: what a person is asked, how often, and in which words."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import pytest

from openclaw_tunnel.ssh.auth.prompts import AuthPrompts, Prompt, Question, methods_to_ask
from openclaw_tunnel.ssh.hop import Hop
from support.sshtargets import make_target

GW = Hop("gw", "gw.example:22")


class Person:
    """Answers from a list and keeps the questions."""

    def __init__(self, *answers: Sequence[str] | None) -> None:
        self.answers = list(answers)
        self.questions: list[Question] = []

    async def __call__(self, question: Question) -> Sequence[str] | None:
        self.questions.append(question)
        return self.answers.pop(0)


def make_prompts(person: Person, **fields: object) -> AuthPrompts:
    return AuthPrompts(make_target(**fields), GW, person, nullcontext)


@pytest.mark.parametrize(
    ("fields", "methods"),
    [
        ({}, ("keyboard-interactive", "password")),
        ({"password_authentication": False}, ("keyboard-interactive",)),
        ({"kbd_interactive_authentication": False}, ("password",)),
        ({"preferred_authentications": ("publickey", "password", "hostbased")}, ("password",)),
        ({"preferred_authentications": ("password", "keyboard-interactive")}, ("password", "keyboard-interactive")),
        ({"preferred_authentications": ("publickey",)}, ()),
        ({"batch_mode": True}, ()),
        ({"password_prompts": 0}, ()),
    ],
)
def test_ssh_config_says_what_is_asked_and_in_which_order(fields: dict[str, object], methods: tuple[str, ...]) -> None:
    assert methods_to_ask(make_target(**fields)) == methods


def test_keys_stay_in_front_and_methods_that_are_not_asked_are_still_noted() -> None:
    asking = make_prompts(Person(), preferred_authentications=("password", "publickey"))
    preferred = ["publickey", "keyboard-interactive", "password"]
    assert asking.order(preferred) == ["publickey", "password", "keyboard-interactive"]
    assert asking.order(preferred[1:]) == ["password", "keyboard-interactive"]


def test_a_password_is_asked_for_as_often_as_ssh_asks() -> None:
    person = Person(["a"], ["b"])
    asking = make_prompts(person, password_prompts=2)

    async def try_thrice() -> list[str | None]:
        return [await asking.password() for _ in range(3)]

    assert asyncio.run(try_thrice()) == ["a", "b", None]
    assert (asking.answered, asking.gave_up) == (2, False)
    prompts = (Prompt("me@gw.example's password: ", False),)
    assert person.questions == [
        Question("password", "me", "gw.example:22", prompts, attempt=1, attempts=2),
        Question("password", "me", "gw.example:22", prompts, attempt=2, attempts=2),
    ]


def test_the_tries_of_one_method_are_not_those_of_the_other() -> None:
    asking = make_prompts(Person(["a"]), password_prompts=1)
    assert asking.begin_keyboard()
    assert not asking.begin_keyboard()
    assert asyncio.run(asking.password()) == "a"


def test_who_gives_up_is_asked_nothing_more() -> None:
    asking = make_prompts(Person(None))
    assert asyncio.run(asking.password()) is None
    assert (asking.gave_up, asking.answered, asking.begin_keyboard()) == (True, 0, False)
    assert asyncio.run(asking.password()) is None


def test_the_words_of_a_server_are_made_safe_and_a_menu_becomes_lines() -> None:
    person = Person(["1", "2"])
    asking = make_prompts(person)
    assert asking.begin_keyboard()
    menu = "\x1b[2JChoose:\r\n\n 1. push\x07\n\nOption (1-1): "
    assert asyncio.run(asking.keyboard("na\x1bme", "Hello\n\x00you", [(menu, True), ("", False)])) == ["1", "2"]
    assert person.questions == [
        Question(
            "keyboard-interactive",
            "me",
            "gw.example:22",
            (Prompt("(me@gw.example) Option (1-1): ", True), Prompt("(me@gw.example)  ", False)),
            name="na me",
            instructions=("Hello", "you", "Choose:", "1. push"),
        )
    ]


def test_a_server_with_something_to_say_is_heard_and_an_empty_question_is_nobodys_business() -> None:
    person = Person([])
    asking = make_prompts(person)
    assert asking.begin_keyboard()
    assert asyncio.run(asking.keyboard("", "", [])) == []
    assert person.questions == []
    assert asyncio.run(asking.keyboard("", "push sent", [])) == []
    assert [q.instructions for q in person.questions] == [("push sent",)]
    assert asking.answered == 0


def test_a_server_that_never_has_enough_is_left() -> None:
    person = Person(*([["x"]] * 20))
    asking = make_prompts(person)
    assert asking.begin_keyboard()

    async def rounds() -> list[bool]:
        return [await asking.keyboard("", "", [("?", True)]) is not None for _ in range(18)]

    assert asyncio.run(rounds()) == [True] * 16 + [False] * 2
    assert asking.begin_keyboard()
    assert asyncio.run(asking.keyboard("", "", [("?", True)] * 17)) is None


def test_an_answer_too_few_is_no_answer() -> None:
    asking = make_prompts(Person(["one"]))
    assert asking.begin_keyboard()
    assert asyncio.run(asking.keyboard("", "", [("a", True), ("b", True)])) is None
    assert asking.gave_up


def test_what_the_asker_raises_is_kept_and_time_stands_still_meanwhile() -> None:
    seen: list[str] = []

    @contextmanager
    def pausing() -> Iterator[None]:
        seen.append("paused")
        yield

    async def broken(question: Question) -> Sequence[str] | None:
        seen.append("asked")
        raise RuntimeError("the terminal is gone")

    asking = AuthPrompts(make_target(), GW, broken, pausing)
    assert asyncio.run(asking.password()) is None
    assert seen == ["paused", "asked"]
    assert (str(asking.problem), asking.gave_up, asking.waiting) == ("the terminal is gone", True, False)
