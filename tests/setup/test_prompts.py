"""The questions of `setup`: who answers them, and what a terminal looks like afterwards."""

import asyncio
import contextlib
import os
import pty
import select
import sys
import termios
from collections.abc import Iterator
from dataclasses import replace

import pytest

from openclaw_tunnel.errors import ExitCode, TunnelError, UsageError
from openclaw_tunnel.setup.prompts import Prompts, Terminal, find_terminal
from openclaw_tunnel.setup.steps import Question
from openclaw_tunnel.ssh.auth.prompts import Prompt
from openclaw_tunnel.ssh.auth.prompts import Question as ServersQuestion
from support.aio import async_test, settle

PASSWORD = ServersQuestion("password", "me", "gw:22", (Prompt("me@gw's password: ", False),))
CODE = ServersQuestion(
    "keyboard-interactive", "me", "gw:22", (Prompt("Code: ", True),), "Second factor", ("look at", "it")
)
WELL = Question("well", "Well?", about="whether", flag="--so")
WHAT = Question("what", "What? ", about="it", flag="--so", kind="hidden")


class Person(Terminal):
    """Somebody who answers in turn."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.seen: list[str] = []

    def tell(self, text: str) -> None:
        self.seen.append(text)

    async def ask(self, prompt: str, *, hidden: bool) -> str:
        self.seen.append(f"{'hidden' if hidden else 'shown'}: {prompt}")
        return self.answers.pop(0)


@async_test
async def test_yes_asks_nobody() -> None:
    person = Person()
    prompts = Prompts(yes=True, terminal=person)
    assert await prompts.answer(WELL) is True
    assert await prompts.answer(replace(WELL, safe=False)) is False
    assert await prompts.answer(WHAT) == ""
    assert person.seen == []


@async_test
async def test_a_person_is_asked_until_the_answer_is_one() -> None:
    person = Person("perhaps", "Y", "", "", "no", " x ", " y ")
    prompts = Prompts(yes=False, terminal=person)
    assert await prompts.answer(WELL) is True
    assert await prompts.answer(WELL) is True
    assert await prompts.answer(replace(WELL, default=False)) is False
    assert await prompts.answer(WELL) is False
    assert await prompts.answer(WHAT) == "x"
    assert await prompts.answer(replace(WHAT, kind="text")) == "y"
    assert person.seen[:2] == ["shown: Well? [Y/n]: "] * 2
    assert person.seen[3] == "shown: Well? [y/N]: "
    assert person.seen[-2:] == ["hidden: What? ", "shown: What? "]


@async_test
async def test_without_a_terminal_the_option_is_named() -> None:
    prompts = Prompts(yes=False, terminal=None)
    for question in (WELL, WHAT):
        with pytest.raises(UsageError, match="must be asked, and there is no terminal") as caught:
            await prompts.answer(question)
        assert caught.value.hint == "answer it with: --so"
    assert prompts.asker is None


@async_test
async def test_the_servers_questions_go_to_the_person() -> None:
    person = Person("secret", "123", "again")
    asker = Prompts(yes=True, terminal=person).asker
    assert asker is not None
    assert await asker(PASSWORD) == ["secret"]
    assert await asker(CODE) == ["123"]
    assert await asker(ServersQuestion("password", "me", "gw:22", PASSWORD.prompts, attempt=2)) == ["again"]
    assert person.seen == [
        "hidden: me@gw's password: ",
        "gw:22 says: Second factor",
        "gw:22 says: look at",
        "gw:22 says: it",
        "shown: Code: ",
        "refused; try again (2 of 3)",
        "hidden: me@gw's password: ",
    ]


@async_test
async def test_a_password_file_answers_for_the_password_once() -> None:
    asker = Prompts(yes=True, terminal=Person(), password=lambda: "secret").asker
    assert asker is not None
    assert await asker(PASSWORD) == ["secret"]
    with pytest.raises(TunnelError, match="gw:22 refused me with the password of --password-file") as caught:
        await asker(ServersQuestion("password", "me", "gw:22", PASSWORD.prompts, attempt=2))
    assert caught.value.exit_code is ExitCode.LOGIN
    assert await asker(CODE) is None
    assert await asker(ServersQuestion("keyboard-interactive", "me", "gw:22", ())) == ()


@contextlib.contextmanager
def terminal() -> Iterator[int]:
    """A terminal as standard input and standard error of this process; the person's end of it."""
    person, ours = pty.openpty()
    streams = sys.stdin, sys.stderr
    sys.stdin, sys.stderr = (os.fdopen(os.dup(ours), mode) for mode in ("r", "w"))
    try:
        yield person
    finally:
        for stream in (sys.stdin, sys.stderr):
            stream.close()
        sys.stdin, sys.stderr = streams
        os.close(person)
        os.close(ours)


