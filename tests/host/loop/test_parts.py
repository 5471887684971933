"""The tree of what runs: started in order, stopped in reverse, each named in the log."""

import asyncio
import logging
import re
from collections.abc import Callable

import pytest

from openclaw_tunnel.host.loop.parts import Parts
from support.aio import async_test, settle


class Steps:
    """Notes what is started and stopped."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __call__(self, step: str, error: Exception | None = None) -> Callable[[], None]:
        def take() -> None:
            self.done.append(step)
            if error:
                raise error

        return take

    def later(self, step: str) -> Callable[[], "asyncio.Future[None]"]:
        async def take() -> None:
            await asyncio.sleep(0)
            self.done.append(step)

        return lambda: asyncio.ensure_future(take())  # noqa: TID251  awaited by the tree


@async_test
async def test_the_last_one_stops_first_and_may_take_its_time() -> None:
    steps, parts = Steps(), Parts()
    await parts.start("a", steps("a begins"), steps.later("a ends"))
    await parts.start("b", steps.later("b begins"), steps("b ends"))
    parts.add("c", steps("c ends"))
    assert str(parts) == "a, b, c"
    await parts.stop_all()
    assert steps.done == ["a begins", "b begins", "c ends", "b ends", "a ends"]
    assert str(parts) == "none"
    await parts.stop_all()
    assert len(steps.done) == 5


@async_test
async def test_what_cannot_begin_is_no_part() -> None:
    steps, parts = Steps(), Parts()
    await parts.start("a", steps("a begins"), steps("a ends"))
    with pytest.raises(OSError, match="taken"):
        await parts.start("b", steps("b begins", OSError("taken")), steps("b ends"))
    await parts.stop_all()
    assert steps.done == ["a begins", "b begins", "a ends"]


@async_test
async def test_one_that_does_not_stop_keeps_no_other() -> None:
    steps, parts = Steps(), Parts()
    parts.add("a", steps("a ends", ValueError("second")))
    parts.add("b", steps("b ends", ZeroDivisionError("first")))
    parts.add("c", steps("c ends"))
    with pytest.raises(ZeroDivisionError, match="first"):
        await parts.stop_all()
    assert steps.done == ["c ends", "b ends", "a ends"]
    assert str(parts) == "none"


@async_test
async def test_one_may_be_stopped_alone_and_come_back() -> None:
    steps, parts = Steps(), Parts()
    for name in ("a", "b"):
        parts.add(name, steps(f"{name} ends"))
    await parts.stop("a")
    await parts.stop("a")
    assert (str(parts), steps.done) == ("b", ["a ends"])
    parts.add("a", steps("a ends again"))
    await parts.stop_all()
    assert steps.done == ["a ends", "a ends again", "b ends"]


@async_test
async def test_a_branch_stops_with_its_tree_as_it_wants() -> None:
    steps, parts = Steps(), Parts()
    parts.add("a", steps("a ends"))
    inner = parts.branch("tunnels")
    inner.add("dev", steps("dev ends"))
    own = parts.branch("others", steps("its own way"))
    assert str(parts) == "a, tunnels (dev), others (none)"
    own.add("lab", steps("lab ends"))
    assert str(parts) == "a, tunnels (dev), others (lab)"
    await parts.stop_all()
    assert steps.done == ["its own way", "dev ends", "a ends"]


@async_test
async def test_a_task_is_cancelled_and_one_that_ended_is_no_part_any_more() -> None:
    parts, go_on = Parts(), asyncio.Event()

    async def wait() -> None:
        await go_on.wait()

    parts.run("short", wait())
    parts.run("long", asyncio.Event().wait())  # type: ignore[arg-type]  # it never returns
    go_on.set()
    await settle(lambda: str(parts) == "long")
    await parts.stop_all()
    assert str(parts) == "none"


def test_the_log_names_each_and_how_long_it_ran(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    @async_test
    async def run() -> None:
        parts = Parts()
        daemon = parts.branch("daemon")
        daemon.add("control socket", lambda: None)
        daemon.run("heartbeat", fail())
        await settle(lambda: str(daemon) == "control socket")
        await parts.stop_all()

    with caplog.at_level(logging.DEBUG, "openclaw_tunnel"):
        run()
    said = [(r.levelname, re.sub(r"\d+\.\d s", "N s", r.getMessage())) for r in caplog.records]
    assert said == [
        ("DEBUG", "daemon runs"),
        ("DEBUG", "daemon: control socket runs"),
        ("DEBUG", "daemon: heartbeat runs"),
        ("ERROR", "task heartbeat failed"),
        ("DEBUG", "daemon: heartbeat ended after N s"),
        ("DEBUG", "daemon: control socket ended after N s"),
        ("DEBUG", "daemon ended after N s"),
    ]
