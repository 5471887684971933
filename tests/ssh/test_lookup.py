"""ssh/lookup.py: a silent resolver has few threads, holds up nobody, and is asked again."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from openclaw_tunnel.ssh.lookup import Address, LookUps, Question, look_up, pause_before_next
from support.aio import async_test, pass_time, settle

FOUND: list[Address] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 22))]


class Resolver:
    """Does not answer a question until the test says how."""

    def __init__(self) -> None:
        self.asked: list[threading.Event] = []
        self._results: dict[int, list[Address] | Exception] = {}

    def __call__(self, *question: object) -> list[Address]:
        answered = threading.Event()
        self.asked.append(answered)
        number = len(self.asked) - 1
        assert answered.wait(60)
        result = self._results[number]
        if isinstance(result, Exception):
            raise result
        return result

    def answer(self, number: int, result: list[Address] | Exception) -> None:
        """Let the question of that number, from 0, have its answer."""
        self._results[number] = result
        self.asked[number].set()

    def end(self) -> None:
        """Let no thread outlive the test."""
        for number in range(len(self.asked)):
            self.answer(number, OSError("the end"))


class Rig:
    """Look-ups by a clock that the test sets; no thread outlives it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.resolver = Resolver()
        self.look_ups = LookUps(clock=lambda: self.now)
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "Rig":
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.resolver.end()
        await self._group.__aexit__(*error)
        await settle(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("lookup ")])

    def find(self, host: str = "gw") -> asyncio.Task[list[Address] | OSError]:
        """One more dial wants to know."""

        async def find() -> list[Address] | OSError:
            try:
                return await self.look_ups.find(Question(self.resolver, host, 22, socket.AF_UNSPEC), again=1.0)
            except OSError as exc:
                return exc

        return self._group.create_task(find())

    async def asked(self, times: int) -> None:
        """Wait until so many questions have been asked, and see that there are no more."""
        await settle(lambda: len(self.resolver.asked) >= times, f"{times} questions")
        await pass_time(0, lambda: True)
        assert len(self.resolver.asked) == times

    async def pass_time(self, seconds: float) -> None:
        """By the clock of the look-ups, and by the loop's."""
        self.now += seconds
        await pass_time(seconds, lambda: True)
        await pass_time(0, lambda: True)


@pytest.mark.parametrize(
    ("asking", "since", "in_all", "pause"),
    [
        (0, 0.0, 0, 0.0),
        (1, 0.0, 1, 0.5),
        (1, 0.4, 1, 0.1),
        (1, 0.5, 1, 0.0),
        (2, 0.5, 2, 0.5),
        (2, 1.0, 2, 0.0),
        (3, 1.0, 3, 4.0),
        (5, 20.0, 5, 0.0),
        (6, 1000.0, 6, 0.5),
        (1, 1000.0, 24, 0.5),
        (0, 0.0, 24, 0.0),
        (0, 0.0, 96, 0.5),
    ],
)
def test_when_a_question_is_asked_in_one_more_thread(asking: int, since: float, in_all: int, pause: float) -> None:
    assert pause_before_next(asking, since, in_all, again=0.5) == pytest.approx(pause)


@async_test
async def test_all_that_want_to_know_the_same_share_one_thread() -> None:
    async with Rig() as rig:
        tasks = [rig.find() for _ in range(50)]
        await rig.asked(1)
        rig.resolver.answer(0, FOUND)
        assert await asyncio.gather(*tasks) == [FOUND] * 50


@async_test
async def test_a_silent_resolver_has_few_threads_whoever_asks() -> None:
    async with Rig() as rig:
        for _ in range(20):
            rig.find()
        await rig.asked(1)
        for seconds, threads in ((0.9, 1), (0.1, 2), (1.9, 2), (0.1, 3), (9.0, 3), (1.0, 4)):
            await rig.pass_time(seconds)
            await rig.asked(threads)