def line(descriptor: int) -> bytes:
    """The next line that the terminal shows."""
    seen = b""
    while not seen.endswith(b"\n"):
        seen += os.read(descriptor, 100)
    return seen


def echoes(descriptor: int) -> bool:
    return bool(termios.tcgetattr(descriptor)[3] & termios.ECHO)


@async_test
async def test_a_hidden_answer_is_not_seen() -> None:
    with terminal() as person:
        assert isinstance(find_terminal(), Terminal)
        asking = asyncio.create_task(Terminal().ask("Token: ", hidden=True))  # noqa: TID251  awaited below
        await settle(lambda: not echoes(person), "the echo off")
        os.write(person, b"s3cret\n")
        assert await asking == "s3cret"
        assert echoes(person)
        assert line(person) == b"Token: \r\n"


@async_test
async def test_an_answer_that_comes_with_the_prompt_counts() -> None:
    with terminal() as person:
        asking = asyncio.create_task(Terminal().ask("Token: ", hidden=True))  # noqa: TID251  awaited below
        await settle(lambda: bool(select.select([person], [], [], 0)[0]), "the prompt")
        assert not echoes(person)
        os.write(person, b"s3cret\n")
        assert await asking == "s3cret"


@async_test
async def test_the_terminal_is_as_before_when_the_question_is_given_up() -> None:
    with terminal() as person:
        asking = asyncio.create_task(Terminal().ask("Token: ", hidden=True))  # noqa: TID251  cancelled below
        await settle(lambda: not echoes(person), "the echo off")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert echoes(person)
        assert line(person) == b"Token: \r\n"


@async_test
async def test_what_follows_a_question_without_an_answer_has_a_line_of_its_own() -> None:
    with terminal() as person:
        asking = asyncio.create_task(Terminal().ask("Well? ", hidden=False))  # noqa: TID251  cancelled below
        await settle(lambda: bool(select.select([person], [], [], 0)[0]), "the question")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert line(person) == b"Well? \r\n"


@async_test
async def test_a_long_question_breaks_between_words_and_leaves_room_for_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = b""
    with terminal() as person:
        asking = asyncio.create_task(Terminal().ask("It is so, " * 8 + "is it not? ", hidden=False))  # noqa: TID251
        while not shown.endswith(b"? "):
            await settle(lambda: bool(select.select([person], [], [], 0)[0]), "more of the question")
            shown += os.read(person, 1000)
        os.write(person, b"y\n")
        assert await asking == "y"
    assert shown.endswith(b"It is so, It is\r\nso, is it not? ")
    assert max(map(len, shown.splitlines())) <= 80 - len(" yes")


@async_test
async def test_the_end_of_the_input_is_an_interruption() -> None:
    with terminal() as person:
        os.write(person, b"\x04")
        with pytest.raises(TunnelError, match="no answer was given") as caught:
            await Terminal().ask("Well? ", hidden=False)
        assert caught.value.exit_code is ExitCode.INTERRUPTED


@async_test
async def test_what_is_told_cannot_drive_the_terminal() -> None:
    with terminal() as person:
        Terminal().tell("a\x1b[31mb")
        assert line(person) == b"a?[31mb\r\n"


def test_no_terminal_no_person() -> None:
    with terminal(), open(os.devnull) as nobody:
        sys.stdin.close()
        sys.stdin = nobody
        assert find_terminal() is None
