"""Tasks are kept, named, and never fail in silence."""

import asyncio
import logging

import pytest

from openclaw_tunnel.host.loop.tasks import Tasks, is_being_cancelled


async def _forever() -> None:
    await asyncio.Event().wait()


def test_tasks_are_kept_until_they_end() -> None:
    async def scenario() -> None:
        tasks, go_on = Tasks(), asyncio.Event()
        task = tasks.start(go_on.wait(), name="waiter")
        assert task.get_name() == "waiter"
        assert len(tasks) == 1
        go_on.set()
        assert await task is True
        await asyncio.sleep(0)
        assert len(tasks) == 0

    asyncio.run(scenario())


def test_a_task_that_fails_is_logged_with_its_name_and_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("1/0")

    async def scenario() -> None:
        tasks = Tasks(logging.getLogger("test.tasks"))
        other = tasks.start(_forever(), name="other")
        await asyncio.wait({tasks.start(fail(), name="dial 7")})
        await asyncio.sleep(0)
        assert not other.done()
        await tasks.cancel_all()
        assert other.cancelled()

    asyncio.run(scenario())
    (record,) = caplog.records
    assert record.getMessage() == "task dial 7 failed"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_cancelling_waits_for_the_last_word() -> None:
    said: list[str] = []

    async def polite() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("bye")

    async def scenario() -> None:
        tasks = Tasks()
        for number in range(3):
            tasks.start(polite(), name=f"polite {number}")
        await asyncio.sleep(0)
        await tasks.cancel_all()
        await tasks.cancel_all()
        assert len(tasks) == 0

    asyncio.run(scenario())
    assert said == ["bye"] * 3


def test_a_task_may_cancel_its_siblings_without_ending_itself() -> None:
    async def scenario() -> None:
        tasks = Tasks()
        other = tasks.start(_forever(), name="other")

        async def end_all() -> str:
            await tasks.cancel_all()
            return "done"

        assert await tasks.start(end_all(), name="ender") == "done"
        assert other.cancelled()

    asyncio.run(scenario())


def test_a_cancelled_future_does_not_cancel_who_awaits_it() -> None:
    seen: list[bool] = []

    async def wait(future: asyncio.Future[None]) -> None:
        try:
            await future
        except asyncio.CancelledError:
            seen.append(is_being_cancelled())

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        for cancel_the_task in (False, True):
            future: asyncio.Future[None] = loop.create_future()
            task = Tasks().start(wait(future), name="waiter")
            await asyncio.sleep(0)
            (task if cancel_the_task else future).cancel()
            await asyncio.wait({task})

    asyncio.run(scenario())
    assert seen == [False, True]