@async_test
async def test_a_failure_counts_only_for_those_who_waited_for_it() -> None:
    """Who comes when the network is back shall not hear that it was away."""
    async with Rig() as rig:
        before = rig.find()
        await rig.asked(1)
        await rig.pass_time(5)
        await rig.asked(2)
        after = rig.find()
        rig.resolver.answer(0, socket.gaierror(socket.EAI_AGAIN, "no answer"))
        assert isinstance(await before, socket.gaierror)
        rig.resolver.answer(1, FOUND)
        assert await after == FOUND


@async_test
async def test_addresses_that_are_found_late_are_good_for_everybody() -> None:
    async with Rig() as rig:
        tasks = [rig.find()]
        await rig.asked(1)
        await rig.pass_time(5)
        tasks.append(rig.find())
        await rig.asked(2)
        rig.resolver.answer(0, FOUND)
        assert await asyncio.gather(*tasks) == [FOUND] * 2
        later = rig.find()
        await rig.asked(2)  # nobody asks afresh what is being asked
        rig.resolver.answer(1, FOUND)
        assert await later == FOUND
        assert len(rig.resolver.asked) == 2


@async_test
async def test_on_another_network_everything_is_asked_again() -> None:
    async with Rig() as rig:
        task = rig.find()
        for threads in (1, 2, 3):
            await rig.asked(threads)
            await rig.pass_time(threads)
        await rig.asked(3)
        rig.look_ups.start_over()
        await rig.pass_time(1)
        await rig.asked(4)
        for number in range(3):
            rig.resolver.answer(number, FOUND)  # by the name servers of before
        await rig.asked(4)
        assert not task.done()
        rig.resolver.answer(3, socket.gaierror(socket.EAI_NONAME, "no such host"))
        assert isinstance(await task, socket.gaierror)


@async_test
async def test_hosts_that_are_not_found_leave_room_for_others() -> None:
    async with Rig() as rig:
        for number in range(30):
            rig.find(f"host{number}")
        await rig.asked(30)
        await rig.pass_time(1)
        await rig.asked(30)  # so many are not asked twice
        for number in range(30, 97):
            rig.find(f"host{number}")
        await rig.asked(96)
        rig.resolver.answer(0, FOUND)
        await rig.pass_time(1)
        await rig.asked(97)


@async_test
async def test_what_nobody_wants_to_know_any_more_is_not_repeated() -> None:
    async with Rig() as rig:
        task = rig.find()
        await rig.asked(1)
        task.cancel()
        await rig.pass_time(60)
        await rig.asked(1)
        again = rig.find()
        await rig.asked(2)
        rig.resolver.answer(0, FOUND)
        assert await again == FOUND


@async_test
async def test_an_error_that_nobody_foresaw_is_an_answer() -> None:
    async with Rig() as rig:
        task = rig.find()
        await rig.asked(1)
        rig.resolver.answer(0, SystemError("broken"))
        assert str(await task).endswith("broken")


def test_an_answer_for_a_loop_that_is_closed_is_dropped() -> None:
    resolver = Resolver()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await look_up("gw.example", 22, ask=resolver)

    asyncio.run(give_up())
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "lookup gw.example"]
    resolver.end()
    thread.join(60)
    assert not thread.is_alive()


@async_test
async def test_a_name_server_that_did_not_hear_is_asked_again() -> None:
    """The first question was lost; whoever waits for its answer waits for half a minute."""
    asked: list[tuple[object, ...]] = []
    end = threading.Event()
    found: list[Address] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 22))]

    def ask(*question: object) -> list[Address]:
        asked.append(question)
        if len(asked) == 1:
            end.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return found

    try:
        assert await look_up("gw.example", 22, ask=ask, again=0.05) == found
    finally:
        end.set()
    assert asked == [("gw.example", 22, socket.AF_UNSPEC, socket.SOCK_STREAM)] * 2
    await settle(lambda: not [thread for thread in threading.enumerate() if thread.name == "lookup gw.example"])
