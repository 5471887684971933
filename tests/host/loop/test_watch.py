"""host/loop/watch.py: a turn of the loop that computes for long is noticed, one that waits is not."""

import asyncio
import itertools
import logging
import selectors
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from openclaw_tunnel.host.loop.watch import LongTurn, LoopWatch, watched_in_debug
from openclaw_tunnel.ssh.hostkeys.knownlines import KnownLines
from support.aio import async_test, computes, is_of_program

_LONG = 0.5


def compute(seconds: float) -> None:
    """Take so much of the thread's processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))


def run(*calls: Callable[[], None]) -> list[LongTurn]:
    """Each call in a turn of its own, watched."""
    found: list[LongTurn] = []

    async def main() -> None:
        for call in calls:
            call()
            await asyncio.sleep(0)

    selector = selectors.DefaultSelector()
    watch = LoopWatch(selector, found.append)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner, watch:
        runner.run(main())
    assert not [thread for thread in threading.enumerate() if thread.name == "watch of the event loop"]
    return found


def test_a_turn_that_computes_is_reported_with_the_place() -> None:
    (turn,) = run(lambda: None, lambda: compute(_LONG), lambda: None)
    assert turn.seconds >= _LONG
    assert "compute" in {frame.name for frame in turn.stack}
    assert str(turn).startswith(f"a turn of the event loop took {turn.seconds * 1000:.0f} ms of processor time:\n")
    assert ", in compute\n    " in str(turn)
    assert not is_of_program(turn.stack)


def test_a_turn_that_waits_or_is_short_is_not_reported() -> None:
    def wait() -> None:
        threading.Event().wait(_LONG)

    assert run(lambda: None, wait, *[lambda: compute(0.001)] * 100) == []


def test_a_turn_at_which_nobody_could_look() -> None:
    turn = LongTurn(0.1, type(run(lambda: compute(_LONG))[0].stack)())
    assert "where is not known" in str(turn)
    assert is_of_program(turn.stack)


def test_a_loop_works_as_with_its_own_selector() -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"x" * (1 << 20))
            writer.write_eof()
            assert len(await reader.read()) == 1 << 20
            writer.close()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    selector = selectors.DefaultSelector()
    watch = LoopWatch(selector, lambda turn: None)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner, watch:
        runner.run(main())


@pytest.mark.parametrize("debug", [True, False])
def test_only_in_debug_mode_a_running_loop_is_watched(debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        before = loop._selector.select
        with watched_in_debug(loop):
            await asyncio.sleep(0)
            compute(_LONG)
            await asyncio.sleep(0)
            assert (loop._selector.select != before) is debug
        assert loop._selector.select == before

    with asyncio.Runner(debug=debug) as runner:
        runner.run(main())
    said = [r for r in caplog.records if r.name == "openclaw_tunnel.host.loop.watch"]
    assert [r.levelno for r in said] == ([logging.WARNING] if debug else [])
    assert all("in compute" in r.getMessage() for r in said)


def test_a_loop_without_a_selector_is_left_alone() -> None:
    class Other:
        def get_debug(self) -> bool:
            return True

    with watched_in_debug(Other()):  # type: ignore[arg-type]  # nothing else is asked of it
        assert not [thread for thread in threading.enumerate() if thread.name == "watch of the event loop"]


def test_a_test_fails_where_the_program_has_kept_the_loop_to_itself() -> None:
    @async_test
    async def long() -> None:
        KnownLines(itertools.repeat("#", 4_000_000), "f")

    @async_test
    @computes
    async def long_by_nature() -> None:
        KnownLines(itertools.repeat("#", 4_000_000), "f")

    with pytest.raises(AssertionError, match=r"a turn of the event loop took .* ms of processor time"):
        long()
    long_by_nature()
