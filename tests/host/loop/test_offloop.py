"""host/loop/offloop.py: a call that hangs holds up nobody, and does not pile up."""

import threading

import pytest

from openclaw_tunnel.host.loop.offloop import OffLoop
from support.aio import async_test, settle


@async_test
async def test_what_a_call_returns_and_raises() -> None:
    off_loop = OffLoop[int]("calls")

    def broken() -> int:
        raise ZeroDivisionError

    assert await off_loop.run(lambda: threading.get_ident(), timeout=30) != threading.get_ident()
    await settle(lambda: not named("calls"))
    with pytest.raises(ZeroDivisionError):
        await off_loop.run(broken, timeout=30)


@async_test
async def test_a_call_that_hangs_is_left_alone_and_no_other_is_made_beside_it() -> None:
    off_loop, end = OffLoop[bool]("hangs"), threading.Event()
    assert await off_loop.run(lambda: end.wait(30), timeout=0.05) is None
    assert await off_loop.run(lambda: True, timeout=30) is None
    assert len(named("hangs")) == 1
    end.set()
    await settle(lambda: not named("hangs"), "the call to come back")
    assert await off_loop.run(lambda: True, timeout=30) is True


def named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]
