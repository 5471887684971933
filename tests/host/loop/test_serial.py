"""host/loop/serial.py: calls beside the event loop, one thread for each kind."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

import pytest

from openclaw_tunnel.host.loop.serial import Serial
from support.aio import async_test, settle


class Calls:
    """Answers 1, 2, 3 ... in one thread; the first call waits until it may go on."""

    begun = 0

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.calls: list[str] = []

    def begin(self) -> Callable[[str], tuple[str, int]]:
        """As ``Serial`` wants it."""
        self.begun += 1
        return self.answer

    def answer(self, question: str) -> tuple[str, int]:
        self.calls.append(question)
        assert self.go_on.wait(60)
        if question == "wrong":
            raise ZeroDivisionError
        return question, threading.get_ident()


def alive(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


@async_test
async def test_questions_of_one_key_share_a_thread_and_what_it_has() -> None:
    calls = Calls()
    serial = Serial("sharing", calls.begin)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(serial.ask("file", name)) for name in ("a", "b", "c")]
        await settle(lambda: calls.calls == ["a"])
        assert len(alive("sharing")) == 1
        calls.go_on.set()
    answers = [task.result() for task in asked]
    assert [name for name, _ in answers] == ["a", "b", "c"]
    assert {ident for _, ident in answers} != {threading.get_ident()}
    assert len({ident for _, ident in answers}) == calls.begun == 1
    await settle(lambda: not alive("sharing"))
    assert (await serial.ask("file", "d"))[0] == "d"
    assert calls.begun == 2


@async_test
async def test_a_key_that_hangs_holds_up_no_other() -> None:
    hangs, works = Calls(), Calls()
    works.go_on.set()
    serial = Serial[tuple[Calls, str], object]("hanging", lambda: lambda asked: asked[0].answer(asked[1]))
    async with asyncio.TaskGroup() as group:
        stuck = group.create_task(serial.ask("hangs", (hangs, "a")))
        await settle(lambda: hangs.calls)
        assert await serial.ask("works", (works, "b"))
        assert not stuck.done()
        hangs.go_on.set()


@async_test
async def test_what_nobody_waits_for_is_not_asked() -> None:
    calls = Calls()
    serial = Serial("leaving", calls.begin)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(serial.ask(1, name)) for name in ("a", "b", "c")]
        await settle(lambda: calls.calls)
        tasks[0].cancel()
        tasks[1].cancel()
        await settle(lambda: tasks[0].done() and tasks[1].done())
        calls.go_on.set()
    assert tasks[2].result()[0] == "c"
    assert calls.calls == ["a", "c"]


@async_test
async def test_an_error_is_that_of_its_question_alone() -> None:
    calls = Calls()
    calls.go_on.set()
    serial = Serial("failing", calls.begin)
    wrong, right = await asyncio.gather(serial.ask(1, "wrong"), serial.ask(1, "right"), return_exceptions=True)
    assert isinstance(wrong, ZeroDivisionError)
    assert isinstance(right, tuple)

    def no_beginning() -> Callable[[str], str]:
        raise KeyError

    with pytest.raises(KeyError):
        await Serial("failing", no_beginning).ask(1, "a")


def test_an_answer_for_a_loop_that_is_closed_is_dropped() -> None:
    calls = Calls()
    serial = Serial("late", calls.begin)

    async def give_up() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await serial.ask(1, "a")

    asyncio.run(give_up())
    (thread,) = alive("late")
    calls.go_on.set()
    thread.join(60)
    assert not alive("late")
